//! Pop, delete, archive and visibility.

use std::time::{Duration, SystemTime};

use pgmq_notify_client::PgmqNotifyClient;
use pgmq_notify_tests::TestDatabase;
use serde_json::json;

use super::{LONG, client, ids};

async fn with_queue() -> (TestDatabase, PgmqNotifyClient) {
    let (database, client) = client().await;
    client
        .create_queue("orders_queue")
        .await
        .expect("the helper's SQL is right");
    (database, client)
}

fn sorted(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn a_popped_message_is_gone() {
    let (_database, client) = with_queue().await;
    let sent = client.send_batch("orders_queue", [1, 2]).await.unwrap();
    let popped = client
        .pop::<u8>("orders_queue")
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(
        (popped.msg_id, popped.body, popped.read_count),
        (sent[0], 1, 0)
    );
    assert_eq!(popped.last_read_at, None);
    assert!(!client.delete("orders_queue", sent[0]).await.unwrap());
    client
        .pop::<u8>("orders_queue")
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(client.pop::<u8>("orders_queue").await.unwrap().is_none());
}

#[tokio::test]
async fn a_batch_is_popped_from_the_oldest_on() {
    let (_database, client) = with_queue().await;
    let sent = client.send_batch("orders_queue", 0..5).await.unwrap();
    let popped = client.pop_batch::<u8>("orders_queue", 3).await.unwrap();
    assert_eq!(ids(popped), sent[..3]);
    let popped = client.pop_batch::<u8>("orders_queue", 3).await.unwrap();
    assert_eq!(ids(popped), sent[3..]);
}

#[tokio::test]
async fn deleting_says_what_was_there() {
    let (_database, client) = with_queue().await;
    let sent = client.send_batch("orders_queue", 0..4).await.unwrap();
    assert!(client.delete("orders_queue", sent[0]).await.unwrap());
    assert!(!client.delete("orders_queue", sent[0]).await.unwrap());
    let deleted = client
        .delete_batch("orders_queue", &sent[..3])
        .await
        .unwrap();
    assert_eq!(sorted(deleted), sent[1..3]);
    assert_eq!(client.metrics("orders_queue").await.unwrap().length, 1);
}

#[tokio::test]
async fn archiving_moves_body_headers_and_counts() {
    let (database, client) = with_queue().await;
    let sent = client
        .send_batch("orders_queue", [1, 2, 3])
        .headers(&json!({"h": 1}))
        .await
        .unwrap();
    client
        .read_batch::<u8>("orders_queue", LONG, 9)
        .await
        .unwrap();
    assert!(client.archive("orders_queue", sent[0]).await.unwrap());
    assert!(!client.archive("orders_queue", sent[0]).await.unwrap());
    let archived = client.archive_batch("orders_queue", &sent).await.unwrap();
    assert_eq!(sorted(archived), sent[1..]);
    let archive: Vec<(i64, String, String, i32)> = sqlx::query_as(
        "select msg_id, message::text, headers::text, read_ct from pgmq.a_orders_queue order by msg_id",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    let expected: Vec<_> = (1..)
        .zip(&sent)
        .map(|(body, id)| (*id, format!("{body}"), "{\"h\": 1}".to_owned(), 1))
        .collect();
    assert_eq!(archive, expected);
}

#[tokio::test]
async fn visibility_is_set_by_duration_and_by_point_in_time() {
    let (_database, client) = with_queue().await;
    let msg_id = client.send("orders_queue", &1).await.unwrap();
    let before = SystemTime::now();
    let set = client
        .set_vt("orders_queue", msg_id, LONG)
        .await
        .unwrap()
        .unwrap();
    let lease = set.visible_at.duration_since(before).unwrap();
    assert!((599..610).contains(&lease.as_secs()), "{lease:?}");
    assert_eq!((set.msg_id, set.read_count), (msg_id, 0));

    let at = SystemTime::UNIX_EPOCH + Duration::from_micros(4_102_444_800_000_001);
    let set = client
        .set_vt("orders_queue", msg_id, at)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(set.visible_at, at);
    let set = client
        .set_vt("orders_queue", msg_id, SystemTime::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!(set.unwrap().visible_at, SystemTime::UNIX_EPOCH);
    assert!(
        client
            .read::<u8>("orders_queue", LONG)
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(client.set_vt("orders_queue", 99, LONG).await.unwrap(), None);
}

#[tokio::test]
async fn visibility_of_a_batch_is_set_for_those_that_are_there() {
    let (_database, client) = with_queue().await;
    let sent = client.send_batch("orders_queue", 0..3).await.unwrap();
    let at = SystemTime::UNIX_EPOCH + Duration::from_hours(1_139_568);
    let changed = client
        .set_vt_batch("orders_queue", &[sent[2], 99, sent[0]], at)
        .await
        .unwrap();
    let pairs: Vec<_> = changed
        .iter()
        .map(|one| (one.msg_id, one.visible_at))
        .collect();
    assert_eq!(pairs, [(sent[0], at), (sent[2], at)]);
    let read = client
        .read_batch::<u8>("orders_queue", LONG, 9)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[1]]);
    let changed = client
        .set_vt_batch("orders_queue", &sent, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(changed.len(), 3);
    let read = client
        .read_batch::<u8>("orders_queue", LONG, 9)
        .await
        .unwrap();
    assert_eq!(ids(read), sent);
}

#[tokio::test]
async fn a_time_of_infinity_is_a_time_far_away() {
    let (database, client) = with_queue().await;
    let msg_id = client.send("orders_queue", &1).await.unwrap();
    database
        .run("update pgmq.q_orders_queue set enqueued_at = '-infinity'")
        .await
        .unwrap();
    let read = client
        .read_by_id::<u8>("orders_queue", msg_id, LONG)
        .await
        .unwrap();
    assert!(read.unwrap().unwrap().enqueued_at < SystemTime::UNIX_EPOCH);
}
