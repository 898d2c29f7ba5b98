//! What a shutdown leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use pgmq_notify_client::{HandlerError, Message, Order, ShutdownReport, Source};
use pgmq_notify_tests::{Direction, Proxy};
use sqlx::postgres::PgPoolOptions;
use tokio::time::sleep;

use super::*;

/// For what is done besides waiting, on a machine that does other things too.
const SLACK: Duration = Duration::from_secs(1);

/// What is left in the queue: all of it, what is not visible, and the reads that were counted.
async fn left(database: &TestDatabase) -> (i64, i64, i64) {
    sqlx::query_as(
        "select count(*), count(*) filter (where vt > clock_timestamp()), coalesce(sum(read_ct), 0)
         from pgmq.q_orders_queue",
    )
    .fetch_one(database.pool())
    .await
    .unwrap()
}

/// Each message that was claimed became something.
#[track_caller]
fn assert_adds_up(report: &ShutdownReport) {
    let it = &report.stats;
    assert_eq!(
        it.claimed,
        it.done + it.retried + it.dead + it.released + it.lost + it.unsettled,
        "{report:?}"
    );
    assert_eq!(it.in_flight, 0, "{report:?}");
}

async fn shut_down(consumer: Consumer, within: Duration) -> ShutdownReport {
    let began = Instant::now();
    let report = consumer.shutdown().await;
    let took = began.elapsed();
    assert!(took < within, "{took:?}: {report:?}");
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_load_the_running_handlers_finish_and_all_others_are_visible_at_once() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send_batch("orders_queue", 0..3_000).await.unwrap();
    let consumer = Consumer::builder(client)
        .queue("orders_queue", |_: Message<u64>, _| async {
            sleep(Duration::from_millis(fastrand::u64(..40))).await;
            Ok::<(), HandlerError>(())
        })
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.done > 300).await;
    let report = shut_down(consumer, SLACK).await;
    let (all, hidden, reads) = left(&database).await;
    assert_eq!((report.aborted, report.unsettled), (0, 0));
    assert_eq!(all.unsigned_abs(), 3_000 - report.stats.done, "{report:?}");
    assert_eq!((hidden, reads), (0, 0), "{report:?}");
    assert_adds_up(&report);
}

#[tokio::test]
async fn what_waits_behind_the_first_of_its_group_is_given_back_and_its_read_is_not_counted() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    // Without a header they are one group.
    client.send_batch("orders_queue", 0..20).await.unwrap();
    let source = Source::queue("orders_queue").with_order(Order::FifoGroups);
    let (entered, mut began) = tokio::sync::mpsc::channel(20);
    let (release, released) = tokio::sync::watch::channel(false);
    let consumer = Consumer::builder(client)
        .source(source, move |_: Message<u64>, _| {
            let (entered, mut released) = (entered.clone(), released.clone());
            async move {
                entered.send(()).await?;
                released.wait_for(|it| *it).await?;
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    began.recv().await.unwrap();
    assert_eq!(consumer.stats().claimed, 20);
    let stopping = tokio::spawn(consumer.shutdown());
    // While the first one still runs.
    eventually(SOON, || async {
        let left = left(&database).await;
        if left == (20, 1, 1) {
            Ok(())
        } else {
            Err(left)
        }
    })
    .await;
    release.send_replace(true);
    let report = stopping.await.unwrap();
    assert_eq!(left(&database).await, (19, 0, 0));
    assert_eq!((report.aborted, report.unsettled), (0, 0));
    assert_eq!((report.stats.done, report.stats.released), (1, 19));
    assert_adds_up(&report);
}

/// Counts the handlers that are there.
struct There(Arc<AtomicUsize>);

impl There {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for There {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn handlers_that_run_at_the_deadline_are_ended_and_their_messages_visible_at_once() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send_batch("orders_queue", 0..8).await.unwrap();
    let there = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&there);
    let consumer = Consumer::builder(client)
        .shutdown_deadline(Duration::from_secs(2))
        .queue("orders_queue", move |message: Message<u64>, _| {
            let there = There::new(&counted);
            async move {
                let _there = there;
                if message.body < 5 {
                    std::future::pending::<()>().await;
                }
                sleep(Duration::from_millis(300)).await;
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    eventually(SOON, || async { there.load(Ordering::Relaxed) == 8 }).await;
    let report = shut_down(consumer, Duration::from_secs(2) + SLACK).await;
    assert_eq!(there.load(Ordering::Relaxed), 0);
    assert_eq!((report.aborted, report.unsettled), (5, 0));
    assert_eq!((report.stats.done, report.stats.released), (3, 5));
    // They were begun: their reads count.
    assert_eq!(left(&database).await, (5, 0, 5));
    assert_adds_up(&report);
}

#[tokio::test]
async fn a_handler_that_is_ended_between_finish_and_commit_leaves_its_message_visible_at_once() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send("orders_queue", &7).await.unwrap();
    let (entered, mut began) = tokio::sync::mpsc::channel(1);
    let pool = database.pool().clone();
    let consumer = Consumer::builder(client)
        .shutdown_deadline(Duration::from_secs(2))
        .queue("orders_queue", move |_: Message<u64>, claim: Claim| {
            let (entered, pool) = (entered.clone(), pool.clone());
            async move {
                let mut transaction = pool.begin().await?;
                claim.finish(&mut transaction).await?;
                entered.send(()).await?;
                std::future::pending::<()>().await;
                transaction.commit().await?;
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    began.recv().await.unwrap();
    let report = shut_down(consumer, Duration::from_secs(2) + SLACK).await;
    assert_eq!((report.aborted, report.unsettled), (1, 0));
    assert_eq!(left(&database).await, (1, 0, 1), "{report:?}");
    assert_adds_up(&report);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_its_thread_does_not_hold_up_the_shutdown() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send("orders_queue", &7).await.unwrap();
    let there = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&there);
    let consumer = Consumer::builder(client)
        .shutdown_deadline(Duration::from_secs(2))
        .queue("orders_queue", move |_: Message<u64>, _| {
            let there = There::new(&counted);
            async move {
                let _there = there;
                std::thread::sleep(Duration::from_secs(8));
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    eventually(SOON, || async { there.load(Ordering::Relaxed) == 1 }).await;
    let report = shut_down(consumer, Duration::from_secs(2) + SLACK).await;
    // Nobody can end it: so its message stays its own until the visibility timeout ends.
    assert_eq!(there.load(Ordering::Relaxed), 1);
    assert_eq!((report.aborted, report.unsettled), (1, 1));
    assert_eq!(left(&database).await, (1, 1, 1), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_at_its_deadline_when_the_database_does_not_answer() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let proxy = Proxy::before(database.server());
    let pool = PgPoolOptions::new().connect_lazy_with(proxy.options(&database));
    let through = PgmqNotifyClient::with_pool(pool, PgmqNotifyConfig::new()).unwrap();
    client.send_batch("orders_queue", 0..8).await.unwrap();
    let (release, released) = tokio::sync::watch::channel(false);
    let there = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&there);
    let consumer = Consumer::builder(through)
        .shutdown_deadline(Duration::from_secs(3))
        .queue("orders_queue", move |_: Message<u64>, _| {
            let (there, mut released) = (There::new(&counted), released.clone());
            async move {
                let _there = there;
                released.wait_for(|it| *it).await?;
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    eventually(SOON, || async { there.load(Ordering::Relaxed) == 8 }).await;
    proxy.swallow(Direction::Both);
    release.send_replace(true);
    eventually(SOON, || async { there.load(Ordering::Relaxed) == 0 }).await;
    let report = shut_down(consumer, Duration::from_secs(3) + SLACK / 2).await;
    assert_eq!((report.aborted, report.unsettled), (0, 8));
}
