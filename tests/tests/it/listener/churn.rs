//! Subscriptions that come and go, and listeners that go, while events flow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_tests::{Direction, Proxy, TestDatabase, eventually};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinHandle;

use super::{SOON, backends, connected, create, message, next_message, no_backend_is_left};

const CHANGES: usize = 1_000;

/// `disconnect` gives the server 5 seconds, and a loaded machine may take a while to notice.
const DISCONNECTED_WITHIN: Duration = Duration::from_secs(6);

/// Sends to all queues in turn, one message in each transaction, until it is told to stop.
struct Flow {
    stop: Arc<AtomicBool>,
    task: JoinHandle<i64>,
}

impl Flow {
    fn to(database: &TestDatabase, queues: &'static [&'static str]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // The faster, the more is on the way while a subscription changes.
        let options = database.options().options([("synchronous_commit", "off")]);
        let pool = PgPoolOptions::new().connect_lazy_with(options);
        let task = tokio::spawn(async move {
            let mut last = 0;
            while !stopped.load(Ordering::Relaxed) {
                for queue in queues {
                    last = sqlx::query_scalar("select pgmq.send($1, '{}')")
                        .bind(queue)
                        .fetch_one(&pool)
                        .await
                        .expect("send a message");
                }
            }
            last
        });
        Self { stop, task }
    }

    /// Returns the last id, which is the same for all queues.
    async fn stop(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("the sender goes on")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_changes_lose_nothing_that_stays_and_bring_nothing_that_went() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let queues = &["kept_queue", "other_queue", "third_queue"];
    for queue in queues {
        create(&database, queue).await;
    }
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace("kept")
        .await
        .unwrap();
    let flow = Flow::to(&database, queues);
    let mut kept = Vec::new();
    let mut others = 0;
    for round in 0..CHANGES {
        let namespace = ["other", "third"][round % 2];
        listener
            .listen_message_ready_for_namespace(namespace)
            .await
            .unwrap();
        // What came until now, of both: the one that stays and the one that goes.
        while let Some((namespace, id)) = at_hand(&mut listener) {
            if namespace == "kept" {
                kept.push(id);
            } else {
                others += 1;
            }
        }
        listener
            .unlisten_message_ready_for_namespace(namespace)
            .await
            .unwrap();
        while let Some((namespace, id)) = at_hand(&mut listener) {
            assert_eq!(namespace, "kept", "after its unlisten returned");
            kept.push(id);
        }
    }
    let last = flow.stop().await;
    while kept.last() != Some(&last) {
        let (namespace, id) = next_message(&mut listener).await;
        assert_eq!(namespace, "kept");
        kept.push(id);
    }
    assert_eq!(kept, (1..=last).collect::<Vec<_>>());
    assert!(others > 0, "the other subscriptions never were in effect");
    assert!(last > 100, "events hardly flowed: {last}");
    assert_eq!(listener.stats().gaps, 0);
    assert_eq!(backends(&database).await.len(), 1);
}

fn at_hand(listener: &mut PgmqNotifyListener) -> Option<(String, i64)> {
    let event = listener.next_event().now_or_never()?;
    Some(message(
        &event
            .expect("the listener goes on")
            .expect("and is connected"),
    ))
}

/// Keeps the server sending without a pause, until it is aborted.
fn load(database: &TestDatabase) -> JoinHandle<()> {
    let pool = database.pool().clone();
    let body = "repeat('x', 2000)";
    let sql = format!(
        "do $$ begin for i in 1..500 loop perform pgmq.send('orders_queue', to_jsonb({body})); end loop; end $$"
    );
    tokio::spawn(async move {
        loop {
            let sending = sqlx::raw_sql(AssertSqlSafe(sql.clone())).execute(&pool);
            sending.await.expect("send a burst");
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disconnect_under_load_leaves_no_backend_though_the_load_goes_on() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = super::connected_without_catch_up(&database, &config, 1_000).await;
    listener.listen_message_ready_global().await.unwrap();
    let load = load(&database);
    for _ in 0..5 {
        listener.connect().await.unwrap();
        let before = listener.stats().overflowed_events;
        eventually(SOON, || async {
            listener.stats().overflowed_events > before
        })
        .await;
        let start = Instant::now();
        listener.disconnect().await;
        let took = start.elapsed();
        assert!(took < DISCONNECTED_WITHIN, "{took:?}");
        no_backend_is_left(&database).await;
        // What had come is still there, and then it ends.
        let left = async { while listener.next_event().await.unwrap().is_some() {} };
        tokio::time::timeout(SOON, left).await.unwrap();
    }
    assert!(!load.is_finished(), "there was no load");
    load.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disconnect_in_a_black_hole_returns_in_time_and_leaves_no_backend_once_the_network_is_back()
{
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let proxy = Proxy::before(database.server());
    let pool = PgPoolOptions::new().connect_lazy_with(proxy.options(&database));
    let mut listener = PgmqNotifyListener::new(pool, config, 1_000).await.unwrap();
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    let load = load(&database);
    eventually(SOON, || async { listener.stats().overflowed_events > 0 }).await;
    proxy.swallow(Direction::Both);
    let start = Instant::now();
    listener.disconnect().await;
    let took = start.elapsed();
    assert!(took < DISCONNECTED_WITHIN, "{took:?}");
    assert_eq!(backends(&database).await.len(), 1);
    proxy.heal().await;
    no_backend_is_left(&database).await;
    load.abort();
}
