//! A PGMQ that is missing, or too old.

use std::path::PathBuf;

use pgmq_notify_client::PgmqNotifyConfig;
use pgmq_notify_tests::{Server, Settings, TestDatabase};

use super::{cured, examine, gone};

#[tokio::test]
async fn as_an_extension_it_is_created_and_updated() {
    let server = Server::start_with_pgmq(Settings::new()).await.unwrap();
    let database = TestDatabase::create(&server, None).await.unwrap();
    let found = cured(&database, &[], "pgmq-missing").await;
    assert_eq!(found.remedy.text, "create extension pgmq;");
    cured(&database, &[], "not-installed").await;
    assert!(examine(&database, &[]).await.findings.is_empty());

    // Releases before 1.5 are published nowhere as SQL. What the update would change is not in question.
    let (version, share): (String, String) = sqlx::query_as(
        "select (select extversion from pg_extension where extname = 'pgmq'), (select setting from pg_config where name = 'SHAREDIR')",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    let script = PathBuf::from(share).join(format!("extension/pgmq--1.4.5--{version}.sql"));
    std::fs::write(script, "select 1;\n").unwrap();
    database
        .run("update pg_extension set extversion = '1.4.5' where extname = 'pgmq'")
        .await
        .unwrap();
    let found = cured(&database, &[], "pgmq-outdated").await;
    assert!(
        found
            .explanation
            .contains("1.5 or newer, and this is 1.4.5"),
        "{found:?}"
    );
    assert_eq!(found.remedy.text, "alter extension pgmq update;");
    assert!(examine(&database, &[]).await.findings.is_empty());
}

#[tokio::test]
async fn as_plain_sql_it_is_what_the_manual_says() {
    let database = TestDatabase::empty().await;
    let found = examine(&database, &[]).await.only("pgmq-missing");
    let available: bool = sqlx::query_scalar(
        "select exists (select from pg_available_extensions where name = 'pgmq')",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    if available {
        assert_eq!(found.remedy.kind, "sql", "{found:?}");
    } else {
        assert!(found.remedy.text.contains("INSTALLATION.md"), "{found:?}");
    }
    // The SQL of PGMQ itself.
    database.upgrade_pgmq().await;
    gone(&database, &[], "pgmq-missing").await;
    database.migrate(&PgmqNotifyConfig::new()).await;

    let send = "pgmq.send(text, jsonb, jsonb, timestamptz)";
    let definition: String = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "select pg_get_functiondef('{send}'::regprocedure)"
    )))
    .fetch_one(database.pool())
    .await
    .unwrap();
    database.run(format!("drop function {send}")).await.unwrap();
    let report = examine(&database, &[]).await;
    assert_eq!(report.codes(), ["pgmq-outdated"]);
    let found = report.only("pgmq-outdated");
    assert!(found.remedy.text.contains("later releases"), "{found:?}");
    database.run(definition).await.unwrap();
    assert!(examine(&database, &[]).await.findings.is_empty());
}
