//! Messages and queues that cannot be handled as usual.

use pgmq_notify_client::{HandlerError, Message, RetryPolicy, Source};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_body_that_does_not_decode_becomes_a_dead_letter_at_once_with_the_reason() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let headers = json!({ "trace": "t-1" });
    client
        .send("orders_queue", &json!({ "not": "a number" }))
        .headers(&headers)
        .await
        .unwrap();
    let stats = Consumer::builder(client.clone())
        .queue("orders_queue", ok)
        .drain(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((stats.undecodable, stats.dead, stats.retried), (1, 1, 0));
    let dead = client
        .read::<serde_json::Value>("orders_queue_dlq", SOON)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(dead.body, json!({ "not": "a number" }));
    let letter = dead.dead_letter().unwrap();
    assert_eq!(
        (letter.reason.as_str(), letter.read_count),
        ("undecodable", 1)
    );
    assert!(letter.last_error.contains("does not decode"), "{letter:?}");
    let kept: serde_json::Value = dead.headers.unwrap().decode().unwrap();
    assert_eq!(kept["trace"], "t-1");
}

#[tokio::test]
async fn a_panicking_handler_is_a_failure_and_the_others_go_on() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send_batch("orders_queue", 1..=3).await.unwrap();
    let retry = RetryPolicy::new().with_max_attempts(1);
    let stats = Consumer::builder(client.clone())
        .source(
            Source::queue("orders_queue").with_retry(retry),
            |message: Message<u32>, _: Claim| async move {
                assert_ne!(message.body, 2, "two is too many");
                Ok::<(), HandlerError>(())
            },
        )
        .drain(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((stats.done, stats.panicked, stats.dead), (2, 1, 1));
    let dead = client.read::<u32>("orders_queue_dlq", SOON).await.unwrap();
    let letter = dead.unwrap().unwrap().dead_letter().unwrap();
    assert!(letter.last_error.contains("two is too many"), "{letter:?}");
}

#[tokio::test]
async fn a_handler_decides_over_the_next_attempt() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send("orders_queue", &1).await.unwrap();
    client.send("orders_queue", &2).await.unwrap();
    // Without the handler's word the next attempt would be in an hour.
    let retry = RetryPolicy::new().with_initial_delay(Duration::from_hours(1));
    let stats = Consumer::builder(client.clone())
        .source(
            Source::queue("orders_queue").with_retry(retry),
            |message: Message<u32>, claim: Claim| async move {
                match (message.body, claim.attempt()) {
                    (1, 1) => Err(HandlerError::retry_after(Duration::from_millis(50), "soon")),
                    (1, _) => Ok(()),
                    _ => Err(HandlerError::fatal("never")),
                }
            },
        )
        .drain(Duration::from_secs(20))
        .await
        .unwrap();
    assert_eq!(
        (stats.done, stats.retried, stats.dead),
        (1, 1, 1),
        "{stats:?}"
    );
}

#[tokio::test]
async fn a_message_is_moved_when_its_processes_died_too_often() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send("orders_queue", &1).await.unwrap();
    database
        .run("update pgmq.q_orders_queue set read_ct = 3")
        .await
        .unwrap();
    let retry = RetryPolicy::new().with_max_attempts(3);
    let stats = Consumer::builder(client.clone())
        .source(Source::queue("orders_queue").with_retry(retry), ok)
        .drain(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((stats.done, stats.dead), (0, 1), "{stats:?}");
}

#[tokio::test]
async fn a_dead_letter_queue_that_cannot_be_written_leaves_the_message_where_it_is() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.create_queue("orders_queue_dlq").await.unwrap();
    database
        .run("alter table pgmq.q_orders_queue_dlq add constraint is_full check (false)")
        .await
        .unwrap();
    client.send("orders_queue", &"not a number").await.unwrap();
    let retry = RetryPolicy::new().with_initial_delay(Duration::from_millis(50));
    let consumer = Consumer::builder(client.clone())
        .source(Source::queue("orders_queue").with_retry(retry), ok)
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.undecodable >= 2).await;
    assert_eq!(waiting(&client, "orders_queue").await, 1);
    assert_eq!(consumer.stats().dead, 0);
    // Once that is mended it goes where it belongs.
    database
        .run("alter table pgmq.q_orders_queue_dlq drop constraint is_full")
        .await
        .unwrap();
    until(&consumer, |it| it.dead == 1).await;
    assert_eq!(waiting(&client, "orders_queue_dlq").await, 1);
    consumer.shutdown().await;
}

#[tokio::test]
async fn a_queue_that_is_purged_under_its_handlers_counts_as_lost_and_nothing_breaks() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send_batch("orders_queue", 1..=4).await.unwrap();
    let (go, gate) = tokio::sync::watch::channel(false);
    let consumer = Consumer::builder(client.clone())
        .queue("orders_queue", move |_: Message<u32>, _: Claim| {
            let mut gate = gate.clone();
            async move {
                gate.wait_for(|open| *open).await?;
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.in_flight == 4).await;
    client.purge_queue("orders_queue").await.unwrap();
    go.send(true).unwrap();
    until(&consumer, |it| it.lost == 4 && it.in_flight == 0).await;
    client.send("orders_queue", &5).await.unwrap();
    until(&consumer, |it| it.done == 1).await;
    consumer.shutdown().await;
}

#[tokio::test]
async fn dead_letters_are_put_back_as_they_were_sent() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let plain = client.send("orders_queue", &"a").await.unwrap();
    client
        .send("orders_queue", &"b")
        .headers(&json!({ "trace": "t-1" }))
        .await
        .unwrap();
    // Headers need not be an object.
    client
        .send("orders_queue", &"c")
        .headers(&json!(["odd"]))
        .await
        .unwrap();
    let stats = Consumer::builder(client.clone())
        .queue("orders_queue", ok)
        .drain(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(stats.dead, 3);
    client
        .send("orders_queue_dlq", &"no dead letter")
        .await
        .unwrap();
    let first = client.redrive("orders_queue_dlq", 1).await.unwrap();
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].queue, "orders_queue");
    assert!(first[0].msg_id > plain);
    let others = client.redrive("orders_queue_dlq", 100).await.unwrap();
    assert_eq!(others.len(), 2);
    assert_eq!(client.redrive("orders_queue_dlq", 100).await.unwrap(), []);
    assert_eq!(waiting(&client, "orders_queue_dlq").await, 1);
    let back = client
        .read_batch::<String>("orders_queue", SOON, 10)
        .await
        .unwrap();
    let back: Vec<_> = back
        .into_iter()
        .map(|it| {
            let it = it.unwrap();
            let headers = it.headers.map(|it| it.as_str().to_owned());
            (it.body, headers, it.read_count)
        })
        .collect();
    let expected = [
        ("a".to_owned(), None, 1),
        ("b".to_owned(), Some("{\"trace\": \"t-1\"}".to_owned()), 1),
        ("c".to_owned(), Some("[\"odd\"]".to_owned()), 1),
    ];
    assert_eq!(back, expected);
}

#[tokio::test]
async fn a_dead_letter_whose_queue_is_gone_stays_one() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send("orders_queue", &"a").await.unwrap();
    Consumer::builder(client.clone())
        .queue("orders_queue", ok)
        .drain(Duration::ZERO)
        .await
        .unwrap();
    client.drop_queue("orders_queue").await.unwrap();
    let error = client.redrive("orders_queue_dlq", 10).await.unwrap_err();
    assert_eq!(error.kind(), pgmq_notify_client::ErrorKind::QueueNotFound);
    assert_eq!(waiting(&client, "orders_queue_dlq").await, 1);
}

#[tokio::test]
async fn a_queue_that_is_dropped_under_its_handlers_ends_nothing_else() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.create_queue("other_queue").await.unwrap();
    client.send_batch("orders_queue", 1..=4).await.unwrap();
    let (go, gate) = tokio::sync::watch::channel(false);
    let handler = move |_: Message<u32>, claim: Claim| {
        let mut gate = gate.clone();
        async move {
            if *claim.queue() == "orders_queue" {
                gate.wait_for(|open| *open).await?;
            }
            Ok::<(), HandlerError>(())
        }
    };
    let consumer = Consumer::builder(client.clone())
        .source(Source::queues(["orders_queue", "other_queue"]), handler)
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.in_flight == 4).await;
    client.drop_queue("orders_queue").await.unwrap();
    client.send("other_queue", &1).await.unwrap();
    until(&consumer, |it| it.done == 1).await;
    go.send(true).unwrap();
    client.send("other_queue", &2).await.unwrap();
    until(&consumer, |it| it.done == 2 && it.in_flight == 0).await;
    let stats = consumer.stats();
    assert_eq!(stats.unsettled + stats.lost, 4, "{stats:?}");
    consumer.shutdown().await;
}
