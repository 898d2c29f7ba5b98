//! Who has a message: one process at a time, for as long as it lives.

use pgmq_notify_client::{HandlerError, Message, Source};
use tokio::time::{Instant, sleep};

use super::process::{Settings, Worker};
use super::record::Record;
use super::*;

const TIMEOUT: Duration = Duration::from_secs(2);

fn working(mode: &'static str, work: Duration) -> Settings {
    Settings {
        mode,
        handlers: 8,
        visibility_timeout: TIMEOUT,
        work: (work, work),
    }
}

#[tokio::test]
async fn a_handler_of_three_visibility_timeouts_is_not_repeated_while_its_process_lives() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let record = Record::default();
    let settings = working("acknowledge", 3 * TIMEOUT);
    let workers = [0, 1].map(|it| Worker::start(&database, settings, it, &record));
    for worker in &workers {
        worker.ready().await;
    }
    // Fewer than there are free handlers: whatever became visible would be taken at once.
    let sent = client.send_batch("orders_queue", 0..8).await.unwrap();
    eventually(SOON, || async {
        waiting(&client, "orders_queue").await == 0
    })
    .await;
    assert_eq!(record.len(), sent.len());
    assert_eq!(record.done(), sent.into_iter().collect());
    let mut settled = 0;
    for worker in workers {
        let (done, lost, unsettled) = worker.leave().await.stats.unwrap();
        assert_eq!((lost, unsettled), (0, 0));
        settled += done;
    }
    assert_eq!(settled, 8);
}

#[tokio::test]
async fn a_process_that_was_stopped_past_its_leases_acknowledges_nothing_when_it_goes_on() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let record = Record::default();
    let stopped = Worker::start(&database, working("until-lost", Duration::ZERO), 0, &record);
    stopped.ready().await;
    let sent = client.send_batch("orders_queue", 0..3).await.unwrap();
    eventually(SOON, || async { record.len() == 3 }).await;
    stopped.stop();

    // It has the messages until long after the first one goes on.
    let settings = working("acknowledge", 4 * TIMEOUT);
    let other = Worker::start(&database, settings, 1, &record);
    eventually(SOON, || async { record.len() == 6 }).await;
    stopped.go_on();
    eventually(SOON, || async { stopped.said().lost.len() == 3 }).await;
    let mut lost = stopped.said().lost;
    lost.sort_unstable();
    assert_eq!(lost, sent);
    // Its handlers have returned as if they had succeeded.
    let (done, lost, unsettled) = stopped.leave().await.stats.unwrap();
    assert_eq!((done, lost, unsettled), (0, 3, 0));
    assert_eq!(waiting(&client, "orders_queue").await, 3);
    assert!(
        record
            .repeated()
            .iter()
            .all(|(_, next)| next.ended.is_none())
    );

    eventually(SOON, || async {
        waiting(&client, "orders_queue").await == 0
    })
    .await;
    let (done, lost, unsettled) = other.leave().await.stats.unwrap();
    assert_eq!((done, lost, unsettled), (3, 0, 0));
    assert_eq!(record.len(), 6);
}

#[tokio::test]
async fn the_transaction_of_a_process_that_was_stopped_past_its_leases_is_refused() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    sqlx::query("create table effects (msg_id bigint not null, body bigint not null)")
        .execute(database.pool())
        .await
        .unwrap();
    let record = Record::default();
    // It is stopped in its first half, before it finishes.
    let settings = working("finish", Duration::from_secs(1));
    let stopped = Worker::start(&database, settings, 0, &record);
    stopped.ready().await;
    let sent = client.send("orders_queue", &7).await.unwrap();
    eventually(SOON, || async { record.len() == 1 }).await;
    stopped.stop();
    let other = Worker::start(&database, settings, 1, &record);
    eventually(SOON, || async {
        waiting(&client, "orders_queue").await == 0
    })
    .await;
    stopped.go_on();
    eventually(SOON, || async { stopped.said().refused == [sent] }).await;
    let (done, lost, unsettled) = stopped.leave().await.stats.unwrap();
    assert_eq!((done, lost, unsettled), (0, 1, 0));
    let (done, lost, unsettled) = other.leave().await.stats.unwrap();
    assert_eq!((done, lost, unsettled), (1, 0, 0));
    let effects: Vec<i64> = sqlx::query_scalar("select msg_id from effects")
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert_eq!(effects, [sent]);
}

/// The extension is sent first and arrives last.
#[tokio::test]
async fn an_extension_that_comes_late_does_not_hide_a_message_that_is_to_be_tried_again() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    sqlx::raw_sql(
        "create function late() returns trigger language plpgsql as $$
         begin
           -- No other statement of the consumer takes the greater of two times.
           if current_query() like '%greatest(%' then
             perform pg_sleep(0.8);
           end if;
           return null;
         end $$;
         create trigger late before update on pgmq.q_orders_queue
           for each statement execute function late();",
    )
    .execute(database.pool())
    .await
    .unwrap();
    // Extended from a second on, until it ends.
    let timeout = Duration::from_secs(3);
    let source = Source::queue("orders_queue").with_visibility_timeout(timeout);
    let (enter, mut entered) = tokio::sync::mpsc::channel(2);
    let consumer = Consumer::builder(client.clone())
        .source(source, move |_: Message<u64>, claim: Claim| {
            let enter = enter.clone();
            async move {
                enter.send(Instant::now()).await?;
                if claim.attempt() == 1 {
                    sleep(Duration::from_millis(1_600)).await;
                    // Not before the extension, or it would be another claim that this does not touch.
                    let soon = Duration::from_millis(700);
                    return Err(HandlerError::retry_after(soon, "once more"));
                }
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    client.send("orders_queue", &7).await.unwrap();
    let first = entered.recv().await.unwrap();
    let second = entered.recv().await.unwrap();
    // Hidden again, it would come back three seconds after its extension, that is after five.
    assert!(
        second - first < Duration::from_secs(4),
        "{:?}",
        second - first
    );
    until(&consumer, |it| it.done == 1).await;
    consumer.shutdown().await;
}
