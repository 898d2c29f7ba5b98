//! Consumers, backlogs and dead letters.

use std::time::Duration;

use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyConfig, Source};
use pgmq_notify_core::Delivery;
use pgmq_notify_tests::{TestDatabase, eventually};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{cured, examine, gone};
use crate::operations::client;

const SOON: Duration = Duration::from_secs(20);

async fn shop(config: &PgmqNotifyConfig) -> TestDatabase {
    let database = TestDatabase::migrated(config).await;
    database
        .run("select pgmq.create(name) from unnest(array['orders_queue', 'mail_queue', 'orders_queue_dlq']) name")
        .await
        .unwrap();
    database
}

async fn done(_: Message<u32>, _: Claim) -> Result<(), HandlerError> {
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_did_not_come_back_is_found_where_no_other_sleeps() {
    let database = shop(&PgmqNotifyConfig::new().with_delivery(Delivery::WakeUp)).await;
    let now = "clock_timestamp()";
    database
        .run(format!(
            "insert into pgmq_notify.parked values
               ('q_orders_queue', 1, {now} - interval '10 minutes'), ('q_orders_queue', 2, {now} - interval '3 hours'),
               ('q_mail_queue', 3, {now} - interval '10 minutes'), ('q_mail_queue', 4, {now} + interval '10 minutes')"
        ))
        .await
        .unwrap();
    // One that is at work need not sleep.
    let mut at_work = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    let attention = "(select attention from pgmq_notify.route('orders_queue'))";
    let attend = format!("select pg_advisory_lock({attention})");
    sqlx::raw_sql(AssertSqlSafe(attend))
        .execute(&mut at_work)
        .await
        .unwrap();
    assert!(examine(&database, &[]).await.findings.is_empty());
    let leave = format!("select pg_advisory_unlock({attention})");
    sqlx::raw_sql(AssertSqlSafe(leave))
        .execute(&mut at_work)
        .await
        .unwrap();
    let found = cured(&database, &[], "consumer-gone").await;
    assert_eq!(found.subject, "orders_queue");
    assert!(
        found.explanation.starts_with("2 of its consumers"),
        "{found:?}"
    );
    assert!(found.explanation.contains("10 min ago"), "{found:?}");
    assert!(examine(&database, &[]).await.findings.is_empty());
}

#[tokio::test]
async fn messages_that_wait_for_nobody_are_found_until_a_consumer_of_theirs_is_there() {
    let config = PgmqNotifyConfig::new();
    let database = shop(&config).await;
    // The first has been visible for 2 minutes; the second was delayed, the third is claimed.
    database
        .run(
            "insert into pgmq.q_orders_queue (vt, enqueued_at, message) values
               (now() - interval '2 minutes', now() - interval '1 hour', '1');
             insert into pgmq.q_mail_queue (vt, enqueued_at, message) values
               (now() - interval '1 second', now() - interval '1 hour', '2'),
               (now() + interval '1 hour', now() - interval '1 hour', '3')",
        )
        .await
        .unwrap();
    let found = examine(&database, &[]).await.only("backlog-unconsumed");
    assert_eq!(found.subject, "orders_queue");
    assert!(found.explanation.contains("visible for 2 min"), "{found:?}");
    assert!(
        found.remedy.text.contains("start a consumer of it"),
        "{found:?}"
    );
    gone(&database, &["--backlog-age", "1h"], "backlog-unconsumed").await;

    // One of another queue.
    let other = Consumer::builder(client(&database, &config))
        .queue("mail_queue", done)
        .start()
        .await
        .unwrap();
    let report = examine(&database, &[]).await;
    assert_eq!(report.codes(), ["backlog-waiting"], "{report:?}");
    assert_eq!(report.findings[0].subject, "orders_queue");
    let right = Consumer::builder(client(&database, &config))
        .queue("orders_queue", done)
        .start()
        .await
        .unwrap();
    eventually(SOON, || async { right.stats().done == 1 }).await;
    assert!(examine(&database, &[]).await.findings.is_empty());
    right.shutdown().await;
    other.shutdown().await;
}

#[tokio::test]
async fn a_queue_that_somebody_has_locked_is_a_note_and_holds_nothing_up() {
    let database = shop(&PgmqNotifyConfig::new()).await;
    let mut holder = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("begin; lock table pgmq.q_orders_queue, pgmq.q_orders_queue_dlq")
        .execute(&mut holder)
        .await
        .unwrap();
    let report = examine(&database, &[]).await;
    assert!(report.healthy);
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|it| (&*it.code, &*it.subject))
        .collect();
    assert_eq!(
        found,
        [
            (
                "not-checked",
                "messages that wait in mail_queue, orders_queue"
            ),
            ("not-checked", "dead letters in orders_queue_dlq"),
        ]
    );
    sqlx::raw_sql("rollback")
        .execute(&mut holder)
        .await
        .unwrap();
    assert!(examine(&database, &[]).await.findings.is_empty());
}

#[tokio::test]
async fn dead_letters_are_found_until_they_are_put_back() {
    let config = PgmqNotifyConfig::new();
    let database = shop(&config).await;
    let fatal = |_: Message<u32>, _: Claim| async { Err::<(), _>(HandlerError::fatal("no")) };
    let consumer = Consumer::builder(client(&database, &config))
        .source(Source::queue("orders_queue"), fatal)
        .start()
        .await
        .unwrap();
    // A message that somebody sent there is none.
    database
        .run("select pgmq.send('orders_queue', '1'), pgmq.send('orders_queue', '2'), pgmq.send('orders_queue_dlq', '3')")
        .await
        .unwrap();
    eventually(SOON, || async { consumer.stats().dead == 2 }).await;
    consumer.shutdown().await;
    let found = cured(&database, &[], "dead-letters").await;
    assert_eq!(found.subject, "orders_queue_dlq");
    assert!(
        found.explanation.starts_with("2 dead letters lie there"),
        "{found:?}"
    );
    let back: i64 = sqlx::query_scalar("select count(*) from pgmq.q_orders_queue")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(back, 2);
}
