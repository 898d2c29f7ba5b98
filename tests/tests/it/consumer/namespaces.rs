//! Queues that join and leave, pause and resume.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pgmq_notify_client::{ConsumerErrorKind, ErrorKind, HandlerError, Message};

use super::*;

#[tokio::test]
async fn a_queue_that_is_created_later_joins_its_namespace_and_a_dropped_one_leaves() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let consumer = Consumer::builder(client.clone())
        .namespace("orders", ok)
        .start()
        .await
        .unwrap();
    client.create_queue("orders_queue_2").await.unwrap();
    client.create_queue("other_queue").await.unwrap();
    client.create_queue("orders_queue_dlq").await.unwrap();
    for queue in [
        "orders_queue",
        "orders_queue_2",
        "other_queue",
        "orders_queue_dlq",
    ] {
        client.send(queue, &1).await.unwrap();
    }
    until(&consumer, |it| it.done == 2).await;
    assert_eq!(waiting(&client, "other_queue").await, 1);
    assert_eq!(waiting(&client, "orders_queue_dlq").await, 1);

    client.drop_queue("orders_queue_2").await.unwrap();
    client.create_queue("orders_queue_3").await.unwrap();
    client.send("orders_queue_3", &1).await.unwrap();
    until(&consumer, |it| it.done == 3).await;
    let error = eventually(SOON, || async {
        match consumer.pause("orders_queue_2").await {
            Err(error) => Ok(error),
            Ok(()) => Err("still there"),
        }
    })
    .await;
    assert_eq!(error.kind(), ConsumerErrorKind::InvalidArgument);
    // One that was dropped and is created again is another one.
    client.create_queue("orders_queue_2").await.unwrap();
    client.send("orders_queue_2", &1).await.unwrap();
    until(&consumer, |it| it.done == 4).await;
    consumer.shutdown().await;
}

#[tokio::test]
async fn a_named_queue_that_is_dropped_is_consumed_again_once_it_is_there() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let consumer = Consumer::builder(client.clone())
        .queue("orders_queue", ok)
        .start()
        .await
        .unwrap();
    client.drop_queue("orders_queue").await.unwrap();
    client.create_queue("orders_queue").await.unwrap();
    client.send("orders_queue", &1).await.unwrap();
    until(&consumer, |it| it.done == 1).await;
    consumer.shutdown().await;
}

#[tokio::test]
async fn a_paused_queue_begins_nothing_until_it_is_resumed() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.create_queue("other_queue").await.unwrap();
    let consumer = Consumer::builder(client.clone())
        .source(
            pgmq_notify_client::Source::queues(["orders_queue", "other_queue"]),
            ok,
        )
        .start()
        .await
        .unwrap();
    consumer.pause("orders_queue").await.unwrap();
    client.send("orders_queue", &1).await.unwrap();
    client.send("other_queue", &1).await.unwrap();
    until(&consumer, |it| it.done == 1).await;
    // The event of the first was before that of the second.
    assert_eq!(waiting(&client, "orders_queue").await, 1);
    consumer.resume("orders_queue").await.unwrap();
    until(&consumer, |it| it.done == 2).await;
    consumer.shutdown().await;
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_an_error_that_names_it() {
    let (_database, client) = migrated().await;
    let error = Consumer::builder(client)
        .queue("orders_queue", ok)
        .start()
        .await
        .unwrap_err();
    let kind = ConsumerErrorKind::Client(ErrorKind::QueueNotFound);
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains("\"orders_queue\""), "{error}");
}

#[tokio::test]
async fn a_backlog_of_one_queue_does_not_hold_up_another() {
    let (_database, client) = migrated().await;
    client.create_queue("busy_queue").await.unwrap();
    client.create_queue("calm_queue").await.unwrap();
    client.send_batch("busy_queue", 0..500).await.unwrap();
    let before = Arc::new(AtomicU32::new(0));
    let busy = Arc::clone(&before);
    let (told, calm) = tokio::sync::oneshot::channel();
    let told = std::sync::Mutex::new(Some(told));
    let consumer = Consumer::builder(client.clone())
        .concurrency(2)
        .queue("busy_queue", move |_: Message<u32>, _: Claim| {
            busy.fetch_add(1, Ordering::Relaxed);
            async {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok::<(), HandlerError>(())
            }
        })
        .queue("calm_queue", move |_: Message<u32>, _: Claim| {
            let told = told.lock().unwrap().take();
            async move {
                let _ = told.unwrap().send(());
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.done > 10).await;
    client.send("calm_queue", &1).await.unwrap();
    let at = before.load(Ordering::Relaxed);
    calm.await.unwrap();
    let meanwhile = before.load(Ordering::Relaxed) - at;
    assert!(
        meanwhile < 100,
        "{meanwhile} messages of the other one first"
    );
    consumer.shutdown().await;
}
