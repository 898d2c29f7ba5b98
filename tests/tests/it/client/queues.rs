//! Creating, listing, purging and dropping, and what PGMQ counts.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use pgmq_notify_client::{ErrorKind, Partitions};

use super::{LONG, client, decoded, newest, told};

/// Every kind of name that PGMQ accepts and treats in a way of its own.
const NAMES: [&str; 8] = [
    "orders_queue",
    "Mixed_Case",
    "with space",
    "with\"quote",
    "with.dot%",
    "-",
    "Größe_Ähre",
    "🐘🐘🐘",
];

#[tokio::test]
async fn a_queue_of_any_name_is_created_listed_used_and_dropped() {
    let (_database, client) = client().await;
    for name in NAMES {
        client.create_queue(name).await.unwrap();
        client.create_queue(name).await.unwrap();
    }
    let mut expected = NAMES.map(str::to_owned);
    expected.sort_unstable();
    let listed = client.list_queues().await.unwrap();
    let names: Vec<_> = listed.iter().map(|queue| queue.name.to_string()).collect();
    assert_eq!(names, expected);
    let age = SystemTime::now().duration_since(listed[0].created_at);
    assert!(age.unwrap_or_default() < LONG, "{:?}", listed[0].created_at);

    for name in NAMES {
        let msg_id = client.send(name, name).await.unwrap();
        let claimed = client
            .read_by_id::<String>(name, msg_id, LONG)
            .await
            .unwrap();
        assert_eq!(claimed.unwrap().unwrap().body, name);
        let metrics = client.metrics(name).await.unwrap();
        assert_eq!((metrics.length, metrics.visible_length), (1, 0), "{name}");
        assert!(client.archive(name, msg_id).await.unwrap(), "{name}");
        assert!(client.drop_queue(name).await.unwrap(), "{name}");
        assert!(!client.drop_queue(name).await.unwrap(), "{name}");
    }
    assert_eq!(client.list_queues().await.unwrap(), []);
}

#[tokio::test]
async fn a_name_as_long_as_pgmq_allows_is_sent_to_and_claimed_from() {
    let (_database, client) = client().await;
    for name in ["q".repeat(47), "Q".repeat(47), "🐘".repeat(47)] {
        client.create_queue(&name).await.unwrap();
        let msg_id = client.send(&name, &1).await.unwrap();
        let claimed = client.read_by_id::<u8>(&name, msg_id, LONG).await.unwrap();
        assert_eq!(claimed.unwrap().unwrap().body, 1, "{name}");
        // `Q…` and `q…` share a table: the next name must find it empty.
        assert!(client.delete(&name, msg_id).await.unwrap());
    }
}

#[tokio::test]
async fn an_unlogged_queue_says_so_and_works_like_any_other() {
    let (database, client) = client().await;
    client.create_unlogged_queue("fast_queue").await.unwrap();
    let listed = client.list_queues().await.unwrap();
    assert!(listed[0].is_unlogged && !listed[0].is_partitioned);
    let persistence: String = sqlx::query_scalar(
        "select relpersistence::text from pg_class where oid = 'pgmq.q_fast_queue'::regclass",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert_eq!(persistence, "u");
    let msg_id = client.send("fast_queue", "fast").await.unwrap();
    let claimed = client
        .read_by_id::<String>("fast_queue", msg_id, LONG)
        .await
        .unwrap();
    assert_eq!(claimed.unwrap().unwrap().body, "fast");
}

#[tokio::test]
async fn a_partitioned_queue_without_pg_partman_is_an_error_that_names_it() {
    let (_database, client) = newest().await;
    let ten = NonZeroU32::new(10).unwrap();
    for partitions in [
        Partitions::by_messages(ten, ten),
        Partitions::by_messages(ten, ten).premake(ten),
        Partitions::by_time("1 day", "1 month"),
    ] {
        let error = client
            .create_partitioned_queue("big_queue", &partitions)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PartmanMissing, "{}", told(&error));
        assert!(
            error.to_string().contains("create extension pg_partman"),
            "{error}"
        );
    }
    client.create_queue("big_queue").await.unwrap();
    let error = client
        .convert_archive_partitioned("big_queue", &Partitions::by_messages(ten, ten))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PartmanMissing, "{}", told(&error));
    client.send("big_queue", &1).await.unwrap();
}

#[tokio::test]
async fn what_pg_partman_itself_refuses_is_not_taken_for_its_absence() {
    let (database, client) = client().await;
    database
        .run("create or replace function pgmq._ensure_pg_partman_installed() returns void language plpgsql as $$ begin raise exception 'the parent table is configured already'; end $$")
        .await
        .unwrap();
    let error = client
        .create_partitioned_queue("big_queue", &Partitions::by_time("1 day", "1 month"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Database);
    assert!(
        told(&error).contains("configured already"),
        "{}",
        told(&error)
    );
}

#[tokio::test]
async fn an_archive_is_not_converted_where_pgmq_would_not_quote_its_name() {
    let (_database, client) = client().await;
    let ten = NonZeroU32::new(10).unwrap();
    for name in ["Big", "a b", "a\"b", "x rename to y"] {
        let error = client
            .convert_archive_partitioned(name, &Partitions::by_messages(ten, ten))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}");
    }
}

#[tokio::test]
async fn purging_says_how_many_messages_there_were_and_leaves_the_archive() {
    let (database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    let sent = client.send_batch("orders_queue", 0..5).await.unwrap();
    client.archive("orders_queue", sent[0]).await.unwrap();
    assert_eq!(client.purge_queue("orders_queue").await.unwrap(), 4);
    assert_eq!(client.purge_queue("orders_queue").await.unwrap(), 0);
    let archived: i64 = sqlx::query_scalar("select count(*) from pgmq.a_orders_queue")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(archived, 1);
}

#[tokio::test]
async fn metrics_count_what_is_there_what_is_visible_and_what_ever_was() {
    let (database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    client.create_queue("other_queue").await.unwrap();
    let empty = client.metrics("orders_queue").await.unwrap();
    assert_eq!(
        (empty.length, empty.visible_length, empty.total_messages),
        (0, 0, 0)
    );
    assert_eq!((empty.newest_age, empty.oldest_age), (None, None));
    assert_eq!(empty.default_partition_length, None);

    client.send_batch("orders_queue", 0..3).await.unwrap();
    client.send("orders_queue", &3).delay(LONG).await.unwrap();
    client.pop::<u8>("orders_queue").await.unwrap();
    database
        .run("update pgmq.q_orders_queue set enqueued_at = now() - interval '90 seconds' where message = '1'")
        .await
        .unwrap();
    let metrics = client.metrics("orders_queue").await.unwrap();
    assert_eq!(
        (
            metrics.length,
            metrics.visible_length,
            metrics.total_messages
        ),
        (3, 2, 4)
    );
    let oldest = metrics.oldest_age.unwrap();
    assert!((90..100).contains(&oldest.as_secs()), "{oldest:?}");
    assert!(metrics.newest_age.unwrap() < Duration::from_mins(1));
    assert!(metrics.counted_at.duration_since(empty.counted_at).is_ok());

    let mut all = client.metrics_all().await.unwrap();
    all.sort_by(|a, b| a.queue_name.cmp(&b.queue_name));
    let lengths: Vec<_> = all
        .iter()
        .map(|m| (m.queue_name.as_str(), m.length))
        .collect();
    assert_eq!(lengths, [("orders_queue", 3), ("other_queue", 0)]);
}

#[tokio::test]
async fn the_index_for_groups_is_created_on_one_queue_or_on_all() {
    let (database, client) = client().await;
    for queue in ["a_queue", "b_queue", "c_queue"] {
        client.create_queue(queue).await.unwrap();
    }
    let indexes = async || -> i64 {
        sqlx::query_scalar("select count(*) from pg_indexes where schemaname = 'pgmq' and indexname like '%fifo_idx'")
            .fetch_one(database.pool())
            .await
            .unwrap()
    };
    client.create_fifo_index("a_queue").await.unwrap();
    assert_eq!(indexes().await, 1);
    client.create_fifo_indexes_all().await.unwrap();
    assert_eq!(indexes().await, 3);
}

#[tokio::test]
async fn pgmqs_own_notifications_are_enabled_changed_listed_and_disabled() {
    let (database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    client
        .enable_notify_insert("orders_queue", Duration::from_micros(1500))
        .await
        .unwrap();
    let listed = client.list_notify_insert_throttles().await.unwrap();
    assert_eq!(listed[0].queue_name, "orders_queue");
    assert_eq!(listed[0].throttle, Duration::from_millis(2), "rounded up");
    assert_eq!(listed[0].last_notified_at, SystemTime::UNIX_EPOCH);

    client
        .update_notify_insert("orders_queue", LONG)
        .await
        .unwrap();
    let listed = client.list_notify_insert_throttles().await.unwrap();
    assert_eq!(listed[0].throttle, LONG);
    let mut heard = pgmq_notify_tests::Heard::on(&database, ["pgmq.q_orders_queue.INSERT"]).await;
    client.send("orders_queue", &1).await.unwrap();
    assert_eq!(heard.notification().await.payload(), "");

    client.disable_notify_insert("orders_queue").await.unwrap();
    assert_eq!(client.list_notify_insert_throttles().await.unwrap(), []);
    client.disable_notify_insert("no_queue").await.unwrap();
    let error = client
        .update_notify_insert("orders_queue", LONG)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueNotFound);
    let error = client
        .enable_notify_insert("no_queue", LONG)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QueueNotFound);
}

#[tokio::test]
async fn queues_created_by_others_are_listed_and_read_as_they_spelled_them() {
    let (database, client) = client().await;
    database
        .run("select pgmq.create('Their Queue'), pgmq.send('Their Queue', '\"hello\"')")
        .await
        .unwrap();
    let listed = client.list_queues().await.unwrap();
    assert_eq!(listed[0].name, "Their Queue");
    let messages = client
        .read_batch::<String>(&listed[0].name, LONG, 10)
        .await
        .unwrap();
    assert_eq!(decoded(messages)[0].body, "hello");
}
