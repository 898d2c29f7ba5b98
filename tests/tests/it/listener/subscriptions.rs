//! Subscriptions that change.

use std::time::Duration;

use futures_util::FutureExt;
use pgmq_notify_core::{Namespace, PgmqNotifyConfig};
use pgmq_notify_listener::{ListenerErrorKind, PgmqNotifyListener, Subscription};
use pgmq_notify_tests::TestDatabase;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinHandle;

use super::{connected, create, message, next_message, send};

/// Sends `count` messages each to `kept_queue` and `other_queue`, one after the other.
fn flow(database: &TestDatabase, count: i64) -> JoinHandle<()> {
    let pool = database.pool().clone();
    tokio::spawn(async move {
        for _ in 0..count {
            for queue in ["kept_queue", "other_queue"] {
                sqlx::query("select pgmq.send($1, '{}')")
                    .bind(queue)
                    .execute(&pool)
                    .await
                    .expect("send a message");
            }
        }
    })
}

/// What is there without waiting.
fn at_hand(listener: &mut PgmqNotifyListener) -> Vec<(String, i64)> {
    std::iter::from_fn(|| listener.next_event().now_or_never())
        .map(|event| {
            message(
                &event
                    .expect("the listener goes on")
                    .expect("and is connected"),
            )
        })
        .collect()
}

async fn two_queues(config: &PgmqNotifyConfig) -> TestDatabase {
    let database = TestDatabase::migrated(config).await;
    create(&database, "kept_queue").await;
    create(&database, "other_queue").await;
    database
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_one_subscription_loses_nothing_of_another_and_ends_at_once() {
    const COUNT: i64 = 400;
    let config = PgmqNotifyConfig::new();
    let database = two_queues(&config).await;
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace("kept")
        .await
        .unwrap();
    let sender = flow(&database, COUNT);
    let mut kept = Vec::new();
    let mut others = 0;
    while kept.last() != Some(&COUNT) {
        listener
            .listen_message_ready_for_namespace("other")
            .await
            .unwrap();
        let (namespace, id) = next_message(&mut listener).await;
        match &*namespace {
            "kept" => kept.push(id),
            _ => others += 1,
        }
        listener
            .unlisten_message_ready_for_namespace("other")
            .await
            .unwrap();
        for (namespace, id) in at_hand(&mut listener) {
            assert_eq!(namespace, "kept", "after its unlisten returned");
            kept.push(id);
        }
    }
    sender.await.unwrap();
    assert_eq!(kept, (1..=COUNT).collect::<Vec<_>>());
    assert!(others > 0, "the other subscription never was in effect");
    assert_eq!(listener.stats().gaps, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switching_between_one_namespace_and_all_neither_loses_nor_repeats() {
    const COUNT: i64 = 400;
    let config = PgmqNotifyConfig::new();
    let database = two_queues(&config).await;
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace("kept")
        .await
        .unwrap();
    let sender = flow(&database, COUNT);
    let mut kept = Vec::new();
    let mut others = 0;
    while kept.last() != Some(&COUNT) {
        listener.listen_message_ready_global().await.unwrap();
        let (namespace, id) = next_message(&mut listener).await;
        match &*namespace {
            "kept" => kept.push(id),
            _ => others += 1,
        }
        listener.unlisten_message_ready_global().await.unwrap();
        for (namespace, id) in at_hand(&mut listener) {
            assert_eq!(namespace, "kept");
            kept.push(id);
        }
    }
    sender.await.unwrap();
    assert_eq!(kept, (1..=COUNT).collect::<Vec<_>>());
    assert!(others > 0, "the global subscription never was in effect");
}

#[tokio::test]
async fn what_was_subscribed_before_connect_is_heard_and_listed() {
    let config = PgmqNotifyConfig::new().with_default_namespaces(["kept", "other"]);
    let database = two_queues(&config).await;
    let pool = database.pool().clone();
    let mut listener = PgmqNotifyListener::new(pool, config, 10).await.unwrap();
    listener.listen_default_namespaces().await.unwrap();
    listener.listen_queue_created().await.unwrap();
    listener.unlisten_queue_created().await.unwrap();
    let namespaces =
        ["kept", "other"].map(|it| Subscription::MessageReady(Namespace::new(it).unwrap()));
    assert_eq!(listener.subscriptions(), namespaces);
    listener.connect().await.unwrap();
    send(&database, "kept_queue").await;
    send(&database, "other_queue").await;
    assert_eq!(next_message(&mut listener).await, ("kept".into(), 1));
    assert_eq!(next_message(&mut listener).await, ("other".into(), 1));
    listener.unlisten_default_namespaces().await.unwrap();
    assert!(listener.subscriptions().is_empty());
}

#[tokio::test]
async fn a_thousand_namespaces_share_one_connection() {
    let config = PgmqNotifyConfig::new();
    let namespaces = (0..1_000).map(|n| format!("n{n}"));
    let config = config.with_default_namespaces(namespaces);
    let database = TestDatabase::migrated(&config).await;
    let mut listener = connected(&database, &config).await;
    listener.listen_default_namespaces().await.unwrap();
    for n in [0, 500, 999] {
        let queue = format!("n{n}_queue");
        create(&database, &queue).await;
        send(&database, &queue).await;
        assert_eq!(next_message(&mut listener).await, (format!("n{n}"), 1));
    }
}

#[tokio::test]
async fn the_server_sends_nothing_of_a_removed_subscription() {
    let config = PgmqNotifyConfig::new();
    let database = two_queues(&config).await;
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace("kept")
        .await
        .unwrap();
    listener
        .listen_message_ready_for_namespace("other")
        .await
        .unwrap();
    listener
        .unlisten_message_ready_for_namespace("other")
        .await
        .unwrap();
    for _ in 0..10 {
        send(&database, "other_queue").await;
    }
    send(&database, "kept_queue").await;
    assert_eq!(next_message(&mut listener).await, ("kept".into(), 1));
    assert_eq!(listener.stats().unsubscribed, 0);
}

#[tokio::test]
async fn without_a_connection_to_knock_a_change_is_remembered_for_the_next_notification() {
    let config = PgmqNotifyConfig::new();
    let database = two_queues(&config).await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_millis(100))
        .connect_lazy_with(database.options());
    let mut listener = PgmqNotifyListener::new(pool.clone(), config, 100)
        .await
        .unwrap();
    listener
        .listen_message_ready_for_namespace("kept")
        .await
        .unwrap();
    listener.connect().await.unwrap();
    let held = pool.acquire().await.unwrap();
    let error = listener
        .listen_message_ready_for_namespace("other")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ListenerErrorKind::Delayed);
    assert!(error.is_transient());
    // Any notification takes the change along.
    let mut heard = false;
    for _ in 0..100 {
        send(&database, "other_queue").await;
        send(&database, "kept_queue").await;
        while next_message(&mut listener).await.0 == "other" {
            heard = true;
        }
        if heard {
            break;
        }
    }
    assert!(heard, "the change never took effect");

    // What is removed stays away although the server does not know.
    listener
        .unlisten_message_ready_for_namespace("other")
        .await
        .unwrap();
    send(&database, "other_queue").await;
    send(&database, "kept_queue").await;
    assert_eq!(next_message(&mut listener).await.0, "kept");
    drop(held);
}

#[tokio::test]
async fn what_cannot_be_subscribed_is_refused_with_the_remedy() {
    let config = PgmqNotifyConfig::new().with_global_channel(false);
    let database = TestDatabase::migrated(&config).await;
    let mut listener = connected(&database, &config).await;
    let error = listener.listen_message_ready_global().await.unwrap_err();
    assert_eq!(error.kind(), ListenerErrorKind::Configuration);
    assert!(error.to_string().contains("with_global_channel"), "{error}");
    let error = listener.listen_default_namespaces().await.unwrap_err();
    assert!(
        error.to_string().contains("with_default_namespace"),
        "{error}"
    );
    let error = listener
        .listen_message_ready_for_namespace("")
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ListenerErrorKind::Argument);
    assert!(listener.subscriptions().is_empty());
}
