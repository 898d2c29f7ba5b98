//! `read_by_id` and `read_by_ids`: a claim is for one, and only of what is free.

use std::collections::HashMap;
use std::time::Duration;

use pgmq_notify_client::{ErrorKind, PgmqNotifyClient};
use pgmq_notify_tests::TestDatabase;

use super::{LONG, Order, client, decoded, ids};

async fn with_queue() -> (TestDatabase, PgmqNotifyClient) {
    let (database, client) = client().await;
    client
        .create_queue("Orders_queue")
        .await
        .expect("the helper's SQL is right");
    (database, client)
}

#[tokio::test]
async fn a_claim_has_the_effects_of_a_read() {
    let (database, client) = with_queue().await;
    let msg_id = client
        .send("Orders_queue", &Order { number: 7 })
        .await
        .unwrap();
    let claimed = client
        .read_by_id::<Order>("Orders_queue", msg_id, LONG)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(
        (claimed.msg_id, claimed.read_count, claimed.body),
        (msg_id, 1, Order { number: 7 })
    );
    let (read_ct, is_read, seconds): (i32, bool, i32) = sqlx::query_as(
        "select read_ct, last_read_at > enqueued_at, extract(epoch from vt - last_read_at)::int from pgmq.q_orders_queue",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert_eq!((read_ct, is_read, seconds), (1, true, 600));
    assert!(
        client
            .read::<Order>("Orders_queue", LONG)
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn what_is_claimed_delayed_or_gone_is_not_given_again() {
    let (_database, client) = with_queue().await;
    let read = client.send("Orders_queue", &1).await.unwrap();
    client
        .read::<u8>("Orders_queue", LONG)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let delayed = client.send("Orders_queue", &2).delay(LONG).await.unwrap();
    let deleted = client.send("Orders_queue", &3).await.unwrap();
    client.delete("Orders_queue", deleted).await.unwrap();
    let free = client.send("Orders_queue", &4).await.unwrap();
    for msg_id in [read, delayed, deleted, -1, i64::MAX] {
        let claimed = client
            .read_by_id::<u8>("Orders_queue", msg_id, LONG)
            .await
            .unwrap();
        assert!(claimed.is_none(), "{msg_id}");
    }
    let all = [free, read, free, delayed, deleted, i64::MIN];
    let claimed = client
        .read_by_ids::<u8>("Orders_queue", &all, LONG)
        .await
        .unwrap();
    assert_eq!(ids(claimed), [free]);
}

#[tokio::test]
async fn ids_come_back_in_order_whatever_order_they_were_asked_in() {
    let (_database, client) = with_queue().await;
    let sent = client.send_batch("Orders_queue", 0..1000).await.unwrap();
    let asked: Vec<i64> = sent.iter().rev().copied().collect();
    let claimed = client
        .read_by_ids::<u32>("Orders_queue", &asked, LONG)
        .await
        .unwrap();
    assert_eq!(ids(claimed), sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_claimants_each_message_goes_to_exactly_one() {
    let (_database, client) = with_queue().await;
    for round in 0..10 {
        let sent = client.send_batch("Orders_queue", 0..50).await.unwrap();
        let mut claimants = tokio::task::JoinSet::new();
        for claimant in 0..8 {
            let (client, mut asked) = (client.clone(), sent.clone());
            if claimant % 2 == 1 {
                asked.reverse();
            }
            claimants.spawn(async move {
                client
                    .read_by_ids::<u32>("Orders_queue", &asked, LONG)
                    .await
                    .unwrap()
            });
        }
        let mut claims: HashMap<i64, u32> = HashMap::new();
        while let Some(claimed) = claimants.join_next().await {
            for message in decoded(claimed.unwrap()) {
                assert_eq!(message.read_count, 1, "round {round}");
                *claims.entry(message.msg_id).or_default() += 1;
            }
        }
        assert_eq!(claims.len(), sent.len(), "round {round}: none is left over");
        assert!(
            claims.values().all(|times| *times == 1),
            "round {round}: {claims:?}"
        );
    }
}

#[tokio::test]
async fn a_claim_does_not_wait_for_one_in_an_open_transaction() {
    let (_database, client) = with_queue().await;
    let sent = client.send_batch("Orders_queue", [1, 2]).await.unwrap();
    let mut transaction = client.pool().begin().await.unwrap();
    let first = client
        .read_by_id::<u8>("Orders_queue", sent[0], LONG)
        .on(&mut transaction)
        .await;
    assert!(first.unwrap().is_some());
    let other = tokio::time::timeout(
        Duration::from_secs(20),
        client
            .read_by_ids::<u8>("Orders_queue", &sent, LONG)
            .into_future(),
    )
    .await
    .expect("the claim does not wait");
    assert_eq!(ids(other.unwrap()), [sent[1]]);
    transaction.rollback().await.unwrap();
    let again = client
        .read_by_id::<u8>("Orders_queue", sent[0], LONG)
        .await
        .unwrap();
    assert_eq!(
        again.unwrap().unwrap().read_count,
        1,
        "a claim that was rolled back never was"
    );
}

#[tokio::test]
async fn a_name_that_tries_to_leave_its_quotes_stays_a_name() {
    let (database, client) = client().await;
    let name = "a\" set vt = now() where true returning *; \"".replace(';', ",");
    client.create_queue("victim").await.unwrap();
    client.create_queue(&name).await.unwrap();
    client.send("victim", &1).delay(LONG).await.unwrap();
    let msg_id = client.send(&name, &2).await.unwrap();
    for _ in 0..2 {
        client.read_by_id::<u8>("victim", 1, LONG).await.unwrap();
        let claimed = client
            .read_by_id::<u8>(&name, msg_id, Duration::ZERO)
            .await
            .unwrap();
        assert_eq!(claimed.unwrap().unwrap().body, 2);
    }
    let untouched: bool = sqlx::query_scalar("select vt > now() from pgmq.q_victim")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert!(untouched);
}

#[tokio::test]
async fn a_partitioned_queue_is_claimed_from_in_every_partition() {
    let (database, client) = client().await;
    // pg_partman is no part of PostgreSQL; this is the table that PGMQ makes with it.
    database
        .run(
            "create table pgmq.q_parts (
               msg_id bigint generated by default as identity, read_ct int default 0 not null,
               enqueued_at timestamptz default now() not null, last_read_at timestamptz,
               vt timestamptz not null, message jsonb, headers jsonb
             ) partition by range (msg_id);
             create table pgmq.q_parts_p0 partition of pgmq.q_parts for values from (0) to (3);
             create table pgmq.q_parts_p3 partition of pgmq.q_parts for values from (3) to (100);
             insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parts', true, false)",
        )
        .await
        .unwrap();
    let sent = client.send_batch("parts", 0..6).await.unwrap();
    let claimed = client
        .read_by_ids::<u8>("parts", &sent, LONG)
        .await
        .unwrap();
    assert_eq!(ids(claimed), sent);
    assert!(
        client
            .read_by_ids::<u8>("parts", &sent, LONG)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(client.list_queues().await.unwrap()[0].is_partitioned);
}

#[tokio::test]
async fn claiming_from_a_queue_that_is_not_there_is_an_error() {
    let (_database, client) = client().await;
    for _ in 0..2 {
        let error = client
            .read_by_id::<u8>("no_queue", 1, LONG)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::QueueNotFound);
        assert_eq!(
            error.to_string(),
            "read by id, queue \"no_queue\": there is no such queue"
        );
    }
}
