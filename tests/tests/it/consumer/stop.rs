//! What the crash of a server undoes: claims, and never an acknowledgement that it confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::time::SystemTime;

use pgmq_notify_client::{Durability, HandlerError, Message, Source};
use pgmq_notify_tests::{Pgmq, Server, Settings, Stop};
use tokio::time::sleep;

use super::record::{Record, assert_all_done};
use super::*;
use crate::variable::variable;

/// Little is written by and by, and nothing for want of room: what no commit waited for is lost, as far
/// as it fits into a page of the log. A full page is written at once.
fn forgetful() -> Settings {
    Settings::new()
        .set("wal_writer_delay", "10s")
        .set("wal_writer_flush_after", "1GB")
        .set("wal_buffers", "64MB")
        .set("bgwriter_lru_maxpages", "0")
        .set("full_page_writes", "off")
}

/// An acknowledgement gathers for 2 ms and takes a round trip, on a machine that does other things too.
const ON_ITS_WAY: Duration = Duration::from_millis(300);

async fn on(server: &Server) -> (TestDatabase, PgmqNotifyClient) {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::on(server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    let client = client_of(&database, config);
    client.create_queue("orders_queue").await.unwrap();
    (database, client)
}

async fn consuming(client: &PgmqNotifyClient, durability: Durability, record: &Record) -> Consumer {
    let record = record.clone();
    let source = Source::queue("orders_queue").with_visibility_timeout(Duration::from_secs(5));
    Consumer::builder(client.clone())
        .acknowledgements(durability)
        .source(source, move |_: Message<u64>, claim: Claim| {
            let record = record.clone();
            async move {
                let run = record.begin(&claim);
                sleep(Duration::from_millis(fastrand::u64(..40))).await;
                record.end(run, SystemTime::now());
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap()
}

async fn present(database: &TestDatabase) -> Result<BTreeSet<i64>, sqlx::Error> {
    let ids: Vec<i64> = sqlx::query_scalar("select msg_id from pgmq.q_orders_queue")
        .fetch_all(database.pool())
        .await?;
    Ok(ids.into_iter().collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_a_crash_undoes_is_a_redelivery() {
    let server = Server::start(forgetful()).await.unwrap();
    let (database, client) = on(&server).await;
    let (entered, mut began) = tokio::sync::mpsc::channel(10);
    let consumer = Consumer::builder(client.clone())
        .queue(
            "orders_queue",
            move |message: Message<u64>, claim: Claim| {
                let entered = entered.clone();
                async move {
                    entered.send(claim.attempt()).await?;
                    if message.body == 7 {
                        // Long enough for the crash, and the message is back by then.
                        sleep(Duration::from_secs(2)).await;
                    }
                    Ok::<(), HandlerError>(())
                }
            },
        )
        .start()
        .await
        .unwrap();
    let sent = client.send("orders_queue", &7).await.unwrap();
    assert_eq!(began.recv().await, Some(1));
    server.stop(Stop::Immediate).await.unwrap();
    server.start_again().await.unwrap();
    // As if it had never been claimed: long before its visibility timeout of 30 seconds.
    assert_eq!(began.recv().await, Some(1));
    assert_eq!(present(&database).await.unwrap(), BTreeSet::from([sent]));
    eventually(SOON, || async {
        waiting(&client, "orders_queue").await == 0
    })
    .await;
    let report = consumer.shutdown().await;
    assert_eq!(report.stats.claimed, 2, "{report:?}");
    assert_eq!(report.stats.dead, 0, "{report:?}");
}

/// How many of 20 acknowledged messages are there again after a crash.
async fn undone(durability: Durability) -> usize {
    let server = Server::start(forgetful()).await.unwrap();
    let (database, client) = on(&server).await;
    let record = Record::default();
    let consumer = consuming(&client, durability, &record).await;
    let sent = client.send_batch("orders_queue", 0..20).await.unwrap();
    until(&consumer, |it| it.done == 20).await;
    // It must not see them again before they are counted.
    consumer.pause("orders_queue").await.unwrap();
    server.stop(Stop::Immediate).await.unwrap();
    server.start_again().await.unwrap();
    // The pool's connections are gone, and it notices one by one.
    let undone = eventually(SOON, || present(&database)).await.len();
    consumer.resume("orders_queue").await.unwrap();
    eventually(SOON, || async {
        waiting(&client, "orders_queue").await == 0
    })
    .await;
    until(&consumer, |it| it.in_flight == 0).await;
    let stats = consumer.shutdown().await.stats;
    assert_eq!((stats.dead, stats.retried), (0, 0), "{stats:?}");
    assert_all_done(&record, &sent);
    assert_eq!(record.len(), sent.len() + undone);
    undone
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_acknowledgement_survives_a_crash_and_an_asynchronous_one_may_be_a_redelivery() {
    assert_eq!(undone(Durability::Durable).await, 0);
    let undone = undone(Durability::Asynchronous).await;
    assert!((1..=20).contains(&undone), "{undone}");
}

/// `PGMQ_NOTIFY_TEST_CRASHES` makes it long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_only_what_was_not_acknowledged_yet_is_repeated_after_a_crash() {
    let crashes = variable("PGMQ_NOTIFY_TEST_CRASHES").unwrap_or(2);
    let server = Server::start(forgetful()).await.unwrap();
    let (database, client) = on(&server).await;
    let record = Record::default();
    let consumer = consuming(&client, Durability::Durable, &record).await;
    let mut sent = Vec::new();
    // What others found gone, with the time by which it was.
    let mut acknowledged = BTreeMap::new();
    let mut downs = Vec::new();
    for _ in 0..crashes {
        let more = eventually(SOON, || {
            client.send_batch("orders_queue", 0..2_000).into_future()
        });
        sent.extend(more.await);
        let began = record.len();
        eventually(SOON, || async { record.len() > began + 500 }).await;
        let there = present(&database).await.unwrap();
        let now = SystemTime::now();
        for gone in sent.iter().filter(|it| !there.contains(it)) {
            acknowledged.entry(*gone).or_insert(now);
        }
        server.stop(Stop::Immediate).await.unwrap();
        downs.push((now, SystemTime::now()));
        server.start_again().await.unwrap();
        let there = eventually(SOON, || present(&database)).await;
        let back: Vec<_> = there
            .iter()
            .filter(|it| acknowledged.contains_key(it))
            .collect();
        assert!(back.is_empty(), "acknowledged, and back: {back:?}");
    }
    eventually(Duration::from_mins(1), || async {
        match present(&database).await {
            Ok(left) if left.is_empty() => Ok(()),
            other => Err(other),
        }
    })
    .await;
    until(&consumer, |it| it.in_flight == 0).await;
    let stats = consumer.shutdown().await.stats;
    assert_eq!((stats.dead, stats.retried), (0, 0), "{stats:?}");
    assert_all_done(&record, &sent);
    let repeated = record.repeated();
    for (run, next) in &repeated {
        let gone = acknowledged.get(&run.msg_id);
        assert!(gone.is_none_or(|at| next.begun < *at), "{run:?}, {next:?}");
        let met = |(from, down): &(SystemTime, SystemTime)| {
            run.begun < *down && run.ended.is_none_or(|ended| ended + ON_ITS_WAY > *from)
        };
        assert!(
            downs.iter().any(met),
            "no crash explains it: {run:?}, {next:?}"
        );
    }
    let _ = writeln!(
        io::stderr(),
        "{} messages, {crashes} immediate stops; {} repeated, none of {} that were acknowledged",
        sent.len(),
        repeated.len(),
        acknowledged.len(),
    );
}
