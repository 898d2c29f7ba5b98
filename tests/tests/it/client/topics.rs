//! Topics: bindings, routing, and sending by routing key.

use std::time::{Duration, SystemTime};

use pgmq_notify_client::{ErrorKind, PgmqNotifyClient};
use pgmq_notify_tests::TestDatabase;
use serde_json::json;

use super::{LONG, client, decoded, told};

async fn with_queues() -> (TestDatabase, PgmqNotifyClient) {
    let (database, client) = client().await;
    for queue in ["All Logs", "errors_queue", "idle_queue"] {
        client
            .create_queue(queue)
            .await
            .expect("the helper's SQL is right");
    }
    client
        .bind_topic("logs.#", "All Logs")
        .await
        .expect("the helper's SQL is right");
    client
        .bind_topic("logs.*", "All Logs")
        .await
        .expect("the helper's SQL is right");
    client
        .bind_topic("logs.error", "errors_queue")
        .await
        .expect("the helper's SQL is right");
    client
        .bind_topic("logs.error", "errors_queue")
        .await
        .expect("the helper's SQL is right");
    (database, client)
}

#[tokio::test]
async fn bindings_are_listed_all_or_of_one_queue_and_unbound_once() {
    let (_database, client) = with_queues().await;
    assert_eq!(client.list_topic_bindings().await.unwrap().len(), 3);
    let mut bindings = client.list_queue_topic_bindings("All Logs").await.unwrap();
    bindings.sort_by(|a, b| a.pattern.cmp(&b.pattern));
    let patterns: Vec<_> = bindings.iter().map(|b| b.pattern.as_str()).collect();
    assert_eq!(patterns, ["logs.#", "logs.*"]);
    assert_eq!(bindings[0].queue_name, "All Logs");
    assert!(bindings[0].compiled_regex.starts_with('^'));
    assert!(bindings[0].bound_at > SystemTime::UNIX_EPOCH);
    assert!(client.unbind_topic("logs.*", "All Logs").await.unwrap());
    assert!(!client.unbind_topic("logs.*", "All Logs").await.unwrap());
    assert_eq!(client.list_topic_bindings().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_message_reaches_each_bound_queue_once() {
    let (_database, client) = with_queues().await;
    let queues = client
        .send_topic("logs.error", "broken")
        .headers(&json!({"h": 1}))
        .await
        .unwrap();
    assert_eq!(queues, 2);
    assert_eq!(client.send_topic("metrics.cpu", &1).await.unwrap(), 0);
    for (queue, length) in [("All Logs", 1), ("errors_queue", 1), ("idle_queue", 0)] {
        let read = decoded(client.read_batch::<String>(queue, LONG, 9).await.unwrap());
        assert_eq!(read.len(), length, "{queue}");
        for message in read {
            assert_eq!(message.body, "broken");
            assert_eq!(message.headers.unwrap().as_str(), "{\"h\": 1}");
        }
    }
}

#[tokio::test]
async fn a_batch_reaches_each_bound_queue_with_its_ids() {
    let (_database, client) = with_queues().await;
    let sent = client
        .send_batch_topic("logs.error", ["a", "b"])
        .headers_each([1, 2])
        .await
        .unwrap();
    let queues: Vec<_> = sent
        .iter()
        .map(|message| message.queue_name.as_str())
        .collect();
    assert_eq!(
        queues,
        ["All Logs", "All Logs", "errors_queue", "errors_queue"]
    );
    for message in sent {
        let queue = &message.queue_name;
        let claimed = client
            .read_by_id::<String>(queue, message.msg_id, LONG)
            .await
            .unwrap();
        let claimed = claimed.unwrap().unwrap();
        let expected = if claimed.body == "a" { "1" } else { "2" };
        assert_eq!(claimed.headers.unwrap().as_str(), expected);
    }
}

#[tokio::test]
async fn a_delay_of_a_topic_is_rounded_up_and_may_be_past() {
    let (_database, client) = with_queues().await;
    let far = SystemTime::now() + LONG;
    client
        .send_topic("logs.error", &1)
        .delay(far)
        .await
        .unwrap();
    client
        .send_topic("logs.error", &2)
        .delay(Duration::from_millis(100_500))
        .await
        .unwrap();
    client
        .send_batch_topic("logs.error", [3])
        .delay(LONG)
        .await
        .unwrap();
    let metrics = client.metrics("errors_queue").await.unwrap();
    assert_eq!((metrics.length, metrics.visible_length), (3, 0));
    client
        .send_topic("logs.error", &4)
        .delay(SystemTime::UNIX_EPOCH)
        .await
        .unwrap();
    let read = client
        .read::<u8>("errors_queue", LONG)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(read.body, 4);
    let second = client.set_vt("errors_queue", 2, LONG).await.unwrap();
    assert!(second.is_some());
}

#[tokio::test]
async fn routing_is_tested_without_sending() {
    let (_database, client) = with_queues().await;
    let mut matches = client.test_routing("logs.error").await.unwrap();
    matches.sort_by(|a, b| a.pattern.cmp(&b.pattern));
    let pairs: Vec<_> = matches
        .iter()
        .map(|m| (m.pattern.as_str(), m.queue_name.as_str()))
        .collect();
    assert_eq!(
        pairs,
        [
            ("logs.#", "All Logs"),
            ("logs.*", "All Logs"),
            ("logs.error", "errors_queue")
        ]
    );
    assert!(matches.iter().all(|m| !m.compiled_regex.is_empty()));
    assert_eq!(client.test_routing("metrics").await.unwrap(), []);
    assert_eq!(client.metrics("All Logs").await.unwrap().total_messages, 0);
}

#[tokio::test]
async fn the_client_and_pgmq_agree_on_keys_and_patterns() {
    let (_database, client) = with_queues().await;
    let long = "a".repeat(255);
    let longer = "a".repeat(256);
    for text in [
        "logs",
        "logs.error",
        "a-b_c.D9",
        &long,
        "",
        &longer,
        ".a",
        "a.",
        "a..b",
        "a b",
        "ä",
        "a!",
        "logs.*",
        "#",
        "*.#",
        "a.**",
        "a.##",
        "*#",
        "#*",
        "a*",
        "-",
        "a\nb",
        "a\\b",
    ] {
        let pgmq = client.validate_routing_key(text).await;
        let own = client.test_routing(text).await;
        assert_eq!(own.is_ok(), pgmq.is_ok(), "key {text:?}: {own:?}, {pgmq:?}");
        let pgmq = client.validate_topic_pattern(text).await;
        let own = client.unbind_topic(text, "idle_queue").await;
        assert_eq!(
            own.is_ok(),
            pgmq.is_ok(),
            "pattern {text:?}: {own:?}, {pgmq:?}"
        );
        for error in [pgmq.err(), own.err()].into_iter().flatten() {
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidArgument,
                "{text:?}: {}",
                told(&error)
            );
        }
    }
}

#[tokio::test]
async fn binding_a_queue_that_is_not_there_is_an_error() {
    let (_database, client) = with_queues().await;
    let error = client.bind_topic("logs.#", "no_queue").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueNotFound);
    assert_eq!(
        error.to_string(),
        "bind topic, queue \"no_queue\": there is no such queue"
    );
    client.drop_queue("errors_queue").await.unwrap();
    assert_eq!(client.send_topic("logs.error", &1).await.unwrap(), 1);
}
