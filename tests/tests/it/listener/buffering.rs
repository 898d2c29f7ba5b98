//! Applications that are slow, and applications that change their mind.

use std::time::Duration;

use pgmq_notify_core::{PgmqNotifyConfig, ResumeReason};
use pgmq_notify_tests::{TestDatabase, eventually};

use super::{
    SOON, connected, connected_with, connected_without_catch_up, create, gap, message,
    next_message, send,
};

async fn burst(database: &TestDatabase, count: u32) {
    database
        .run(format!(
            "do $$ begin for i in 1..{count} loop perform pgmq.send('orders_queue', '{{}}'); end loop; end $$"
        ))
        .await
        .expect("send a burst");
}

#[tokio::test]
async fn an_overflow_is_one_gap_behind_the_buffered_events_and_later_ones_arrive() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected_without_catch_up(&database, &config, 10).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    for round in 0..3 {
        let first = i64::from(round) * 101 + 1;
        burst(&database, 100).await;
        let dropped = u64::try_from(90 * (round + 1)).unwrap();
        // The socket is read although nobody takes an event.
        eventually(SOON, || async {
            let stats = listener.stats();
            if stats.overflowed_events == dropped {
                Ok(())
            } else {
                Err(stats)
            }
        })
        .await;
        for id in first..first + 10 {
            assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
        }
        let (reason, gap) = gap(&mut listener).await;
        assert_eq!(reason, ResumeReason::Overflow);
        assert!(gap > Duration::ZERO);
        let id = send(&database, "orders_queue").await;
        assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
    }
    let stats = listener.stats();
    assert_eq!((stats.overflows, stats.resumed, stats.gaps), (3, 3, 3));
    assert_eq!(stats.reconnects, 0);
}

#[tokio::test]
async fn on_one_thread_a_burst_far_beyond_the_buffer_reaches_an_application_that_waits() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected_with(&database, &config, 100).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    let sending = burst(&database, 5_000);
    let receiving = async {
        for id in 1..=5_000 {
            assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_select_that_always_prefers_another_branch_loses_no_event() {
    const COUNT: i64 = 2_000;
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    let pool = database.pool().clone();
    let sender = tokio::spawn(async move {
        for _ in 0..COUNT {
            sqlx::raw_sql("select pgmq.send('orders_queue', '{}')")
                .execute(&pool)
                .await
                .unwrap();
        }
    });
    let mut lost = 0;
    let mut received = Vec::new();
    let deadline = tokio::time::Instant::now() + SOON;
    while received.last() != Some(&COUNT) {
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} of {COUNT}",
            received.len()
        );
        tokio::select! {
            biased;
            event = listener.next_event() => received.push(message(&event.unwrap().unwrap()).1),
            () = tokio::task::yield_now() => lost += 1,
        }
    }
    sender.await.unwrap();
    assert_eq!(received, (1..=COUNT).collect::<Vec<_>>());
    assert!(lost > 100, "next_event was cancelled {lost} times only");
}
