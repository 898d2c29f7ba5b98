//! Every operation inside the caller's transaction: there, and gone with a rollback.

use std::time::Duration;

use pgmq_notify_client::{ErrorKind, PgmqNotifyClient, PgmqNotifyConfig, Polling};
use sqlx::postgres::PgPoolOptions;

use super::{LONG, client, ids, newest};

#[tokio::test]
async fn every_operation_on_messages_is_undone_by_a_rollback() {
    let (_database, client) = client().await;
    let queue = "Orders_queue";
    client.create_queue(queue).await.unwrap();
    let sent = client.send_batch(queue, 0..12).await.unwrap();
    let before = client.metrics(queue).await.unwrap();

    let mut tx = client.pool().begin().await.unwrap();
    client.send(queue, &99).on(&mut tx).await.unwrap();
    client.send_batch(queue, [98]).on(&mut tx).await.unwrap();
    client
        .read_by_id::<u8>(queue, sent[5], LONG)
        .on(&mut tx)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let claimed = client
        .read_by_ids::<u8>(queue, &sent[6..8], LONG)
        .on(&mut tx)
        .await
        .unwrap();
    assert_eq!(ids(claimed), sent[6..8]);
    let read = client.read::<u8>(queue, LONG).on(&mut tx).await.unwrap();
    assert_eq!(read.unwrap().unwrap().msg_id, sent[0]);
    let read = client
        .read_batch::<u8>(queue, LONG, 1)
        .on(&mut tx)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[1]]);
    let polling = Polling::up_to(LONG);
    let read = client
        .read_with_poll::<u8>(queue, LONG, 1, polling)
        .on(&mut tx)
        .await
        .unwrap();
    assert_eq!(ids(read), [sent[2]]);
    let popped = client.pop::<u8>(queue).on(&mut tx).await.unwrap();
    assert_eq!(popped.unwrap().unwrap().msg_id, sent[3]);
    let popped = client.pop_batch::<u8>(queue, 1).on(&mut tx).await.unwrap();
    assert_eq!(ids(popped), [sent[4]]);
    assert!(client.delete(queue, sent[0]).on(&mut tx).await.unwrap());
    assert_eq!(
        client
            .delete_batch(queue, &sent[1..2])
            .on(&mut tx)
            .await
            .unwrap(),
        [sent[1]]
    );
    assert!(client.archive(queue, sent[2]).on(&mut tx).await.unwrap());
    assert_eq!(
        client
            .archive_batch(queue, &sent[5..6])
            .on(&mut tx)
            .await
            .unwrap(),
        [sent[5]]
    );
    client
        .set_vt(queue, sent[8], LONG)
        .on(&mut tx)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        client
            .set_vt_batch(queue, &sent[9..11], LONG)
            .on(&mut tx)
            .await
            .unwrap()
            .len(),
        2
    );
    let inside = client.metrics(queue).on(&mut tx).await.unwrap();
    assert_eq!(inside.length, before.length + 2 - 6);
    tx.rollback().await.unwrap();

    let read = client.read_batch::<u8>(queue, LONG, 99).await.unwrap();
    assert!(read.iter().flatten().all(|message| message.read_count == 1));
    assert_eq!(
        ids(read),
        sent,
        "nothing is gone, nothing is added, nothing is hidden"
    );
}

#[tokio::test]
async fn every_operation_on_queues_is_undone_by_a_rollback() {
    let (_database, client) = client().await;
    client.create_queue("old_queue").await.unwrap();
    client.send("old_queue", &1).await.unwrap();
    client.bind_topic("a.*", "old_queue").await.unwrap();

    let mut tx = client.pool().begin().await.unwrap();
    client.create_queue("new_queue").on(&mut tx).await.unwrap();
    client
        .create_unlogged_queue("fast_queue")
        .on(&mut tx)
        .await
        .unwrap();
    client
        .bind_topic("#", "new_queue")
        .on(&mut tx)
        .await
        .unwrap();
    assert_eq!(client.send_topic("a.b", &2).on(&mut tx).await.unwrap(), 2);
    assert_eq!(
        client
            .send_batch_topic("a.b", [3])
            .on(&mut tx)
            .await
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        client.test_routing("a.b").on(&mut tx).await.unwrap().len(),
        2
    );
    assert!(
        client
            .unbind_topic("a.*", "old_queue")
            .on(&mut tx)
            .await
            .unwrap()
    );
    assert_eq!(
        client
            .list_topic_bindings()
            .on(&mut tx)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        client
            .list_queue_topic_bindings("old_queue")
            .on(&mut tx)
            .await
            .unwrap(),
        []
    );
    client.create_fifo_indexes_all().on(&mut tx).await.unwrap();
    client
        .enable_notify_insert("new_queue", Duration::ZERO)
        .on(&mut tx)
        .await
        .unwrap();
    let grouped = client
        .read_grouped_head::<u8>("new_queue", LONG, 9)
        .on(&mut tx)
        .await
        .unwrap();
    assert_eq!(grouped.len(), 1);
    assert_eq!(
        client.purge_queue("new_queue").on(&mut tx).await.unwrap(),
        2
    );
    assert!(client.drop_queue("old_queue").on(&mut tx).await.unwrap());
    assert_eq!(client.list_queues().on(&mut tx).await.unwrap().len(), 2);
    assert_eq!(client.metrics_all().on(&mut tx).await.unwrap().len(), 2);
    tx.rollback().await.unwrap();

    let queues = client.list_queues().await.unwrap();
    assert_eq!(queues.len(), 1);
    assert_eq!(queues[0].name, "old_queue");
    assert_eq!(client.metrics("old_queue").await.unwrap().length, 1);
    assert_eq!(
        client.list_topic_bindings().await.unwrap()[0].pattern,
        "a.*"
    );
    assert_eq!(client.list_notify_insert_throttles().await.unwrap(), []);
}

#[tokio::test]
async fn work_and_acknowledgement_commit_together() {
    let (database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    database
        .run("create table done (msg_id bigint)")
        .await
        .unwrap();
    let msg_id = client.send("orders_queue", &1).await.unwrap();
    let mut tx = client.pool().begin().await.unwrap();
    sqlx::query("insert into done values ($1)")
        .bind(msg_id)
        .execute(&mut *tx)
        .await
        .unwrap();
    assert!(
        client
            .delete("orders_queue", msg_id)
            .on(&mut tx)
            .await
            .unwrap()
    );
    assert_eq!(client.metrics("orders_queue").await.unwrap().length, 1);
    tx.commit().await.unwrap();
    assert_eq!(client.metrics("orders_queue").await.unwrap().length, 0);
}

#[tokio::test]
async fn a_missing_function_is_explained_though_the_transaction_takes_no_more_sql() {
    let (database, client) = newest().await;
    client.create_queue("orders_queue").await.unwrap();
    database
        .run("drop function pgmq.read_grouped(text, integer, integer)")
        .await
        .unwrap();
    let mut tx = client.pool().begin().await.unwrap();
    let error = client
        .read_grouped::<u8>("orders_queue", LONG, 1)
        .on(&mut tx)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("needs 1.9 or newer"), "{error}");
    let error = client
        .send("orders_queue", &1)
        .on(&mut tx)
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Database,
        "the transaction is aborted: {error:?}"
    );
    tx.rollback().await.unwrap();
}

#[tokio::test]
async fn a_missing_function_is_explained_though_the_caller_holds_the_last_connection() {
    let (database, client) = newest().await;
    client.create_queue("orders_queue").await.unwrap();
    database
        .run("drop function pgmq.read_grouped(text, integer, integer)")
        .await
        .unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(database.options())
        .await
        .unwrap();
    let small = PgmqNotifyClient::with_pool(pool, PgmqNotifyConfig::new()).unwrap();
    let mut tx = small.pool().begin().await.unwrap();
    let explained = small
        .read_grouped::<u8>("orders_queue", LONG, 1)
        .on(&mut tx);
    let error = tokio::time::timeout(Duration::from_secs(20), explained)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("needs PGMQ"), "{error}");
}

#[tokio::test]
async fn an_operation_dropped_on_its_way_is_done_whole_or_not_at_all() {
    let (database, client) = client().await;
    client.create_queue("orders_queue").await.unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(database.options())
        .await
        .unwrap();
    let small = PgmqNotifyClient::with_pool(pool, PgmqNotifyConfig::new()).unwrap();
    for microseconds in (0..4000).step_by(200) {
        let send = small.send_batch("orders_queue", 0..10).into_future();
        let _ = tokio::time::timeout(Duration::from_micros(microseconds), send).await;
    }
    // The one connection of that pool is whole, and has nothing left to do when it answers.
    let sent = small.send_batch("orders_queue", 0..10).await.unwrap();
    assert_eq!(sent.len(), 10);
    let length = small.metrics("orders_queue").await.unwrap().length;
    assert_eq!(
        length % 10,
        0,
        "{length} messages: a batch was sent in part"
    );
}
