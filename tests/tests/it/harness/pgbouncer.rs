//! PgBouncer passes transactions on, and is gone with its test.

use std::{
    env,
    process::Command,
    time::{Duration, Instant},
};

use pgmq_notify_tests::{PgBouncer, Server, Settings, TestDatabase, eventually};
use sqlx::{
    Connection as _, PgConnection, Row as _,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

async fn server() -> (Server, TestDatabase, PgBouncer) {
    let server = Server::start(Settings::new()).await.expect("a server");
    let database = TestDatabase::create(&server, None)
        .await
        .expect("a database");
    let pgbouncer = PgBouncer::before(&server).await.expect("a PgBouncer");
    (server, database, pgbouncer)
}

async fn connect(pgbouncer: &PgBouncer, database: &TestDatabase) -> PgConnection {
    PgConnection::connect_with(&pgbouncer.options(database))
        .await
        .expect("connect")
}

/// The first value, as text.
async fn ask(connection: &mut PgConnection, sql: &'static str) -> String {
    let row = sqlx::raw_sql(sql).fetch_one(connection).await.expect(sql);
    row.try_get_unchecked(0).expect("a value")
}

const BACKEND: &str = "select pg_backend_pid()::text";
const CHANNELS: &str = "select string_agg(c, ' ') from pg_listening_channels() c";

#[tokio::test]
async fn clients_of_a_pooler_in_transaction_mode_share_a_backend_and_a_transaction_keeps_it() {
    let (_server, database, pgbouncer) = server().await;
    let mut first = connect(&pgbouncer, &database).await;
    let mut second = connect(&pgbouncer, &database).await;
    assert_eq!(
        ask(&mut first, BACKEND).await,
        ask(&mut second, BACKEND).await
    );
    let mut transaction = first.begin().await.unwrap();
    let kept = ask(&mut transaction, BACKEND).await;
    assert_ne!(ask(&mut second, BACKEND).await, kept);
    assert_eq!(ask(&mut transaction, BACKEND).await, kept);
}

#[tokio::test]
async fn a_listen_through_a_pooler_succeeds_and_hears_nothing() {
    let (_server, database, pgbouncer) = server().await;
    let mut listener = PgListener::connect_with(
        &PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(pgbouncer.options(&database)),
    )
    .await
    .unwrap();
    listener.listen("orders").await.unwrap();
    // It became a property of a backend that now serves whoever asks next.
    let mut other = connect(&pgbouncer, &database).await;
    assert_eq!(ask(&mut other, CHANNELS).await, "orders");
    database.run("notify orders").await.unwrap();
    let heard = timeout(Duration::from_secs(1), listener.recv()).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// Why asking oneself proves nothing about a pooler: both statements met the same backend.
#[tokio::test]
async fn a_notification_to_oneself_gets_through_a_pooler() {
    let (_server, database, pgbouncer) = server().await;
    let mut listener = PgListener::connect_with(
        &PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with(pgbouncer.options(&database)),
    )
    .await
    .unwrap();
    listener.listen("orders").await.unwrap();
    sqlx::raw_sql("notify orders, 'mine'")
        .execute(&mut listener)
        .await
        .unwrap();
    let heard = timeout(SOON, listener.recv()).await.unwrap().unwrap();
    assert_eq!(heard.payload(), "mine");
}

#[tokio::test]
async fn a_pooler_finds_its_server_again_after_a_restart() {
    let (server, database, pgbouncer) = server().await;
    let mut connection = connect(&pgbouncer, &database).await;
    ask(&mut connection, BACKEND).await;
    server.restart().await.unwrap();
    let start = Instant::now();
    eventually(SOON, || async {
        let mut connection = PgConnection::connect_with(&pgbouncer.options(&database)).await?;
        sqlx::raw_sql("select 1").execute(&mut connection).await
    })
    .await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_pooler_is_gone_when_it_is_dropped() {
    let (_server, database, pgbouncer) = server().await;
    let options = pgbouncer.options(&database);
    let (pid, directory) = (pgbouncer.pid(), pgbouncer.directory().to_owned());
    assert!(super::leftovers::runs(&pid.to_string()) && directory.is_dir());
    drop(pgbouncer);
    assert!(!super::leftovers::runs(&pid.to_string()));
    assert!(!directory.exists());
    assert!(PgConnection::connect_with(&options).await.is_err());
}

#[test]
fn without_pgbouncer_a_test_fails_and_says_what_to_install() {
    // As the test of the shared server does: another process, in which there is none.
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "harness::pgbouncer::a_pooler_is_gone_when_it_is_dropped",
        ])
        .env("PGMQ_NOTIFY_TEST_PGBOUNCER", "/nonexistent/pgbouncer")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(said.contains("apt install pgbouncer"), "{said}");
    assert!(said.contains("/nonexistent/pgbouncer"), "{said}");
}
