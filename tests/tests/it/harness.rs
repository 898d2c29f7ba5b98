use pgmq_notify_tests::TestDatabase;
#[tokio::test]
async fn a_server_starts_and_answers() {
    let t = std::time::Instant::now();
    let database = TestDatabase::new().await;
    println!("server+template+db {:?}", t.elapsed());
    let version = database.server().version().await.unwrap();
    assert!((14..=18).contains(&version), "{version}");
    for _ in 0..5 {
        let t = std::time::Instant::now();
        let d = TestDatabase::new().await;
        println!("db {:?}", t.elapsed());
        let t = std::time::Instant::now();
        drop(d);
        println!("drop {:?}", t.elapsed());
    }
}
