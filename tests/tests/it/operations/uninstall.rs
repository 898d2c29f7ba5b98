//! Removing it again.

use std::time::Duration;

use pgmq_notify_client::{ErrorKind, PgmqNotifyConfig};
use pgmq_notify_tests::TestDatabase;
use sqlx::{Connection, PgConnection};

use super::{client, configs, create_queues};
use crate::installation::{catalog, trigger_states};
use crate::producers::partitioned_queue;

#[tokio::test]
async fn uninstalling_leaves_the_catalog_as_before() {
    for config in configs() {
        let database = TestDatabase::new().await;
        create_queues(&database, 3).await;
        partitioned_queue(&database, "parts_queue").await;
        let before = catalog(&database).await;
        let client = client(&database, &config);
        client.install().await.unwrap();
        // Whatever configuration the one who removes it has.
        let other = super::client(&database, &PgmqNotifyConfig::new());
        let report = other.uninstall().await.unwrap();
        let tables = if config.triggers_enabled() { 5 } else { 0 };
        assert_eq!((report.removed, report.tables_changed), (true, tables));
        assert_eq!(catalog(&database).await, before);
        let again = other.uninstall().await.unwrap();
        assert_eq!((again.removed, again.tables_changed), (false, 0));
        assert!(client.installation().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn behind_a_queue_that_is_read_for_long_the_others_lose_their_triggers_and_it_is_named() {
    let database = TestDatabase::new().await;
    create_queues(&database, 3).await;
    let before = catalog(&database).await;
    let client = client(&database, &PgmqNotifyConfig::new());
    client.install().await.unwrap();
    let mut reader = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("begin; select count(*) from pgmq.q_q2_queue")
        .execute(&mut reader)
        .await
        .unwrap();
    let error = client
        .uninstall()
        .with_patience(Duration::from_secs(1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let text = error.to_string();
    assert!(
        text.contains("pgmq.q_q2_queue") && text.contains("backend"),
        "{text}"
    );
    assert!(!text.contains("q_q1_queue"), "{text}");
    let states = trigger_states(&database).await;
    assert_eq!(
        states,
        [("installed".to_owned(), 1), ("missing".to_owned(), 2)]
    );
    sqlx::raw_sql("commit").execute(&mut reader).await.unwrap();
    assert!(client.uninstall().await.unwrap().removed);
    assert_eq!(catalog(&database).await, before);
}
