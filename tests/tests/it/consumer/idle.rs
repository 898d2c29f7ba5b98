//! What a consumer costs the server while there is nothing to do.

use std::time::Instant;

use pgmq_notify_client::Source;
use pgmq_notify_tests::{Pgmq, Server, Settings};
use sqlx::{Connection as _, PgConnection};

use super::*;

const QUEUES: usize = 100;
/// The shortest that there is.
const SAFETY_POLL: Duration = Duration::from_secs(1);

/// The transactions of a database so far: each statement of the consumer is one. Asked from another
/// database, so that the question is none of them.
async fn transactions(observer: &mut PgConnection, database: &TestDatabase) -> u64 {
    let count: i64 = sqlx::query_scalar(
        "select xact_commit + xact_rollback from pg_stat_database where datname = $1",
    )
    .bind(database.name())
    .fetch_one(observer)
    .await
    .unwrap();
    count.try_into().unwrap()
}

#[tokio::test]
async fn an_idle_consumer_runs_one_statement_per_queue_and_safety_poll() {
    // A vacuum would be among the transactions that are counted.
    let server = Server::start(Settings::new().set("autovacuum", "off"))
        .await
        .unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    let config = PgmqNotifyConfig::new();
    database.migrate(&config).await;
    let client = client_of(&database, config);
    let create = format!("select pgmq.create('idle' || n) from generate_series(1, {QUEUES}) n");
    database.run(create).await.unwrap();
    let source = Source::queues((1..=QUEUES).map(|n| format!("idle{n}")));
    let consumer = Consumer::builder(client)
        .safety_poll(SAFETY_POLL)
        .source(source, ok)
        .start()
        .await
        .unwrap();
    let queues = QUEUES as u64;
    until(&consumer, |it| it.wake_ups.safety_poll >= 4 * queues).await;
    let mut observer = PgConnection::connect(&server.url("postgres"))
        .await
        .unwrap();
    let begin = Instant::now();
    let before = consumer.stats();
    let counted_before = transactions(&mut observer, &database).await;
    let polls = before.wake_ups.safety_poll;
    until(&consumer, |it| {
        it.wake_ups.safety_poll >= polls + 5 * queues
    })
    .await;
    let after = consumer.stats();
    let counted = transactions(&mut observer, &database).await - counted_before;
    let intervals = begin.elapsed().as_millis() / SAFETY_POLL.as_millis();
    let most = queues * (u64::try_from(intervals).unwrap() + 1);
    let looks = after.claims - before.claims;
    println!("{counted} transactions, {looks} looks, at most {most}");
    assert!(looks <= most, "{looks} looks, at most {most}");
    // No look for another reason.
    let polls = after.wake_ups.safety_poll - before.wake_ups.safety_poll;
    assert_eq!(looks, polls, "{after:?}");
    // Backends report once a second: those of the first poll may be missing, or those of the last.
    // Besides there are the round trips that keep the listening connection honest.
    assert!(counted >= looks - queues, "{counted} transactions counted");
    assert!(
        counted <= most + queues + 10,
        "{counted} transactions, at most {most}"
    );
    consumer.shutdown().await;
}
