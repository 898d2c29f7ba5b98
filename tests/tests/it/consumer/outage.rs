//! A database that is away for longer than a visibility timeout.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use pgmq_notify_client::{HandlerError, Message, Source};
use pgmq_notify_tests::{Cut, Direction, Pgmq, Proxy, Server, Settings, Stop};
use sqlx::postgres::PgPoolOptions;
use tokio::time::sleep;

use super::record::{Record, assert_all_done};
use super::*;

const TIMEOUT: Duration = Duration::from_secs(2);
const AWAY: Duration = Duration::from_secs(5);

/// How the database goes away, and comes back.
#[derive(Clone, Copy, Debug)]
enum Away {
    Down,
    Refused,
    Silent,
}

async fn survives(away: Away) {
    let server = Server::start(Settings::new()).await.unwrap();
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    let client = client_of(&database, config.clone());
    client.create_queue("orders_queue").await.unwrap();
    let proxy = Proxy::before(&server);
    let pool = PgPoolOptions::new().connect_lazy_with(proxy.options(&database));
    let through = PgmqNotifyClient::with_pool(pool, config).unwrap();

    let record = Record::default();
    let told = Arc::new(AtomicUsize::new(0));
    let (recorded, counted) = (record.clone(), Arc::clone(&told));
    let source = Source::queue("orders_queue").with_visibility_timeout(TIMEOUT);
    let consumer = Consumer::builder(through)
        .concurrency(8)
        .heartbeat(Duration::from_secs(1), Duration::from_secs(1))
        .source(source, move |message: Message<u64>, claim: Claim| {
            let (record, told) = (recorded.clone(), Arc::clone(&counted));
            async move {
                let run = record.begin(&claim);
                // A crash may have undone its claim: then it is the first attempt again.
                if message.body < 4 && told.load(Ordering::Relaxed) < 4 {
                    claim.lost().cancelled().await;
                    told.fetch_add(1, Ordering::Relaxed);
                    return Err("the lease is lost".into());
                }
                sleep(Duration::from_millis(20)).await;
                record.end(run, SystemTime::now());
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    let mut sent = client.send_batch("orders_queue", 0..4).await.unwrap();
    eventually(SOON, || async { record.len() == 4 }).await;
    assert_eq!(told.load(Ordering::Relaxed), 0);

    let began = Instant::now();
    match away {
        Away::Down => server.stop(Stop::Immediate).await.unwrap(),
        Away::Refused => {
            proxy.refuse().await;
            proxy.cut(Cut::Reset);
        }
        Away::Silent => proxy.swallow(Direction::Both),
    }
    // Told when the timeout ends, not when somebody answers.
    eventually(2 * TIMEOUT, || async { told.load(Ordering::Relaxed) == 4 }).await;
    assert_eq!(consumer.stats().expired, 4);
    sleep(AWAY.saturating_sub(began.elapsed())).await;
    match away {
        Away::Down => server.start_again().await.unwrap(),
        Away::Refused | Away::Silent => proxy.heal().await,
    }
    sent.extend(
        eventually(SOON, || async {
            // The pool notices one by one that its connections are gone.
            client.send_batch("orders_queue", 100..200).await
        })
        .await,
    );
    eventually(SOON, || async {
        match client.metrics("orders_queue").await {
            Ok(it) if it.length == 0 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    until(&consumer, |it| it.in_flight == 0).await;
    let report = consumer.shutdown().await;
    assert_all_done(&record, &sent);
    assert_eq!(report.unsettled, 0, "{report:?}");
    let stats = report.stats;
    assert_eq!(stats.unsettled, 0, "{stats:?}");
    // Those that were told failed, and were tried again.
    assert_eq!((stats.done, stats.dead), (104, 0), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_after_its_server_was_down() {
    survives(Away::Down).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_after_it_was_refused() {
    survives(Away::Refused).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_after_nobody_answered() {
    survives(Away::Silent).await;
}
