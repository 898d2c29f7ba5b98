//! Starting, stopping, killing, configuring.

use pgmq_notify_tests::{Pgmq, Server, Settings, Stop, TestDatabase};
use sqlx::{Connection as _, PgConnection};

async fn count(database: &TestDatabase) -> Result<i64, sqlx::Error> {
    let mut connection = PgConnection::connect_with(&database.options()).await?;
    sqlx::query_scalar("select count(*) from kept")
        .fetch_one(&mut connection)
        .await
}

async fn setting(server: &Server, name: &str) -> String {
    let mut connection = PgConnection::connect(&server.url("postgres"))
        .await
        .expect("connect");
    sqlx::query_scalar("select current_setting($1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .expect("ask for a setting")
}

/// A database with one row in its table `kept`.
async fn with_a_row(server: &Server) -> TestDatabase {
    let database = TestDatabase::create(server, None)
        .await
        .expect("create a database");
    database
        .run("create table kept (); insert into kept default values")
        .await
        .expect("insert");
    database
}

#[tokio::test]
async fn the_shared_server_answers() {
    let database = TestDatabase::new().await;
    let version = database.server().version().await.unwrap();
    assert!((14..=18).contains(&version), "{version}");
}

#[tokio::test]
async fn a_stopped_server_comes_back_at_the_same_place_with_its_data() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = with_a_row(&server).await;
    let url = database.url();
    for stop in [Stop::Fast, Stop::Immediate] {
        server.stop(stop).await.unwrap();
        assert_eq!(server.pid(), None);
        assert!(count(&database).await.is_err());
        server.start_again().await.unwrap();
        assert_eq!(database.url(), url);
        assert_eq!(count(&database).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_killed_server_is_gone_at_once_and_recovers_what_was_committed() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = with_a_row(&server).await;
    let first = server.pid();
    for _ in 0..3 {
        // A backend that is busy as its postmaster dies.
        let busy = database.pool().acquire().await;
        server.kill().await.unwrap();
        assert_eq!(server.pid(), None);
        assert!(count(&database).await.is_err());
        drop(busy);
        server.start_again().await.unwrap();
        assert_eq!(count(&database).await.unwrap(), 1);
    }
    assert_ne!(server.pid(), first);
    assert!(
        server
            .log()
            .unwrap()
            .contains("automatic recovery in progress")
    );
}

#[tokio::test]
async fn starting_a_running_server_and_stopping_a_stopped_one_do_nothing() {
    let server = Server::start(Settings::new()).await.unwrap();
    let pid = server.pid();
    server.start_again().await.unwrap();
    assert_eq!(server.pid(), pid);
    server.stop(Stop::Fast).await.unwrap();
    server.stop(Stop::Fast).await.unwrap();
    server.kill().await.unwrap();
}

#[tokio::test]
async fn a_restart_applies_other_settings() {
    let server = Server::start(Settings::new().set("work_mem", "1234kB"))
        .await
        .unwrap();
    assert_eq!(setting(&server, "work_mem").await, "1234kB");
    assert_eq!(setting(&server, "fsync").await, "on");
    server.restart().await.unwrap();
    assert_eq!(setting(&server, "work_mem").await, "1234kB");
    server
        .restart_with(Settings::new().set("log_line_prefix", "it's a \\ "))
        .await
        .unwrap();
    assert_eq!(setting(&server, "work_mem").await, "4MB");
    assert_eq!(setting(&server, "log_line_prefix").await, "it's a \\ ");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why_in_its_own_words() {
    let error = Server::start(Settings::new().set("max_connections", "none"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("max_connections"), "{error}");
}

#[tokio::test]
async fn two_servers_run_side_by_side() {
    let (one, other) = tokio::join!(
        Server::start(Settings::new()),
        Server::start(Settings::new())
    );
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one.url("postgres"), other.url("postgres"));
    let on_one = TestDatabase::on(&one, Pgmq::V1_13).await;
    other.kill().await.unwrap();
    assert!(on_one.run("select pgmq.create('orders')").await.is_ok());
}
