//! What a user's own tests need.

use std::sync::{Arc, Mutex};

use pgmq_notify_client::{Acknowledgement, HandlerError, Message, Source};

use super::*;

#[tokio::test]
async fn a_drain_handles_what_is_visible_or_becomes_so_in_time_and_ends() {
    // No migration: nothing has to be heard.
    let database = TestDatabase::new().await;
    let client = client_of(&database, PgmqNotifyConfig::new());
    client.create_queue("orders_queue").await.unwrap();
    client.send_batch("orders_queue", 1..=250).await.unwrap();
    let delay = |seconds| Duration::from_secs(seconds);
    client
        .send("orders_queue", &1)
        .delay(delay(1))
        .await
        .unwrap();
    client
        .send("orders_queue", &2)
        .delay(delay(600))
        .await
        .unwrap();
    let started = std::time::Instant::now();
    let stats = Consumer::builder(client.clone())
        .queue("orders_queue", ok)
        .drain(delay(10))
        .await
        .unwrap();
    assert_eq!((stats.claimed, stats.done, stats.in_flight), (251, 251, 0));
    assert!(started.elapsed() < delay(9), "{:?}", started.elapsed());
    assert_eq!(waiting(&client, "orders_queue").await, 1);
}

#[tokio::test]
async fn a_drain_handles_what_its_handlers_send() {
    let (_database, client) = migrated().await;
    client.create_queue("first_queue").await.unwrap();
    client.create_queue("second_queue").await.unwrap();
    client.send_batch("first_queue", 1..=5).await.unwrap();
    let sender = client.clone();
    let stats = Consumer::builder(client.clone())
        .queue("second_queue", ok)
        .queue("first_queue", move |message: Message<u32>, _: Claim| {
            let sender = sender.clone();
            async move {
                sender.send("second_queue", &message.body).await?;
                Ok::<(), HandlerError>(())
            }
        })
        .drain(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(stats.done, 10, "{stats:?}");
}

#[tokio::test]
async fn an_archived_message_is_in_the_archive() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send_batch("orders_queue", 1..=3).await.unwrap();
    let source = Source::queue("orders_queue").with_acknowledgement(Acknowledgement::Archive);
    let stats = Consumer::builder(client.clone())
        .source(source, ok)
        .drain(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(stats.done, 3);
    let archived: i64 = sqlx::query_scalar("select count(*) from pgmq.a_orders_queue")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(archived, 3);
    assert_eq!(waiting(&client, "orders_queue").await, 0);
}

#[tokio::test]
async fn a_handler_can_be_called_with_a_message_made_by_hand() {
    async fn handle(message: Message<u32>, claim: Claim) -> Result<(), HandlerError> {
        if message.body == 0 {
            claim.release(Duration::from_secs(1)).await?;
        }
        Ok(())
    }
    let claim = Claim::by_hand("orders_queue", 1).unwrap();
    handle(Message::by_hand(1, 7), claim.clone()).await.unwrap();
    assert!(!claim.is_released());
    handle(Message::by_hand(1, 0), claim.clone()).await.unwrap();
    assert!(claim.is_released());
    assert!(Claim::by_hand("a;b", 1).is_err());
}

#[tokio::test]
async fn a_released_message_is_visible_again_and_its_read_does_not_count() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    client.send("orders_queue", &1).await.unwrap();
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&attempts);
    let consumer = Consumer::builder(client.clone())
        .queue("orders_queue", move |_: Message<u32>, claim: Claim| {
            let log = Arc::clone(&log);
            async move {
                let times = {
                    let mut log = log.lock().unwrap();
                    log.push(claim.attempt());
                    log.len()
                };
                if times < 3 {
                    claim.release(Duration::from_millis(10)).await?;
                }
                Ok::<(), HandlerError>(())
            }
        })
        .safety_poll(Duration::from_hours(1))
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.done == 1).await;
    assert_eq!(*attempts.lock().unwrap(), [1, 1, 1]);
    assert_eq!(consumer.stats().released, 2);
    consumer.shutdown().await;
}

#[tokio::test]
async fn the_work_of_a_transaction_and_its_acknowledgement_commit_together_or_not_at_all() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    database.run("create table done (n int)").await.unwrap();
    client.send_batch("orders_queue", 1..=10).await.unwrap();
    let pool = database.pool().clone();
    let stats = Consumer::builder(client.clone())
        .source(
            Source::queue("orders_queue").with_retry(
                pgmq_notify_client::RetryPolicy::new()
                    .with_initial_delay(Duration::from_millis(10)),
            ),
            move |message: Message<i32>, claim: Claim| {
                let pool = pool.clone();
                async move {
                    let mut transaction = pool.begin().await?;
                    sqlx::query("insert into done values ($1)")
                        .bind(message.body)
                        .execute(&mut *transaction)
                        .await?;
                    claim.finish(&mut transaction).await?;
                    if message.body % 2 == 0 && claim.attempt() < 3 {
                        transaction.rollback().await?;
                        return Err(HandlerError::from("not this time"));
                    }
                    transaction.commit().await?;
                    Ok(())
                }
            },
        )
        .drain(Duration::from_secs(20))
        .await
        .unwrap();
    assert_eq!((stats.done, stats.retried), (10, 10), "{stats:?}");
    let done: Vec<i32> = sqlx::query_scalar("select n from done order by n")
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert_eq!(done, (1..=10).collect::<Vec<_>>());
    assert_eq!(waiting(&client, "orders_queue").await, 0);
}
