//! Sessions are found and ended by their name.

use std::time::Duration;

use pgmq_notify_tests::{Server, TestDatabase, eventually};
use sqlx::{Connection as _, PgConnection};

const SOON: Duration = Duration::from_secs(30);

/// A session of this name.
async fn session(database: &TestDatabase, name: &str) -> PgConnection {
    PgConnection::connect_with(&database.options().application_name(name))
        .await
        .expect("connect")
}

/// A name that no other test has, longer than PostgreSQL keeps.
fn a_name(database: &TestDatabase) -> String {
    format!("{} {}", database.name(), "x".repeat(60))
}

#[tokio::test]
async fn every_session_of_a_name_is_gone_when_terminate_returns_and_no_other() {
    let database = TestDatabase::empty().await;
    let name = a_name(&database);
    let server = database.server();
    let (mut first, mut second) = (
        session(&database, &name).await,
        session(&database, &name).await,
    );
    let mut other = session(&database, &format!("other {name}")).await;
    // One is busy, one in a transaction.
    sqlx::query("begin").execute(&mut first).await.unwrap();
    let busy = async {
        sqlx::query("select pg_sleep(60)")
            .execute(&mut second)
            .await
    };
    let terminate = async {
        eventually(SOON, || async {
            let busy = "select exists (select from pg_stat_activity where datname = $1 and query like '%pg_sleep(60)')";
            sqlx::query_scalar::<_, bool>(busy)
                .bind(database.name())
                .fetch_one(database.pool())
                .await
                .unwrap()
        })
        .await;
        assert_eq!(server.sessions(&name).await.unwrap(), 2);
        let terminated = server.terminate(&name).await.unwrap();
        (terminated, server.sessions(&name).await.unwrap())
    };
    let (busy, (terminated, left)) = tokio::join!(busy, terminate);
    assert_eq!((terminated, left), (2, 0));
    for ended in [busy, sqlx::query("select 1").execute(&mut first).await] {
        // Administrator's command.
        let code = ended
            .unwrap_err()
            .as_database_error()
            .and_then(|error| error.code().map(|code| code.into_owned()));
        assert_eq!(code.as_deref(), Some("57P01"));
    }
    other.ping().await.unwrap();
}

#[tokio::test]
async fn terminating_nobody_is_no_error_and_a_stopped_server_is_one() {
    let server = Server::shared().await.unwrap();
    assert_eq!(server.terminate("nobody has this name").await.unwrap(), 0);

    let server = Server::start(pgmq_notify_tests::Settings::new())
        .await
        .unwrap();
    server.kill().await.unwrap();
    assert!(server.terminate("anybody").await.is_err());
}
