//! What wakes a consumer, beside messages that are sent.

use pgmq_notify_client::{HandlerError, Message, Source};

use super::*;

#[tokio::test]
async fn a_message_that_anybody_makes_visible_early_is_handled_at_once() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let hour = Duration::from_hours(1);
    let delayed = client.send("orders_queue", &1).delay(hour).await.unwrap();
    client.send("orders_queue", &2).await.unwrap();
    let claimed = client.read::<u32>("orders_queue", hour).await.unwrap();
    let claimed = claimed.unwrap().unwrap().msg_id;
    let consumer = Consumer::builder(client.clone())
        .queue("orders_queue", ok)
        .safety_poll(hour)
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.claims == 1).await;
    // Anybody, in whatever language.
    for id in [delayed, claimed] {
        sqlx::query("select pgmq.set_vt('orders_queue', $1::bigint, 0)")
            .bind(id)
            .execute(database.pool())
            .await
            .unwrap();
    }
    until(&consumer, |it| it.done == 2).await;
    consumer.shutdown().await;
}

#[tokio::test]
async fn after_a_lost_connection_it_finds_what_was_sent_meanwhile() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let consumer = Consumer::builder(client.clone())
        .queue("orders_queue", ok)
        .safety_poll(Duration::from_hours(1))
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.claims == 1).await;
    let mut connection = database.pool().acquire().await.unwrap();
    let mut transaction = sqlx::Connection::begin(&mut *connection).await.unwrap();
    // In one transaction with the end of the session, the notification finds nobody.
    sqlx::query(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity
         where datname = current_database() and application_name like 'pgmq-notify-listener%'",
    )
    .execute(&mut *transaction)
    .await
    .unwrap();
    sqlx::query("select pgmq.send('orders_queue', '1')")
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    until(&consumer, |it| it.done == 1 && it.wake_ups.reconnected > 0).await;
    consumer.shutdown().await;
}

#[tokio::test]
async fn the_safety_poll_finds_what_nobody_told_of() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let consumer = Consumer::builder(client.clone())
        .queue("orders_queue", ok)
        .safety_poll(Duration::from_secs(1))
        .start()
        .await
        .unwrap();
    // The look with which it begins has ended.
    until(&consumer, |it| it.empty_claims == 1).await;
    database
        .run("set pgmq_notify.mute = 'on'; select pgmq.send('orders_queue', '1');")
        .await
        .unwrap();
    until(&consumer, |it| it.done == 1).await;
    assert!(consumer.stats().wake_ups.safety_poll > 0);
    consumer.shutdown().await;
}

#[tokio::test]
async fn without_triggers_the_functions_wake_it() {
    let config = PgmqNotifyConfig::new().with_triggers_enabled(false);
    let database = TestDatabase::migrated(&config).await;
    let client = client_of(&database, config);
    client.create_queue("orders_queue").await.unwrap();
    let consumer = Consumer::builder(client.clone())
        .queue(
            "orders_queue",
            |message: Message<u32>, _: Claim| async move {
                if message.body == 2 {
                    return Err(HandlerError::fatal("two is too many"));
                }
                Ok(())
            },
        )
        .safety_poll(Duration::from_hours(1))
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.claims == 1).await;
    client.send("orders_queue", &1).await.unwrap();
    client.send("orders_queue", &2).await.unwrap();
    until(&consumer, |it| it.done == 1 && it.dead == 1).await;
    assert_eq!(waiting(&client, "orders_queue_dlq").await, 1);
    consumer.shutdown().await;
}

#[tokio::test]
async fn a_batch_wakes_it_and_every_message_of_it_is_handled() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let consumer = Consumer::builder(client.clone())
        .source(Source::queue("orders_queue").with_batch_size(7), ok)
        .concurrency(3)
        .safety_poll(Duration::from_hours(1))
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.claims == 1).await;
    client.send_batch("orders_queue", 0..500).await.unwrap();
    for n in 0..50_u32 {
        client.send("orders_queue", &n).await.unwrap();
    }
    until(&consumer, |it| it.done == 550 && it.in_flight == 0).await;
    assert_eq!(waiting(&client, "orders_queue").await, 0);
    consumer.shutdown().await;
}
