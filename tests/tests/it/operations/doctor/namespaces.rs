//! Names of queues and channels.

use pgmq_notify_client::PgmqNotifyConfig;
use pgmq_notify_tests::TestDatabase;

use super::{examine, gone, shell};

#[tokio::test]
async fn a_queue_that_no_pattern_matches_is_a_note_until_one_does() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    database
        .run("select pgmq.create(name) from unnest(array['orders_queue', 'Plain', 'default_queue']) name")
        .await
        .unwrap();
    let report = examine(&database, &[]).await;
    assert!(report.healthy);
    let found = report.only("queue-unmatched");
    assert_eq!(found.subject, "Plain");
    assert!(
        found
            .remedy
            .text
            .contains("pgmq-notify upgrade --queue-pattern"),
        "{found:?}"
    );
    let upgrade = r"pgmq-notify upgrade --queue-pattern '^(?P<namespace>[A-Za-z]+)'";
    let ran = shell(&database.url(), upgrade).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    gone(&database, &[], "queue-unmatched").await;
}

#[tokio::test]
async fn a_channel_whose_name_is_shortened_is_a_note_until_its_prefix_is_shorter() {
    let config = PgmqNotifyConfig::new().with_channels_prefix("a_prefix_that_is_long");
    let database = TestDatabase::migrated(&config).await;
    let namespace = "n".repeat(40);
    database
        .run(format!(
            "select pgmq.create('{namespace}_queue'), pgmq.create('orders_queue')"
        ))
        .await
        .unwrap();
    let channel: String = sqlx::query_scalar("select channel from pgmq_notify.queues($1)")
        .bind(format!("{namespace}_queue"))
        .fetch_one(database.pool())
        .await
        .unwrap();
    let found = examine(&database, &[]).await.only("channel-shortened");
    assert_eq!(found.subject, format!("the namespace {namespace}"));
    assert!(found.explanation.contains(&channel), "{found:?} {channel}");
    assert!(
        found
            .remedy
            .text
            .contains("pgmq-notify upgrade --channel-prefix"),
        "{found:?}"
    );
    let ran = shell(&database.url(), "pgmq-notify upgrade --channel-prefix app").await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    gone(&database, &[], "channel-shortened").await;
}
