//! A database per test, and what becomes of it.

use std::panic::AssertUnwindSafe;

use pgmq_notify_tests::{Server, TestDatabase};
use sqlx::{Connection as _, PgConnection};

async fn exists(server: &Server, name: &str) -> bool {
    let mut connection = PgConnection::connect_with(&server.options("postgres"))
        .await
        .expect("connect");
    sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(name)
        .fetch_one(&mut connection)
        .await
        .expect("look for the database")
}

#[tokio::test]
async fn a_database_is_gone_when_its_test_ends() {
    let database = TestDatabase::empty().await;
    let (server, name) = (database.server().clone(), database.name().to_owned());
    assert!(exists(&server, &name).await);
    drop(database);
    assert!(!exists(&server, &name).await);
}

#[tokio::test]
async fn a_database_is_gone_after_a_panic() {
    let database = TestDatabase::empty().await;
    let (server, name) = (database.server().clone(), database.name().to_owned());
    let test = AssertUnwindSafe(move || {
        let _database = database;
        std::panic::resume_unwind(Box::new("a failed assertion"));
    });
    assert!(std::panic::catch_unwind(test).is_err());
    assert!(!exists(&server, &name).await);
}

#[tokio::test]
async fn neither_an_open_transaction_nor_a_prepared_one_keeps_a_database() {
    let database = TestDatabase::empty().await;
    let (server, name) = (database.server().clone(), database.name().to_owned());
    database.run("create table rows ()").await.unwrap();
    // `begin` would put everything before it in the same message into the transaction.
    let prepare = "begin; insert into rows default values; prepare transaction 'it''s'";
    database.run(prepare).await.unwrap();
    let mut open = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    let mut transaction = open.begin().await.unwrap();
    sqlx::query("insert into rows default values")
        .execute(&mut *transaction)
        .await
        .unwrap();
    drop(database);
    assert!(!exists(&server, &name).await);
}

#[tokio::test]
async fn every_database_is_its_own_and_utf8() {
    let (one, other) = tokio::join!(TestDatabase::new(), TestDatabase::new());
    assert_ne!(one.name(), other.name());
    one.run("select pgmq.create('orders')").await.unwrap();
    for (database, queues) in [(&one, 1_i64), (&other, 0)] {
        let found = sqlx::query_scalar("select count(*) from pgmq.meta")
            .fetch_one(database.pool())
            .await;
        assert_eq!(found.ok(), Some(queues));
        let encoding: Result<String, _> = sqlx::query_scalar("show server_encoding")
            .fetch_one(database.pool())
            .await;
        assert_eq!(encoding.ok().as_deref(), Some("UTF8"));
    }
}

#[tokio::test]
async fn a_script_runs_as_one_message_and_in_psql_as_many() {
    let database = TestDatabase::empty().await;
    let script = "create table rows (); insert into rows default values; select count(*) from rows; select 1/0;";
    let error = database.run(script).await.unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");
    assert!(
        database.run("table rows").await.is_err(),
        "one message is one transaction"
    );

    let error = database.psql(script).await.unwrap_err();
    assert!(error.to_string().contains("division by zero"), "{error}");
    assert_eq!(
        database
            .psql("\\set n 41\nselect count(*) + :n from rows")
            .await
            .unwrap(),
        "42\n"
    );
}
