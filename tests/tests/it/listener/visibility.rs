//! Delayed messages, delivered when they can be read.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_tests::TestDatabase;

use super::{gap, next, next_message, send, terminate};

async fn listening(buffer: usize) -> (TestDatabase, PgmqNotifyListener) {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    super::create(&database, "orders_queue").await;
    let pool = database.pool().clone();
    let mut listener = PgmqNotifyListener::new(pool, config, buffer)
        .await
        .expect("a valid configuration")
        .with_delivery_at_visibility();
    listener
        .listen_message_ready_global()
        .await
        .expect("subscribe");
    listener.connect().await.expect("connect");
    (database, listener)
}

async fn send_delayed(database: &TestDatabase, seconds: i32) -> i64 {
    sqlx::query_scalar("select pgmq.send('orders_queue', '{}', $1)")
        .bind(seconds)
        .fetch_one(database.pool())
        .await
        .expect("send a delayed message")
}

/// Whether PGMQ would hand out this message.
async fn is_visible(database: &TestDatabase, msg_id: i64) -> bool {
    sqlx::query_scalar("select vt <= clock_timestamp() from pgmq.q_orders_queue where msg_id = $1")
        .bind(msg_id)
        .fetch_one(database.pool())
        .await
        .expect("look at the message")
}

#[tokio::test]
async fn a_delayed_message_is_told_when_it_is_visible_and_others_go_first() {
    let (database, mut listener) = listening(10).await;
    let start = Instant::now();
    let late = send_delayed(&database, 2).await;
    let soon = send_delayed(&database, 1).await;
    let now = send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await.1, now);
    for (id, seconds) in [(soon, 1), (late, 2)] {
        assert_eq!(next_message(&mut listener).await.1, id);
        assert!(is_visible(&database, id).await);
        let late_by = start.elapsed().saturating_sub(Duration::from_secs(seconds));
        assert!(late_by < Duration::from_millis(500), "{late_by:?}");
    }
    // A batch, too.
    database
        .run("select pgmq.send_batch('orders_queue', array['1', '2']::jsonb[], 1)")
        .await
        .unwrap();
    let PgmqNotifyEvent::BatchReady(batch) = next(&mut listener).await else {
        panic!("a batch is one event");
    };
    assert!(is_visible(&database, batch.msg_ids[0]).await);
}

#[tokio::test]
async fn what_is_delayed_over_a_gap_is_told_once_when_it_is_visible() {
    let (database, mut listener) = listening(10).await;
    let before = send_delayed(&database, 3).await;
    let fence = send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await.1, fence);
    listener.disconnect().await;
    let meanwhile = send_delayed(&database, 3).await;
    listener.connect().await.unwrap();
    gap(&mut listener).await;
    terminate(&database).await;
    let mut told = Vec::new();
    while told.len() < 2 {
        let event = next(&mut listener).await;
        if let PgmqNotifyEvent::MessageReady(event) = event
            && event.msg_id != fence
        {
            assert!(is_visible(&database, event.msg_id).await);
            told.push(event.msg_id);
        }
    }
    assert_eq!(told, [before, meanwhile]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(listener.next_event().now_or_never().is_none());
}

#[tokio::test]
async fn a_retry_is_told_once_when_it_is_due_also_over_a_gap() {
    let (database, mut listener) = listening(10).await;
    for (cut, seconds) in [(false, 1), (true, 4)] {
        let retried = send(&database, "orders_queue").await;
        assert_eq!(next_message(&mut listener).await.1, retried);
        let sql = format!(
            "select pgmq.read('orders_queue', 3600, 1); select pgmq.set_vt('orders_queue', {retried}::bigint, {seconds})"
        );
        database.run(sql).await.unwrap();
        let fence = send(&database, "orders_queue").await;
        assert_eq!(next_message(&mut listener).await.1, fence);
        if cut {
            terminate(&database).await;
            gap(&mut listener).await;
            // It waits, and the catch-up says so.
            assert_eq!(next_message(&mut listener).await.1, fence);
        }
        assert_eq!(next_message(&mut listener).await.1, retried);
        assert!(is_visible(&database, retried).await);
        database
            .run("delete from pgmq.q_orders_queue")
            .await
            .unwrap();
        let last = send_delayed(&database, 1).await;
        assert_eq!(next_message(&mut listener).await.1, last);
        database
            .run("delete from pgmq.q_orders_queue")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn beyond_the_bound_the_catch_up_finds_what_is_due() {
    let (database, mut listener) = listening(3).await;
    for _ in 0..9 {
        send_delayed(&database, 2).await;
        // Each is taken on its own, so that the buffer of three does not overflow.
        assert!(listener.next_event().now_or_never().is_none());
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(listener.next_event().now_or_never().is_none());
    }
    let mut told = std::collections::BTreeSet::new();
    while told.len() < 9 {
        match next(&mut listener).await {
            PgmqNotifyEvent::BatchReady(event) => told.extend(event.msg_ids),
            PgmqNotifyEvent::Resumed(_) => {}
            event => {
                let (_, id) = super::message(&event);
                assert!(is_visible(&database, id).await);
                told.insert(id);
            }
        }
    }
    assert!(listener.stats().resumed > 0);
}

#[tokio::test]
async fn what_is_unsubscribed_while_it_is_delayed_does_not_come() {
    let (database, mut listener) = listening(10).await;
    listener
        .listen_message_ready_for_namespace("other")
        .await
        .unwrap();
    super::create(&database, "other_queue").await;
    send_delayed(&database, 1).await;
    assert!(listener.next_event().now_or_never().is_none());
    let other = send(&database, "other_queue").await;
    assert_eq!(next_message(&mut listener).await, ("other".into(), other));
    listener.unlisten_message_ready_global().await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(1_500), listener.next_event())
            .await
            .is_err()
    );
    assert_eq!(listener.stats().unsubscribed, 1);
}
