//! Reading: what is claimed, for how long, in which order, and what waits.

use std::time::{Duration, Instant};

use pgmq_notify_client::{ErrorKind, PgmqNotifyClient, Polling};
use pgmq_notify_tests::{TestDatabase, eventually};
use serde_json::{Value, json};

use super::{LONG, client, decoded, ids, newest};

async fn with_queue() -> (TestDatabase, PgmqNotifyClient) {
    let (database, client) = client().await;
    client
        .create_queue("orders_queue")
        .await
        .expect("the helper's SQL is right");
    (database, client)
}

/// Whether a statement that contains `text` is running on the server.
async fn is_running(database: &TestDatabase, text: &str) -> bool {
    sqlx::query_scalar(
        "select exists (select from pg_stat_activity where state = 'active' and pid <> pg_backend_pid() and datname = current_database() and query like '%' || $1 || '%')",
    )
    .bind(text)
    .fetch_one(database.pool())
    .await
    .expect("the helper's SQL is right")
}

/// Sends bodies of their own number into groups; `None` has no header.
async fn send_groups(client: &PgmqNotifyClient, groups: &[Option<&str>]) -> Vec<i64> {
    let mut sent = Vec::new();
    for group in groups {
        let sending = client.send("orders_queue", &1);
        let sending = match group {
            Some(group) => sending.headers(&json!({"x-pgmq-group": group})),
            None => sending,
        };
        sent.push(sending.await.expect("the helper's SQL is right"));
    }
    sent
}

#[tokio::test]
async fn a_read_message_is_hidden_until_its_timeout_ends_and_counts_its_reads() {
    let (_database, client) = with_queue().await;
    let msg_id = client.send("orders_queue", &1).await.unwrap();
    assert!(
        client
            .read::<u8>("orders_queue", LONG)
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        client
            .read::<u8>("orders_queue", LONG)
            .await
            .unwrap()
            .is_none()
    );
    client
        .set_vt("orders_queue", msg_id, Duration::ZERO)
        .await
        .unwrap();
    let again = client
        .read::<u8>("orders_queue", LONG)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((again.msg_id, again.read_count), (msg_id, 2));
}

#[tokio::test]
async fn a_timeout_of_zero_leaves_the_message_visible() {
    let (_database, client) = with_queue().await;
    client.send("orders_queue", &1).await.unwrap();
    for count in 1..=3 {
        let read = client
            .read::<u8>("orders_queue", Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(read.unwrap().unwrap().read_count, count);
    }
}

#[tokio::test]
async fn fractions_of_a_timeout_are_rounded_up() {
    let (_database, client) = with_queue().await;
    let msg_id = client.send("orders_queue", &1).await.unwrap();
    let read = client
        .read::<u8>("orders_queue", Duration::from_millis(5001))
        .await
        .unwrap();
    let read = read.unwrap().unwrap();
    let lease = read
        .visible_at
        .duration_since(read.last_read_at.unwrap())
        .unwrap();
    assert_eq!(lease.as_secs(), 6);
    client
        .set_vt("orders_queue", msg_id, Duration::ZERO)
        .await
        .unwrap();
    let claimed = client
        .read_by_id::<u8>("orders_queue", msg_id, Duration::from_millis(5001))
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let lease = claimed
        .visible_at
        .duration_since(claimed.last_read_at.unwrap())
        .unwrap();
    assert_eq!(lease.as_secs(), 6);
}

#[tokio::test]
async fn a_timeout_or_quantity_beyond_range_is_refused_before_any_sql() {
    let (_database, client) = with_queue().await;
    client.send("orders_queue", &1).await.unwrap();
    for error in [
        client
            .read::<u8>("orders_queue", Duration::MAX)
            .await
            .unwrap_err(),
        client
            .read_batch::<u8>("orders_queue", LONG, u32::MAX)
            .await
            .unwrap_err(),
        client
            .read_grouped::<u8>("orders_queue", LONG, 1 << 31)
            .await
            .unwrap_err(),
        client
            .pop_batch::<u8>("orders_queue", u32::MAX)
            .await
            .unwrap_err(),
        client
            .read_by_id::<u8>("orders_queue", 1, Duration::MAX)
            .await
            .unwrap_err(),
        client
            .set_vt("orders_queue", 1, Duration::MAX)
            .await
            .unwrap_err(),
        client
            .read_with_poll::<u8>("orders_queue", LONG, 1, Polling::up_to(Duration::MAX))
            .await
            .unwrap_err(),
        client
            .read_with_poll::<u8>(
                "orders_queue",
                LONG,
                1,
                Polling::up_to(LONG).every(Duration::MAX),
            )
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    let longest = Duration::from_secs((1 << 31) - 1);
    let batch = client
        .read_batch::<u8>("orders_queue", longest, (1 << 31) - 1)
        .await
        .unwrap();
    assert_eq!(batch.len(), 1);
}

#[tokio::test]
async fn a_conditional_read_claims_only_what_contains_the_condition() {
    let (_database, client) = with_queue().await;
    let bodies = [
        json!({"kind": "a", "n": 1}),
        json!({"kind": "b"}),
        json!({"kind": "a", "n": 2}),
    ];
    let sent = client.send_batch("orders_queue", &bodies).await.unwrap();
    let hostile = json!({"kind": "'; drop table pgmq.q_orders_queue; --"});
    assert!(
        client
            .read::<Value>("orders_queue", LONG)
            .conditional(&hostile)
            .await
            .unwrap()
            .is_none()
    );
    let condition = json!({"kind": "a"});
    let read = client
        .read_batch::<Value>("orders_queue", LONG, 9)
        .conditional(&condition)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[0], sent[2]]);
    let read = client
        .read::<Value>("orders_queue", LONG)
        .conditional(&json!({}))
        .await
        .unwrap();
    assert_eq!(read.unwrap().unwrap().msg_id, sent[1]);
}

#[tokio::test]
async fn a_polling_read_returns_as_soon_as_a_message_is_there() {
    let (database, client) = with_queue().await;
    let reader = client.clone();
    let polling = Polling::up_to(LONG).every(Duration::from_millis(5));
    let read = tokio::spawn(async move {
        reader
            .read_with_poll::<u8>("orders_queue", LONG, 5, polling)
            .await
    });
    eventually(Duration::from_secs(20), || {
        is_running(&database, "read_with_poll")
    })
    .await;
    let msg_id = client.send("orders_queue", &1).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(20), read)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ids(read.unwrap()), [msg_id]);
}

#[tokio::test]
async fn a_polling_read_of_an_empty_queue_ends_with_its_time() {
    let (_database, client) = with_queue().await;
    let start = Instant::now();
    let polling = Polling::up_to(Duration::from_millis(500));
    let read = client
        .read_with_poll::<u8>("orders_queue", LONG, 5, polling)
        .await
        .unwrap();
    assert!(read.is_empty());
    assert!(
        start.elapsed() >= Duration::from_secs(1),
        "a part of a second is a whole one"
    );
}

#[tokio::test]
async fn polling_for_no_time_looks_once() {
    let (_database, client) = with_queue().await;
    let msg_id = client.send("orders_queue", &json!({"a": 1})).await.unwrap();
    let once = Polling::up_to(Duration::ZERO);
    let none = client
        .read_with_poll::<Value>("orders_queue", LONG, 5, once)
        .conditional(&json!({"a": 2}))
        .await
        .unwrap();
    assert!(none.is_empty());
    let read = client
        .read_with_poll::<Value>("orders_queue", LONG, 5, once)
        .await
        .unwrap();
    assert_eq!(ids(read), [msg_id]);
    client
        .set_vt("orders_queue", msg_id, Duration::ZERO)
        .await
        .unwrap();
    let read = client
        .read_grouped::<Value>("orders_queue", LONG, 5)
        .with_poll(once)
        .await
        .unwrap();
    assert_eq!(ids(read), [msg_id]);
}

#[tokio::test]
async fn an_operation_that_is_not_awaited_does_nothing() {
    let (_database, client) = with_queue().await;
    drop(client.send("orders_queue", &1));
    let operation = client.send("orders_queue", &2).into_future();
    drop(operation);
    assert_eq!(
        client.metrics("orders_queue").await.unwrap().total_messages,
        0
    );
}

#[tokio::test]
async fn a_grouped_read_fills_up_from_one_group_before_the_next() {
    let (_database, client) = with_queue().await;
    let sent = send_groups(&client, &[Some("a"), Some("b"), Some("a"), None, Some("a")]).await;
    let read = client
        .read_grouped::<u8>("orders_queue", LONG, 3)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[0], sent[2], sent[4]]);
    let read = client
        .read_grouped::<u8>("orders_queue", LONG, 9)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[1], sent[3]]);
}

#[tokio::test]
async fn a_group_whose_first_message_is_claimed_waits() {
    let (_database, client) = with_queue().await;
    let sent = send_groups(&client, &[Some("a"), Some("a"), Some("b")]).await;
    let read = client
        .read_grouped::<u8>("orders_queue", LONG, 1)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[0]]);
    let read = client
        .read_grouped::<u8>("orders_queue", LONG, 9)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[2]]);
    client.delete("orders_queue", sent[0]).await.unwrap();
    let read = client
        .read_grouped::<u8>("orders_queue", LONG, 9)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[1]]);
}

#[tokio::test]
async fn a_round_robin_read_takes_turns_and_keeps_their_order() {
    let (_database, client) = with_queue().await;
    let sent = send_groups(&client, &[Some("a"), Some("a"), Some("b"), None, Some("b")]).await;
    let read = client
        .read_grouped_rr::<u8>("orders_queue", LONG, 9)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[0], sent[2], sent[3], sent[1], sent[4]]);
}

#[tokio::test]
async fn a_head_read_takes_the_first_of_each_group() {
    let (_database, client) = with_queue().await;
    let sent = send_groups(&client, &[Some("a"), Some("a"), Some("b"), None, Some("b")]).await;
    let read = client
        .read_grouped_head::<u8>("orders_queue", LONG, 2)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[0], sent[2]]);
    let read = client
        .read_grouped_head::<u8>("orders_queue", LONG, 9)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[3]]);
}

#[tokio::test]
async fn every_grouped_read_can_poll() {
    let (_database, client) = newest().await;
    client.create_queue("orders_queue").await.unwrap();
    let polling = Polling::up_to(Duration::from_secs(30)).every(Duration::from_millis(5));
    let soon = Duration::from_millis(300);
    for way in 0..3 {
        let read = match way {
            0 => client.read_grouped::<u8>("orders_queue", LONG, 5),
            1 => client.read_grouped_rr::<u8>("orders_queue", LONG, 5),
            _ => client.read_grouped_head::<u8>("orders_queue", LONG, 5),
        };
        let msg_id = client.send("orders_queue", &1).delay(soon).await.unwrap();
        let start = Instant::now();
        let read = decoded(read.with_poll(polling).await.unwrap());
        assert_eq!(read[0].msg_id, msg_id, "way {way}");
        assert!(start.elapsed() < Duration::from_secs(25));
        client.delete("orders_queue", msg_id).await.unwrap();
    }
}
