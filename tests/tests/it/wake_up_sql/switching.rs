//! From one delivery to the other by a migration, and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgmq_notify_sql::Migration;

use super::*;
use crate::installation::{LOCK_TIMEOUT, MACHINE, catalog, installation, trigger_states};

fn every(by: By) -> PgmqNotifyConfig {
    PgmqNotifyConfig::new().with_triggers_enabled(by == By::Triggers)
}

/// Every message is published, of nobody's name, or none is.
async fn is_published(orders: &mut Orders, published: bool) {
    for way in orders.by.ways() {
        orders.run(way.sql).await;
        if published {
            assert!(orders.published(way.form).await.is_empty());
        }
    }
    orders.nothing_was_published().await;
}

#[tokio::test]
async fn a_namespace_is_switched_there_and_back_and_its_triggers_are_right_after_each() {
    for by in By::BOTH {
        let database = TestDatabase::migrated(&every(by)).await;
        let mut orders = Orders::on(database, by).await;
        orders.database.migrate(&every(by)).await;
        let as_every = catalog(&orders.database).await;
        is_published(&mut orders, true).await;
        for _ in 0..2 {
            orders.database.migrate(&by.config()).await;
            // Without triggers the table outlives the other delivery.
            orders.nobody_parks().await;
            let as_wake_up = catalog(&orders.database).await;
            is_published(&mut orders, false).await;
            orders.parks(7).await;
            orders.run("select pgmq.send('orders_queue', '1')").await;
            assert_eq!(orders.published(Form::Body).await, [7]);
            if by == By::Triggers {
                let states = trigger_states(&orders.database).await;
                assert_eq!(states, [("installed".to_owned(), 2)]);
            }
            let row = installation(&orders.database).await;
            orders.database.migrate(&by.config()).await;
            assert_eq!(catalog(&orders.database).await, as_wake_up);
            assert_eq!(installation(&orders.database).await, row);

            // One namespace of them is enough for the table and what goes with it.
            let some = every(by).with_namespace_delivery("orders", Delivery::WakeUp);
            orders.database.migrate(&some).await;
            orders.run("select pgmq.send('orders_queue', '1')").await;
            assert_eq!(orders.published(Form::Body).await, [7]);
            let but = by
                .config()
                .with_namespace_delivery("orders", Delivery::Every);
            orders.database.migrate(&but).await;
            is_published(&mut orders, true).await;

            orders.database.migrate(&every(by)).await;
            is_published(&mut orders, true).await;
            if by == By::Triggers {
                assert_eq!(catalog(&orders.database).await, as_every);
            }
        }
    }
}

#[tokio::test]
async fn a_rerun_locks_no_queue_and_keeps_nobody_from_going_to_sleep() {
    for by in By::BOTH {
        let orders = Orders::new(by).await;
        orders.parks(7).await;
        // As a consumer in the midst of its statement, and who reads.
        let mut consumer = orders.session().await;
        consumer
            .run("begin; update pgmq_notify.parked set parked_until = clock_timestamp() + interval '15 s'")
            .await;
        let mut holder = orders.session().await;
        holder
            .run("begin; lock table pgmq.q_orders_queue, pgmq.q_fence_queue in access exclusive mode")
            .await;
        let mut migrating = orders.session().await;
        migrating.run("begin; set local lock_timeout = '1s'").await;
        let migration = Migration::new(&by.config()).unwrap();
        sqlx::raw_sql(AssertSqlSafe(migration.up().to_owned()))
            .execute(&mut migrating.connection)
            .await
            .unwrap();
        // Others go to sleep, wake up, send to other queues before the migration commits.
        consumer.run("commit; set lock_timeout = '1s'").await;
        consumer
            .run("insert into pgmq_notify.parked values ('q_orders_queue', 8, now()); delete from pgmq_notify.parked")
            .await;
        consumer
            .run("select pgmq_notify.wakes('q_orders_queue')")
            .await;
        migrating.run("commit").await;
    }
}

#[tokio::test]
async fn a_switch_of_one_namespace_locks_no_queue_of_another() {
    let mut orders = Orders::new(By::Triggers).await;
    let mut holder = orders.session().await;
    holder
        .run("begin; lock table pgmq.q_fence_queue in access exclusive mode")
        .await;
    let config = By::Triggers.config();
    for delivery in [Delivery::Every, Delivery::WakeUp, Delivery::Every] {
        let config = config.clone().with_namespace_delivery("orders", delivery);
        orders.database.migrate(&config).await;
    }
    holder.run("commit").await;
    is_published(&mut orders, true).await;
}

/// Sends until `end`, and says what took longest.
async fn send_until(mut sender: Session, end: &AtomicBool) -> Result<Duration, sqlx::Error> {
    let mut longest = Duration::ZERO;
    while !end.load(Ordering::Relaxed) {
        let start = Instant::now();
        sender
            .attempt("select pgmq.send('orders_queue', '1')")
            .await?;
        longest = longest.max(start.elapsed());
    }
    Ok(longest)
}

/// Senders at work, until they are asked for what they met.
struct Senders {
    end: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Result<Duration, sqlx::Error>>>,
}

impl Senders {
    async fn start(orders: &Orders, count: usize) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for _ in 0..count {
            let (sender, end) = (orders.session().await, Arc::clone(&end));
            tasks.push(tokio::spawn(async move { send_until(sender, &end).await }));
        }
        Self { end, tasks }
    }

    async fn neither_failed_nor_waited(self) {
        self.end.store(true, Ordering::Relaxed);
        for task in join_all(self.tasks).await {
            let longest = task.unwrap().expect("no sender fails");
            assert!(
                longest < LOCK_TIMEOUT + MACHINE,
                "a sender waited {longest:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sender_fails_or_waits_for_long_while_its_delivery_is_switched() {
    for by in By::BOTH {
        let orders = Orders::new(by).await;
        let senders = Senders::start(&orders, 6).await;
        for _ in 0..15 {
            orders.database.migrate(&every(by)).await;
            orders.database.migrate(&by.config()).await;
            parks(&orders.database, "q_orders_queue", 7, "1 hour").await;
        }
        senders.neither_failed_nor_waited().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_looked_and_stays_in_its_transaction_makes_a_switch_fail_and_no_sender_wait() {
    let orders = Orders::new(By::Triggers).await;
    parks(&orders.database, "q_orders_queue", 7, "1 hour").await;
    let before = (
        catalog(&orders.database).await,
        installation(&orders.database).await,
    );
    let mut long = orders.session().await;
    long.run("begin; select pgmq_notify.wakes('q_gone_queue')")
        .await;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut long.connection)
        .await
        .unwrap();
    let (up, down) = (
        Migration::new(&every(By::Triggers)).unwrap(),
        Migration::new(&By::Triggers.config()).unwrap(),
    );
    for sql in [up.up(), down.down()] {
        let senders = Senders::start(&orders, 2).await;
        let error = tokio::time::timeout(Duration::from_mins(1), orders.database.run(sql))
            .await
            .expect("it gives up by itself")
            .expect_err("the table stays locked");
        senders.neither_failed_nor_waited().await;
        let text = error.to_string();
        for part in ["pgmq_notify.parked", &pid.to_string()] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(sqlstate(Err(error)).as_deref(), Some("55P03"));
        let after = (
            catalog(&orders.database).await,
            installation(&orders.database).await,
        );
        assert_eq!(after, before);
    }
    long.run("commit").await;
    orders.database.run(up.up()).await.unwrap();
    orders.database.run(down.down()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_triggers_an_open_transaction_that_sent_is_no_reason_to_wait() {
    let mut orders = Orders::new(By::Functions).await;
    parks(&orders.database, "q_orders_queue", 7, "1 hour").await;
    let mut long = orders.session().await;
    long.run("begin; select pgmq.send('orders_queue', '\"long\"')")
        .await;
    let senders = Senders::start(&orders, 2).await;
    for config in [every(By::Functions), By::Functions.config()] {
        tokio::time::timeout(Duration::from_secs(10), orders.database.migrate(&config))
            .await
            .expect("nothing to wait for");
    }
    senders.neither_failed_nor_waited().await;
    long.run("commit").await;
    loop {
        let event = orders.heard.event().await;
        if matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == "\"long\"")
        {
            break;
        }
    }
}
