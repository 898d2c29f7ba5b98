//! A hot standby follows, can be read and be promoted.

use std::time::Duration;

use pgmq_notify_tests::{Pgmq, Server, Settings, Stop, TestDatabase, eventually};
use sqlx::{Connection as _, PgConnection};

const SOON: Duration = Duration::from_secs(30);

async fn queues(server: &Server, database: &str) -> Result<i64, sqlx::Error> {
    let mut connection = PgConnection::connect_with(&server.options(database)).await?;
    sqlx::query_scalar("select count(*) from pgmq.meta")
        .fetch_one(&mut connection)
        .await
}

async fn create_queue(server: &Server, database: &str, name: &str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(&server.options(database)).await?;
    sqlx::query("select pgmq.create($1)")
        .bind(name)
        .execute(&mut connection)
        .await
        .map(drop)
}

#[tokio::test]
async fn a_standby_shows_what_its_primary_commits_and_cannot_be_written_to() {
    let primary = Server::start(Settings::new().set("work_mem", "1234kB"))
        .await
        .unwrap();
    let database = TestDatabase::on(&primary, Pgmq::V1_13).await;
    let standby = primary.standby().await.unwrap();
    assert!(!primary.is_standby().await.unwrap() && standby.is_standby().await.unwrap());
    assert_ne!(standby.directory(), primary.directory());

    create_queue(&primary, database.name(), "orders")
        .await
        .unwrap();
    standby.catch_up_with(&primary).await.unwrap();
    assert_eq!(queues(&standby, database.name()).await.unwrap(), 1);
    let refused = create_queue(&standby, database.name(), "more")
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("read-only"), "{refused}");

    let mut connection = PgConnection::connect_with(&standby.options("postgres"))
        .await
        .unwrap();
    let work_mem: String = sqlx::query_scalar("show work_mem")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(work_mem, "1234kB");
    // What only one role allows is an error in the other.
    assert!(primary.promote().await.is_err());
}

#[tokio::test]
async fn a_standby_follows_again_after_either_was_down() {
    let primary = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&primary, Pgmq::V1_13).await;
    let standby = primary.standby().await.unwrap();
    standby.kill().await.unwrap();
    create_queue(&primary, database.name(), "orders")
        .await
        .unwrap();
    standby.start_again().await.unwrap();
    standby.catch_up_with(&primary).await.unwrap();
    assert_eq!(queues(&standby, database.name()).await.unwrap(), 1);

    primary.stop(Stop::Immediate).await.unwrap();
    assert_eq!(queues(&standby, database.name()).await.unwrap(), 1);
    primary.start_again().await.unwrap();
    create_queue(&primary, database.name(), "invoices")
        .await
        .unwrap();
    standby.catch_up_with(&primary).await.unwrap();
    assert_eq!(queues(&standby, database.name()).await.unwrap(), 2);
}

#[tokio::test]
async fn a_promoted_standby_can_be_written_to_whatever_became_of_its_primary() {
    let primary = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&primary, Pgmq::V1_13).await;
    let standby = primary.standby().await.unwrap();
    create_queue(&primary, database.name(), "orders")
        .await
        .unwrap();
    standby.catch_up_with(&primary).await.unwrap();
    primary.kill().await.unwrap();
    standby.promote().await.unwrap();
    assert!(!standby.is_standby().await.unwrap());
    create_queue(&standby, database.name(), "invoices")
        .await
        .unwrap();
    // And it stays what it became.
    standby.restart().await.unwrap();
    assert_eq!(queues(&standby, database.name()).await.unwrap(), 2);
    // Databases for tests can be made on it like on any other.
    let on_standby = TestDatabase::on(&standby, Pgmq::V1_13).await;
    assert_eq!(queues(&standby, on_standby.name()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_standby_is_gone_when_its_last_handle_is_and_its_primary_goes_on() {
    let primary = Server::start(Settings::new()).await.unwrap();
    let standby = primary.standby().await.unwrap();
    let (pid, directory) = (standby.pid().unwrap(), standby.directory().unwrap());
    assert!(directory.is_dir());
    drop(standby);
    assert!(!super::leftovers::runs(&pid.to_string()));
    assert!(!directory.exists());
    eventually(SOON, || async {
        primary.sessions("walreceiver").await.unwrap() == 0
    })
    .await;
    assert!(!primary.is_standby().await.unwrap());
}
