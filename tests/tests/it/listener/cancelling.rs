//! Applications that seldom wait for an event to the end.

use std::time::Duration;

use futures_util::FutureExt;
use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_tests::TestDatabase;
use tokio::time::{Instant, timeout};

use super::{SOON, connected_with, create, message};

const EVENTS: i64 = 100_000;

/// In one transaction.
const AT_ONCE: i64 = 500;

/// Three ways to give up a wait, each of which has polled it before.
async fn impatient(listener: &mut PgmqNotifyListener, round: u64) -> Option<i64> {
    let event = match round % 3 {
        0 => tokio::select! {
            biased;
            event = listener.next_event() => Some(event),
            () = tokio::task::yield_now() => None,
        },
        1 => timeout(Duration::ZERO, listener.next_event()).await.ok(),
        _ => listener.next_event().now_or_never(),
    };
    let event = event?.expect("the listener goes on");
    Some(message(&event.expect("and is connected")).1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_hundred_thousand_events_a_select_that_always_loses_gets_each_once_and_in_order() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    // Room for all, so that a machine that is slow costs no overflow.
    let mut listener = connected_with(&database, &config, 100_000).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    let pool = database.pool().clone();
    let sender = tokio::spawn(async move {
        for _ in 0..EVENTS / AT_ONCE {
            sqlx::query("select pgmq.send('orders_queue', '{}') from generate_series(1, $1)")
                .bind(AT_ONCE)
                .execute(&pool)
                .await
                .expect("send messages");
        }
    });
    let (mut cancelled, mut last) = (0_u64, 0);
    let deadline = Instant::now() + 4 * SOON;
    for round in 0.. {
        if last == EVENTS {
            break;
        }
        if let Some(id) = impatient(&mut listener, round).await {
            assert_eq!(id, last + 1, "after {last}");
            last = id;
        } else {
            assert!(Instant::now() < deadline, "{last} of {EVENTS}");
            cancelled += 1;
            tokio::task::yield_now().await;
        }
    }
    sender.await.unwrap();
    assert!(listener.next_event().now_or_never().is_none());
    assert!(
        cancelled > 1_000,
        "next_event was cancelled {cancelled} times only"
    );
    assert_eq!(listener.stats().gaps, 0);
}
