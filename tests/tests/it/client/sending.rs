//! What is sent, with which headers, and when it becomes visible.

use std::time::{Duration, SystemTime};

use pgmq_notify_client::{ErrorKind, PgmqNotifyClient};
use pgmq_notify_tests::TestDatabase;
use serde_json::{Value, json};

use super::{LONG, Order, client, decoded, ids};

async fn with_queue() -> (TestDatabase, PgmqNotifyClient) {
    let (database, client) = client().await;
    client
        .create_queue("orders_queue")
        .await
        .expect("the helper's SQL is right");
    (database, client)
}

/// Seconds from sending to becoming visible, as the server has them.
async fn delay(database: &TestDatabase, msg_id: i64) -> f64 {
    sqlx::query_scalar(
        "select extract(epoch from vt - enqueued_at)::float8 from pgmq.q_orders_queue where msg_id = $1",
    )
    .bind(msg_id)
    .fetch_one(database.pool())
    .await
    .expect("the helper's SQL is right")
}

#[tokio::test]
async fn a_sent_message_is_read_with_its_body_headers_and_times() {
    let (_database, client) = with_queue().await;
    let order = Order { number: 7 };
    let before = SystemTime::now() - Duration::from_secs(5);
    let msg_id = client
        .send("orders_queue", &order)
        .headers(&json!({"trace": "abc", "n": 1}))
        .await
        .unwrap();
    let message = client
        .read::<Order>("orders_queue", Duration::from_mins(1))
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((message.msg_id, message.read_count), (msg_id, 1));
    assert_eq!(message.body, order);
    let headers: Value = message.headers.unwrap().decode().unwrap();
    assert_eq!(headers, json!({"trace": "abc", "n": 1}));
    assert!(message.enqueued_at > before);
    let read_at = message.last_read_at.unwrap();
    let lease = message.visible_at.duration_since(read_at).unwrap();
    assert_eq!(lease.as_secs(), 60);
}

#[tokio::test]
async fn a_message_without_headers_has_none() {
    let (_database, client) = with_queue().await;
    client.send("orders_queue", &1).await.unwrap();
    client.send_batch("orders_queue", [2, 3]).await.unwrap();
    for message in decoded(
        client
            .read_batch::<u8>("orders_queue", LONG, 9)
            .await
            .unwrap(),
    ) {
        assert_eq!(message.headers, None);
    }
}

#[tokio::test]
async fn a_batch_is_sent_in_order_with_ids_in_the_same_order() {
    let (_database, client) = with_queue().await;
    let orders: Vec<_> = (0..100).map(|number| Order { number }).collect();
    let sent = client.send_batch("orders_queue", &orders).await.unwrap();
    assert_eq!(sent.len(), 100);
    let read = decoded(
        client
            .read_batch::<Order>("orders_queue", LONG, 200)
            .await
            .unwrap(),
    );
    let pairs: Vec<_> = read.iter().map(|m| (m.msg_id, m.body.number)).collect();
    let expected: Vec<_> = sent.into_iter().zip(0..).collect();
    assert_eq!(pairs, expected);
}

#[tokio::test]
async fn a_batch_of_ten_thousand_is_sent_read_and_deleted_in_one_call_each() {
    let (_database, client) = with_queue().await;
    let sent = client.send_batch("orders_queue", 0..10_000).await.unwrap();
    let read = client
        .read_batch::<u32>("orders_queue", LONG, 20_000)
        .await
        .unwrap();
    let read = decoded(read);
    assert_eq!(read.len(), 10_000);
    assert!(
        read.iter()
            .zip(&sent)
            .all(|(message, id)| message.msg_id == *id)
    );
    assert!(
        read.iter()
            .zip(0..)
            .all(|(message, body)| message.body == body)
    );
    let mut deleted = client.delete_batch("orders_queue", &sent).await.unwrap();
    deleted.sort_unstable();
    assert_eq!(deleted, sent);
    assert_eq!(client.metrics("orders_queue").await.unwrap().length, 0);
}

#[tokio::test]
async fn an_empty_batch_needs_no_sql_and_no_server() {
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/nothing").unwrap();
    let client =
        PgmqNotifyClient::with_pool(pool, pgmq_notify_client::PgmqNotifyConfig::new()).unwrap();
    assert!(client.send_batch::<u8>("q", []).await.unwrap().is_empty());
    assert!(
        client
            .send_batch_topic::<u8>("k", [])
            .await
            .unwrap()
            .is_empty()
    );
    assert!(client.delete_batch("q", &[]).await.unwrap().is_empty());
    assert!(client.archive_batch("q", &[]).await.unwrap().is_empty());
    assert!(
        client
            .set_vt_batch("q", &[], LONG)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        client
            .read_by_ids::<u8>("q", &[], LONG)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        client
            .read_batch::<u8>("q", LONG, 0)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(client.pop_batch::<u8>("q", 0).await.unwrap().is_empty());
    assert!(
        client
            .read_grouped::<u8>("q", LONG, 0)
            .await
            .unwrap()
            .is_empty()
    );
    let error = client.send_batch::<u8>("a;b", []).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::InvalidArgument,
        "a wrong name is wrong for no messages too"
    );
}

#[tokio::test]
async fn headers_of_a_batch_are_the_same_for_all_or_one_for_each() {
    let (_database, client) = with_queue().await;
    client
        .send_batch("orders_queue", [0, 1])
        .headers(&json!({"all": true}))
        .await
        .unwrap();
    client
        .send_batch("orders_queue", [2, 3])
        .headers_each([json!({"n": 2}), json!(null)])
        .await
        .unwrap();
    let headers: Vec<_> = decoded(
        client
            .read_batch::<u8>("orders_queue", LONG, 9)
            .await
            .unwrap(),
    )
    .into_iter()
    .map(|message| message.headers.unwrap().to_string())
    .collect();
    assert_eq!(
        headers,
        ["{\"all\": true}", "{\"all\": true}", "{\"n\": 2}", "null"]
    );

    let error = client
        .send_batch("orders_queue", [4, 5])
        .headers_each([1, 2, 3])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.to_string(), "3 headers for 2 messages");
}

#[tokio::test]
async fn a_delay_is_exact_whether_a_duration_or_a_point_in_time() {
    let (database, client) = with_queue().await;
    let msg_id = client
        .send("orders_queue", &1)
        .delay(Duration::from_millis(1_500_250))
        .await
        .unwrap();
    // The statement's clock runs on between `now()` and `clock_timestamp()`.
    let seconds = delay(&database, msg_id).await;
    assert!((1500.25..1501.25).contains(&seconds), "{seconds}");

    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(4_102_444_800_123_456);
    let sent = client
        .send_batch("orders_queue", [2, 3])
        .delay(at)
        .await
        .unwrap();
    for msg_id in sent {
        let visible = client
            .set_vt("orders_queue", msg_id, LONG)
            .await
            .unwrap()
            .unwrap();
        assert!(visible.visible_at < at);
        let visible = client
            .set_vt("orders_queue", msg_id, at)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(visible.visible_at, at);
    }
    assert!(
        client
            .read::<u8>("orders_queue", LONG)
            .await
            .unwrap()
            .is_none()
    );

    let past = SystemTime::UNIX_EPOCH - Duration::from_hours(24 * 365 * 100);
    let msg_id = client.send("orders_queue", &4).delay(past).await.unwrap();
    assert_eq!(
        ids(client
            .read_batch::<u8>("orders_queue", LONG, 9)
            .await
            .unwrap()),
        [msg_id]
    );
}

#[tokio::test]
async fn a_delay_beyond_range_is_refused_before_any_sql() {
    let (_database, client) = with_queue().await;
    for error in [
        client
            .send("orders_queue", &1)
            .delay(Duration::MAX)
            .await
            .unwrap_err(),
        client
            .send_batch("orders_queue", [1])
            .delay(Duration::MAX)
            .await
            .unwrap_err(),
        client
            .send_topic("key", &1)
            .delay(Duration::from_secs(1 << 31))
            .await
            .unwrap_err(),
        client
            .send("orders_queue", &1)
            .delay(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 53))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    }
    let longest = Duration::from_secs((1 << 31) - 1);
    client
        .send("orders_queue", &1)
        .delay(longest)
        .await
        .unwrap();
    assert_eq!(client.metrics("orders_queue").await.unwrap().length, 1);
}
