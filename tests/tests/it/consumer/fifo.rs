//! Groups: one message after the other within, side by side across.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use pgmq_notify_client::{HandlerError, Message, Order, RetryPolicy, Source};
use serde_json::json;

use super::*;

#[derive(Default)]
struct Log {
    /// The messages of each group that were done, in that order.
    done: HashMap<String, Vec<u32>>,
    running: HashMap<String, u32>,
    most_at_a_time: usize,
    failures: u32,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_is_strictly_in_order_and_groups_run_side_by_side_whatever_fails() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let log = Arc::new(Mutex::new(Log::default()));
    let consumers = {
        let mut consumers = Vec::new();
        for _ in 0..2 {
            let source = Source::queue("orders_queue")
                .with_order(Order::FifoGroups)
                .with_batch_size(20)
                .with_retry(
                    RetryPolicy::new()
                        .with_initial_delay(Duration::from_millis(20))
                        .with_longest_delay(Duration::from_millis(50)),
                );
            let log = Arc::clone(&log);
            let handler = move |message: Message<u32>, _: Claim| {
                let log = Arc::clone(&log);
                async move { handle(&log, &message).await }
            };
            let consumer = Consumer::builder(client.clone())
                .concurrency(4)
                .source(source, handler)
                .start()
                .await
                .unwrap();
            consumers.push(consumer);
        }
        consumers
    };
    for n in 0..400_u32 {
        let group = format!("group {}", n % 8);
        client
            .send("orders_queue", &n)
            .headers(&json!({ "x-pgmq-group": group }))
            .await
            .unwrap();
    }
    eventually(SOON, || async {
        let done: u64 = consumers.iter().map(|it| it.stats().done).sum();
        if done == 400 { Ok(()) } else { Err(done) }
    })
    .await;
    for consumer in consumers {
        consumer.shutdown().await;
    }
    let log = log.lock().unwrap();
    assert_eq!(log.done.len(), 8);
    for (group, done) in &log.done {
        assert!(done.is_sorted(), "{group}: {done:?}");
        assert_eq!(done.len(), 50, "{group}: {done:?}");
    }
    assert!(log.failures > 20, "{} failures", log.failures);
    assert!(log.most_at_a_time > 1, "one after the other");
}

/// Fails now and then, by the message and its attempt.
async fn handle(log: &Mutex<Log>, message: &Message<u32>) -> Result<(), HandlerError> {
    let headers: HashMap<String, serde_json::Value> =
        message.headers.as_ref().unwrap().decode().unwrap();
    let group = headers["x-pgmq-group"].as_str().unwrap().to_owned();
    {
        let mut log = log.lock().unwrap();
        let running = log.running.entry(group.clone()).or_default();
        *running += 1;
        assert_eq!(*running, 1, "two of a group at a time");
        let groups = log.running.values().filter(|it| **it > 0).count();
        log.most_at_a_time = log.most_at_a_time.max(groups);
    }
    tokio::time::sleep(Duration::from_millis(u64::from(message.body % 3))).await;
    let mut log = log.lock().unwrap();
    *log.running.get_mut(&group).unwrap() -= 1;
    if message.body % 9 == 4 && message.read_count < 3 {
        log.failures += 1;
        return Err("not yet".into());
    }
    log.done.entry(group).or_default().push(message.body);
    Ok(())
}

#[tokio::test]
async fn a_dead_letter_lets_its_group_go_on() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send_batch("orders_queue", 1..=3).await.unwrap();
    let done = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&done);
    let stats = Consumer::builder(client.clone())
        .source(
            Source::queue("orders_queue").with_order(Order::FifoGroups),
            move |message: Message<u32>, _: Claim| {
                let log = Arc::clone(&log);
                async move {
                    if message.body == 1 {
                        return Err(HandlerError::fatal("never"));
                    }
                    log.lock().unwrap().push(message.body);
                    Ok(())
                }
            },
        )
        .drain(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((stats.dead, stats.done), (1, 2), "{stats:?}");
    assert_eq!(*done.lock().unwrap(), [2, 3]);
}

#[tokio::test]
async fn a_large_blocked_group_does_not_hide_the_others() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    // More than are looked at at first, all behind one that is not visible.
    database
        .run("insert into pgmq.q_orders_queue (vt, message) select now() + interval '1 hour', '0' from generate_series(1, 3000)")
        .await
        .unwrap();
    client
        .send("orders_queue", &7)
        .headers(&json!({ "x-pgmq-group": "another" }))
        .await
        .unwrap();
    let stats = Consumer::builder(client.clone())
        .source(
            Source::queue("orders_queue").with_order(Order::FifoGroups),
            ok,
        )
        .drain(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(stats.done, 1, "{stats:?}");
}
