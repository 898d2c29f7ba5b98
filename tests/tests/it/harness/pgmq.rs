//! Each PGMQ a test can ask for.

use pgmq_notify_tests::{Pgmq, Server, TestDatabase};

/// Creates a queue, sends, reads; and says which release's marks the database bears.
async fn works(database: &TestDatabase) -> Result<bool, sqlx::Error> {
    database.run("select pgmq.create('Orders')").await?;
    let sent: i64 = sqlx::query_scalar("select pgmq.send('Orders', '{\"id\": 7}')")
        .fetch_one(database.pool())
        .await?;
    let (read, body): (i64, String) =
        sqlx::query_as("select msg_id, message ->> 'id' from pgmq.read('Orders', 30, 1)")
            .fetch_one(database.pool())
            .await?;
    assert_eq!((read, body.as_str()), (sent, "7"));
    // New in 1.13.
    sqlx::query_scalar(
        "select exists (select from pg_proc where proname = 'read_grouped_head_with_poll')",
    )
    .fetch_one(database.pool())
    .await
}

#[tokio::test]
async fn pgmq_1_13_as_plain_sql_creates_sends_and_reads() {
    let database = TestDatabase::with(Pgmq::V1_13).await;
    assert!(works(&database).await.unwrap());
}

#[tokio::test]
async fn pgmq_1_11_as_plain_sql_creates_sends_and_reads_and_is_older() {
    let database = TestDatabase::with(Pgmq::V1_11).await;
    assert!(!works(&database).await.unwrap());
}

#[tokio::test]
async fn the_extension_works_where_its_files_are_and_is_an_error_elsewhere() {
    let server = Server::shared().await.unwrap();
    let created = TestDatabase::create(&server, Some(Pgmq::Extension)).await;
    if Pgmq::Extension.is_available(&server).await.unwrap() {
        works(&created.unwrap()).await.unwrap();
    } else {
        let error = created.unwrap_err();
        assert!(
            error.to_string().contains("are its files installed"),
            "{error:?}"
        );
    }
}
