//! From one configuration to the next, by migrations.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgmq_notify_client::{PgmqNotifyConfig, QueueName};
use pgmq_notify_core::{Delivery, PgmqNotifyEvent};
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_sql::Migration;
use pgmq_notify_tests::{Pgmq, TestDatabase, eventually};

use super::{client, configs, create_queues};
use crate::installation::{catalog, trigger_states};
use crate::producers::partitioned_queue;

#[tokio::test]
async fn a_change_leaves_what_the_whole_migration_leaves_and_its_down_what_was_before() {
    for from in configs() {
        for to in configs() {
            if from == to {
                continue;
            }
            let database = TestDatabase::new().await;
            create_queues(&database, 2).await;
            let before = catalog(&database).await;
            database.migrate(&from).await;
            let first = catalog(&database).await;
            let change = Migration::change(&from, &to).unwrap();
            database.run(change.up()).await.unwrap();
            let changed = catalog(&database).await;
            database.run(change.up()).await.unwrap();
            assert_eq!(catalog(&database).await, changed);

            let alone = TestDatabase::new().await;
            create_queues(&alone, 2).await;
            alone.migrate(&to).await;
            // Without triggers nothing keeps out a sender that is about to look who sleeps: that table stays.
            let parked_stays = |from: &PgmqNotifyConfig, to: &PgmqNotifyConfig| {
                from.has_wake_up() && !to.has_wake_up() && !to.triggers_enabled()
            };
            if !parked_stays(&from, &to) {
                assert_eq!(changed, catalog(&alone).await, "{from:?} to {to:?}");
            }
            database.run(change.down()).await.unwrap();
            if !parked_stays(&to, &from) {
                assert_eq!(catalog(&database).await, first, "{to:?} back to {from:?}");
            }
            let whole = Migration::new(&from).unwrap();
            database.run(whole.down()).await.unwrap();
            assert_eq!(catalog(&database).await, before);
        }
    }
}

#[tokio::test]
async fn a_change_of_something_else_than_is_installed_is_refused() {
    let [every, wake_up, functions, _] = configs();
    let change = Migration::change(&every, &wake_up).unwrap();
    let database = TestDatabase::new().await;
    let error = database.run(change.up()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is not installed in this database"),
        "{error}"
    );
    database.migrate(&functions).await;
    let before = catalog(&database).await;
    let error = database.run(change.up()).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("another pgmq-notify is installed"),
        "{error}"
    );
    assert_eq!(catalog(&database).await, before);
}

#[tokio::test]
async fn over_sql_of_another_version_down_returns_to_what_that_installed() {
    let [every, wake_up, ..] = configs();
    let database = TestDatabase::new().await;
    create_queues(&database, 2).await;
    // Another version's: a function has another text.
    let earlier = Migration::new(&every).unwrap().up().replace(
        "A statement-level trigger also fires for no rows.",
        "Another comment.",
    );
    database.run(earlier.clone()).await.unwrap();
    let before = catalog(&database).await;
    let over = Migration::whole_after_sql(&[earlier], &wake_up).unwrap();
    database.run(over.up()).await.unwrap();
    let alone = TestDatabase::new().await;
    create_queues(&alone, 2).await;
    alone.migrate(&wake_up).await;
    assert_eq!(catalog(&database).await, catalog(&alone).await);
    database.run(over.down()).await.unwrap();
    assert_eq!(catalog(&database).await, before);
}

/// What a listener of everything has heard of messages.
fn ids(event: &PgmqNotifyEvent) -> Vec<i64> {
    match event {
        PgmqNotifyEvent::MessageReady(it) => vec![it.msg_id],
        PgmqNotifyEvent::MessageWithPayload(it) => vec![it.msg_id],
        PgmqNotifyEvent::BatchReady(it) => it.msg_ids.clone(),
        _ => Vec::new(),
    }
}

/// Sends to three queues, in each way; the ids of the first one, where bodies have any size.
async fn send_until(database: Arc<TestDatabase>, end: Arc<AtomicBool>) -> BTreeSet<i64> {
    let mut sent = BTreeSet::new();
    while !end.load(Ordering::Relaxed) {
        let id: i64 = sqlx::query_scalar(
            "select * from pgmq.send('q1_queue', jsonb_build_object('text', repeat('x', (random() * 2000)::int)))",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        sent.insert(id);
        sqlx::query("select pgmq.send('q2_queue', '2'), pgmq.send_batch('q3_queue', array['3', '3']::jsonb[])")
            .execute(database.pool())
            .await
            .unwrap();
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_configurations_in_a_row_lose_no_event_and_all_downs_leave_the_catalog_as_before() {
    let database = Arc::new(TestDatabase::new().await);
    create_queues(&database, 3).await;
    let before = catalog(&database).await;
    // What a listener does not depend on changes, and the wake-up delivery of a namespace that it does not ask for.
    let first = PgmqNotifyConfig::new();
    let second = first.clone().with_max_payload_size(1024);
    let third = second
        .clone()
        .with_payload(false)
        .with_namespace_payload("q2", true);
    let fourth = third
        .clone()
        .with_namespace_delivery("elsewhere", Delivery::WakeUp);
    let chain = [
        Migration::new(&first).unwrap(),
        Migration::change(&first, &second).unwrap(),
        Migration::change(&second, &third).unwrap(),
        Migration::change(&third, &fourth).unwrap(),
    ];
    database.run(chain[0].up()).await.unwrap();
    let mut listener = PgmqNotifyListener::new(database.pool().clone(), first.clone(), 10_000)
        .await
        .unwrap();
    listener.connect().await.unwrap();
    listener.listen_message_ready_global().await.unwrap();

    let end = Arc::new(AtomicBool::new(false));
    let sending = tokio::spawn(send_until(Arc::clone(&database), Arc::clone(&end)));
    let heard = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
    let listening = {
        let heard = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Some(event) = listener.next_event().await.unwrap() {
                if event
                    .queue_name()
                    .is_some_and(|name| name.as_str() == "q1_queue")
                {
                    heard.lock().unwrap().extend(ids(&event));
                }
            }
        })
    };
    let some_more = || async {
        let count = heard.lock().unwrap().len();
        eventually(Duration::from_secs(20), || async {
            heard.lock().unwrap().len() > count + 20
        })
        .await;
    };
    some_more().await;
    for migration in &chain[1..] {
        database.run(migration.up()).await.unwrap();
        some_more().await;
    }
    let fresh = TestDatabase::new().await;
    create_queues(&fresh, 3).await;
    fresh.migrate(&fourth).await;
    assert_eq!(catalog(&database).await, catalog(&fresh).await);
    for migration in chain[1..].iter().rev() {
        database.run(migration.down()).await.unwrap();
        some_more().await;
    }
    end.store(true, Ordering::Relaxed);
    let sent = sending.await.unwrap();
    eventually(Duration::from_secs(20), || async {
        let missing: Vec<_> = sent.difference(&heard.lock().unwrap()).copied().collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(missing)
        }
    })
    .await;
    println!(
        "{} messages, each heard, while six migrations were applied",
        sent.len()
    );
    listening.abort();
    database.run(chain[0].down()).await.unwrap();
    database
        .run("select pgmq.purge_queue('q1_queue')")
        .await
        .unwrap();
    assert_eq!(catalog(&database).await, before);
}

#[tokio::test]
async fn pgmq_upgraded_under_the_triggers_goes_on_publishing() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::with(Pgmq::V1_11).await;
    create_queues(&database, 2).await;
    partitioned_queue(&database, "parts_queue").await;
    let client = client(&database, &config);
    client.install().await.unwrap();
    let mut heard = pgmq_notify_tests::Heard::messages(&database, &config).await;
    database.upgrade_pgmq().await;
    let newer: bool = sqlx::query_scalar(
        "select exists (select from pg_proc where proname = 'read_grouped_head_with_poll')",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert!(newer);
    assert_eq!(
        trigger_states(&database).await,
        [("installed".to_owned(), 3)]
    );
    assert!(client.install().await.unwrap().is_unchanged());
    database
        .run("select pgmq.create('late_queue'); select pgmq.send('late_queue', '1')")
        .await
        .unwrap();
    for queue in ["q1_queue", "parts_queue"] {
        client.send(queue, &7).await.unwrap();
    }
    for queue in ["late_queue", "q1_queue", "parts_queue"] {
        let event = heard.event().await;
        assert_eq!(event.queue_name().map(QueueName::as_str), Some(queue));
    }
    client.drop_queue("late_queue").await.unwrap();
}
