//! Older releases of PGMQ: what works, and what is said of the rest.
//!
//! 1.11 and 1.13 are published as SQL. Older ones are made of 1.13 by dropping what they lacked.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use pgmq_notify_client::{ClientError, ErrorKind, Partitions, PgmqNotifyClient, Polling};
use pgmq_notify_tests::{Pgmq, TestDatabase};
use serde_json::json;

use super::{LONG, client_of, ids, told};

/// Drops what came with each release, the newest first, down to `minor`.
async fn older(database: &TestDatabase, minor: u32) {
    let brought: [(u32, &[&str]); 7] = [
        (13, &["create_partitioned(text, text, text, integer)"]),
        (
            12,
            &[
                "read_grouped_head_with_poll(text, integer, integer, integer, integer)",
                "read_grouped_head(text, integer, integer)",
            ],
        ),
        (
            11,
            &[
                "bind_topic(text, text)",
                "unbind_topic(text, text)",
                "test_routing(text)",
                "list_topic_bindings()",
                "list_topic_bindings(text)",
                "send_topic(text, jsonb, jsonb, integer)",
                "send_batch_topic(text, jsonb[], jsonb[], timestamptz)",
                "validate_routing_key(text)",
                "validate_topic_pattern(text)",
                "list_notify_insert_throttles()",
                "update_notify_insert(text, integer)",
            ],
        ),
        (
            10,
            &[
                "set_vt(text, bigint, timestamptz)",
                "set_vt(text, bigint[], timestamptz)",
            ],
        ),
        (
            9,
            &[
                "read_grouped(text, integer, integer)",
                "read_grouped_with_poll(text, integer, integer, integer, integer)",
                "read_grouped_rr(text, integer, integer)",
                "read_grouped_rr_with_poll(text, integer, integer, integer, integer)",
                "create_fifo_index(text)",
                "create_fifo_indexes_all()",
            ],
        ),
        (
            8,
            &[
                "set_vt(text, bigint[], integer)",
                "enable_notify_insert(text, integer)",
            ],
        ),
        (7, &["pop(text, integer)", "disable_notify_insert(text)"]),
    ];
    for (_, functions) in brought.iter().filter(|(release, _)| *release > minor) {
        for function in *functions {
            database
                .run(format!("drop function pgmq.{function}"))
                .await
                .expect("the helper's SQL is right");
        }
    }
}

/// `PGMQ 1.x has no pgmq.…, it needs 1.y or newer`.
fn assert_lacks(error: &ClientError, installed: &str, needs: &str) {
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{}", told(error));
    let text = error.to_string();
    assert!(
        text.contains(&format!("PGMQ {installed} has no pgmq.")),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("it needs {needs} or newer")),
        "{text}"
    );
    assert!(!text.contains("does not exist"), "{text}");
}

async fn every_topic_error(client: &PgmqNotifyClient) -> [ClientError; 9] {
    [
        client
            .bind_topic("a", "orders_queue")
            .await
            .expect_err("there are no topics before 1.11"),
        client
            .unbind_topic("a", "orders_queue")
            .await
            .expect_err("there are no topics before 1.11"),
        client
            .list_topic_bindings()
            .await
            .expect_err("there are no topics before 1.11"),
        client
            .list_queue_topic_bindings("orders_queue")
            .await
            .expect_err("there are no topics before 1.11"),
        client
            .test_routing("a")
            .await
            .expect_err("there are no topics before 1.11"),
        client
            .send_topic("a", &1)
            .await
            .expect_err("there are no topics before 1.11"),
        client
            .send_batch_topic("a", [1])
            .await
            .expect_err("there are no topics before 1.11"),
        client
            .validate_routing_key("a")
            .await
            .expect_err("there are no topics before 1.11"),
        client
            .validate_topic_pattern("a")
            .await
            .expect_err("there are no topics before 1.11"),
    ]
}

#[tokio::test]
async fn pgmq_1_11_has_all_but_polling_for_heads_of_groups_and_premake() {
    let database = TestDatabase::with(Pgmq::V1_11).await;
    let client = client_of(&database);
    client.create_queue("Orders_queue").await.unwrap();
    let sent = client
        .send_batch("Orders_queue", 0..4)
        .headers(&json!({"h": 1}))
        .await
        .unwrap();
    let read = client
        .read_grouped::<u8>("Orders_queue", LONG, 1)
        .await
        .unwrap();
    assert_eq!(ids(read), sent[..1]);
    let claimed = client
        .read_by_ids::<u8>("Orders_queue", &sent, LONG)
        .await
        .unwrap();
    assert!(
        claimed
            .iter()
            .flatten()
            .all(|message| message.last_read_at.is_some())
    );
    assert_eq!(ids(claimed), sent[1..]);
    client
        .set_vt_batch("Orders_queue", &sent, SystemTime::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!(
        client
            .pop_batch::<u8>("Orders_queue", 2)
            .await
            .unwrap()
            .len(),
        2
    );
    client.bind_topic("#", "Orders_queue").await.unwrap();
    assert_eq!(client.send_topic("a", &1).await.unwrap(), 1);
    let metrics = client.metrics("Orders_queue").await.unwrap();
    assert_eq!(
        (metrics.length, metrics.default_partition_length),
        (3, None)
    );
    assert_eq!(client.metrics_all().await.unwrap()[0].length, 3);

    let polling = Polling::up_to(Duration::from_secs(1));
    client
        .read_grouped_head::<u8>("Orders_queue", LONG, 1)
        .await
        .unwrap();
    let head = client
        .read_grouped_head::<u8>("Orders_queue", LONG, 1)
        .with_poll(polling)
        .await;
    assert_lacks(&head.unwrap_err(), "1.11", "1.12");
    let ten = NonZeroU32::new(10).unwrap();
    let partitions = Partitions::by_messages(ten, ten);
    let error = client
        .create_partitioned_queue("big", &partitions.clone().premake(ten))
        .await;
    assert_lacks(&error.unwrap_err(), "1.11", "1.13");
    let error = client
        .create_partitioned_queue("big", &partitions)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PartmanMissing, "{}", told(&error));
}

#[tokio::test]
async fn what_pgmq_1_6_lacks_is_named_with_the_release_that_has_it() {
    let database = TestDatabase::with(Pgmq::V1_13).await;
    let client = client_of(&database);
    client.create_queue("orders_queue").await.unwrap();
    older(&database, 6).await;
    let at = SystemTime::now();
    for (error, needs) in [
        (
            client.pop_batch::<u8>("orders_queue", 2).await.unwrap_err(),
            "1.7",
        ),
        (
            client
                .disable_notify_insert("orders_queue")
                .await
                .unwrap_err(),
            "1.7",
        ),
        (
            client
                .enable_notify_insert("orders_queue", LONG)
                .await
                .unwrap_err(),
            "1.8",
        ),
        (
            client
                .set_vt_batch("orders_queue", &[1], LONG)
                .await
                .unwrap_err(),
            "1.8",
        ),
        (
            client
                .read_grouped::<u8>("orders_queue", LONG, 1)
                .await
                .unwrap_err(),
            "1.9",
        ),
        (
            client
                .read_grouped_rr::<u8>("orders_queue", LONG, 1)
                .await
                .unwrap_err(),
            "1.9",
        ),
        (
            client.create_fifo_index("orders_queue").await.unwrap_err(),
            "1.9",
        ),
        (client.create_fifo_indexes_all().await.unwrap_err(), "1.9"),
        (
            client.set_vt("orders_queue", 1, at).await.unwrap_err(),
            "1.10",
        ),
        (
            client
                .set_vt_batch("orders_queue", &[1], at)
                .await
                .unwrap_err(),
            "1.10",
        ),
        (
            client
                .update_notify_insert("orders_queue", LONG)
                .await
                .unwrap_err(),
            "1.11",
        ),
        (
            client.list_notify_insert_throttles().await.unwrap_err(),
            "1.11",
        ),
        (
            client
                .read_grouped_head::<u8>("orders_queue", LONG, 1)
                .await
                .unwrap_err(),
            "1.11.1",
        ),
    ] {
        assert_lacks(&error, "1.6", needs);
    }
    for error in every_topic_error(&client).await {
        assert_lacks(&error, "1.6", "1.11");
    }
    client.send("orders_queue", &1).await.unwrap();
    assert!(
        client
            .read::<u8>("orders_queue", LONG)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn each_release_in_between_is_told_by_what_it_has() {
    for (minor, installed) in [(10, "1.10"), (9, "1.9"), (8, "1.8"), (7, "1.7")] {
        let database = TestDatabase::with(Pgmq::V1_13).await;
        older(&database, minor).await;
        for error in every_topic_error(&client_of(&database)).await {
            assert_lacks(&error, installed, "1.11");
        }
    }
}

#[tokio::test]
async fn messages_of_a_release_without_last_read_at_are_read_and_claimed() {
    let database = TestDatabase::with(Pgmq::V1_13).await;
    let client = client_of(&database);
    client.create_queue("Orders_queue").await.unwrap();
    client.create_queue("plain_queue").await.unwrap();
    // As before 1.10: neither the type nor the tables have the column.
    database
        .run(
            "alter table pgmq.\"q_orders_queue\" drop column last_read_at;
             alter table pgmq.q_plain_queue drop column last_read_at;
             drop type pgmq.message_record cascade;
             create type pgmq.message_record as (
               msg_id bigint, read_ct integer, enqueued_at timestamptz, vt timestamptz, message jsonb, headers jsonb
             );
             create function pgmq.read(queue_name text, vt integer, qty integer, conditional jsonb default '{}')
             returns setof pgmq.message_record language plpgsql as $read$
             begin
               return query execute format(
                 'update pgmq.%I set vt = clock_timestamp() + %L, read_ct = read_ct + 1
                  where vt <= clock_timestamp() returning msg_id, read_ct, enqueued_at, vt, message, headers',
                 pgmq.format_table_name(queue_name, 'q'), make_interval(secs => vt));
             end $read$",
        )
        .await
        .unwrap();
    for queue in ["Orders_queue", "plain_queue"] {
        let sent = client
            .send_batch(queue, [1, 2, 3])
            .headers(&json!({"h": 1}))
            .await
            .unwrap();
        let claimed = client
            .read_by_id::<u8>(queue, sent[1], LONG)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        assert_eq!(
            (claimed.body, claimed.read_count, claimed.last_read_at),
            (2, 1, None)
        );
        assert!(claimed.visible_at > claimed.enqueued_at);
        assert_eq!(claimed.headers.unwrap().as_str(), "{\"h\": 1}");
        let read = client.read_batch::<u8>(queue, LONG, 9).await.unwrap();
        assert!(
            read.iter()
                .flatten()
                .all(|m| m.last_read_at.is_none() && m.headers.is_some())
        );
        assert_eq!(ids(read), [sent[0], sent[2]]);
    }
}

#[tokio::test]
async fn an_upgrade_under_a_client_that_has_prepared_its_statements_goes_unnoticed() {
    let database = TestDatabase::with(Pgmq::V1_13).await;
    let client = client_of(&database);
    client.create_queue("orders_queue").await.unwrap();
    let mut connection = client.pool().acquire().await.unwrap();
    for _ in 0..2 {
        let metrics = client
            .metrics("orders_queue")
            .on(&mut connection)
            .await
            .unwrap();
        assert_eq!(metrics.default_partition_length, None);
        client
            .send("orders_queue", &1)
            .on(&mut connection)
            .await
            .unwrap();
        client
            .read::<u8>("orders_queue", LONG)
            .on(&mut connection)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
    database
        .run("alter type pgmq.metrics_result drop attribute default_partition_length")
        .await
        .unwrap();
    database
        .run(
            "create or replace function pgmq.metrics(queue_name text) returns pgmq.metrics_result language sql as
             $m$ select queue_name, 5::bigint, null::int, null::int, 5::bigint, now(), 5::bigint $m$",
        )
        .await
        .unwrap();
    let metrics = client
        .metrics("orders_queue")
        .on(&mut connection)
        .await
        .unwrap();
    assert_eq!(
        (metrics.length, metrics.default_partition_length),
        (5, None)
    );
}
