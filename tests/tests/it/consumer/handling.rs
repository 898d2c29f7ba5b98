//! What becomes of a message by the result of its handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pgmq_notify_client::{HandlerError, Message, RetryPolicy, Source};
use tokio::sync::mpsc;

use super::*;

#[tokio::test]
async fn a_message_that_is_sent_is_handled_and_gone() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let (done, mut handled) = mpsc::channel(10);
    let consumer = Consumer::builder(client.clone())
        .queue(
            "orders_queue",
            move |message: Message<String>, claim: Claim| {
                let done = done.clone();
                async move {
                    done.send((claim.queue().to_string(), message.body, message.read_count))
                        .await
                        .map_err(|_| "nobody waits")?;
                    Ok::<(), HandlerError>(())
                }
            },
        )
        .start()
        .await
        .unwrap();
    client.send("orders_queue", &"first").await.unwrap();
    let first = handled.recv().await.unwrap();
    assert_eq!(first, ("orders_queue".into(), "first".into(), 1));
    client.send_batch("orders_queue", ["a", "b"]).await.unwrap();
    handled.recv().await.unwrap();
    handled.recv().await.unwrap();
    until(&consumer, |it| it.done == 3 && it.in_flight == 0).await;
    assert_eq!(waiting(&client, "orders_queue").await, 0);
    let report = consumer.shutdown().await;
    assert_eq!((report.aborted, report.unsettled), (0, 0));
}

#[tokio::test]
async fn a_failed_message_is_tried_again_and_becomes_a_dead_letter_with_its_errors() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let retry = RetryPolicy::new()
        .with_initial_delay(Duration::from_millis(20))
        .with_max_attempts(3);
    let source = Source::queue("orders_queue").with_retry(retry);
    let consumer = Consumer::builder(client.clone())
        .source(source, move |_: Message<u8>, _: Claim| {
            let n = counted.fetch_add(1, Ordering::Relaxed) + 1;
            async move { Err::<(), _>(format!("failure {n}")) }
        })
        .start()
        .await
        .unwrap();
    let sent = client.send("orders_queue", &7).await.unwrap();
    until(&consumer, |it| it.dead == 1).await;
    assert_eq!(tries.load(Ordering::Relaxed), 3);
    assert_eq!(consumer.stats().retried, 2);
    assert_eq!(waiting(&client, "orders_queue").await, 0);
    let dead = client.read::<u8>("orders_queue_dlq", SOON).await.unwrap();
    let dead = dead.unwrap().unwrap();
    let letter = dead.dead_letter().unwrap();
    assert_eq!((dead.body, letter.msg_id, letter.read_count), (7, sent, 3));
    assert_eq!(letter.queue, "orders_queue");
    assert_eq!(letter.reason, "attempts");
    assert_eq!(letter.first_error, "failure 1");
    assert_eq!(letter.last_error, "failure 3");
    consumer.shutdown().await;
}

/// An error that cannot be shown.
#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("nothing can be said")
    }
}

impl std::error::Error for Unspeakable {}

#[tokio::test]
async fn an_error_that_panics_when_it_is_shown_is_a_failure_and_the_others_go_on() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send_batch("orders_queue", 1..=3).await.unwrap();
    let retry = RetryPolicy::new().with_max_attempts(1);
    let stats = Consumer::builder(client.clone())
        .source(
            Source::queue("orders_queue").with_retry(retry),
            |message: Message<u32>, _: Claim| async move {
                if message.body == 2 {
                    Err(Unspeakable)
                } else {
                    Ok(())
                }
            },
        )
        .drain(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((stats.done, stats.panicked, stats.dead), (2, 1, 1));
}
