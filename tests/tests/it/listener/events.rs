//! What arrives.

use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::{CatchUp, ListenerErrorKind, PgmqNotifyListener};
use pgmq_notify_tests::{Server, Settings, TestDatabase};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};

use super::{connected, create, gap, next, next_message, send};

#[tokio::test]
async fn each_kind_of_event_arrives_in_the_order_of_the_commits() {
    let config = PgmqNotifyConfig::new().with_channels_prefix("my \"app\"");
    let database = TestDatabase::migrated(&config).await;
    let mut listener = connected(&database, &config).await;
    listener.listen_queue_created().await.unwrap();
    listener.listen_queue_dropped().await.unwrap();
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();

    create(&database, "orders_queue").await;
    for sql in [
        "select pgmq.send('orders_queue', '{\"a\": 1}', '{\"h\": 2}'::jsonb)",
        "select pgmq.send('orders_queue', to_jsonb(repeat('x', 20000)))",
        "select pgmq.send_batch('orders_queue', array['1', '2', '3']::jsonb[])",
        "select pgmq.send('orders_queue', '5', 60)",
        "select pgmq.drop_queue('orders_queue')",
    ] {
        database.run(sql).await.unwrap();
    }

    let PgmqNotifyEvent::QueueCreated(event) = next(&mut listener).await else {
        panic!("the queue was created first");
    };
    assert_eq!(event.queue_name.as_str(), "orders_queue");
    let PgmqNotifyEvent::MessageWithPayload(event) = next(&mut listener).await else {
        panic!("a small message has its body with it");
    };
    assert_eq!((event.msg_id, event.message.as_str()), (1, "{\"a\": 1}"));
    assert_eq!(
        event.headers.map(|it| it.to_string()).as_deref(),
        Some("{\"h\": 2}")
    );
    let PgmqNotifyEvent::MessageReady(event) = next(&mut listener).await else {
        panic!("a large message comes without its body");
    };
    assert_eq!(event.msg_id, 2);
    let PgmqNotifyEvent::BatchReady(event) = next(&mut listener).await else {
        panic!("a batch is one event");
    };
    assert_eq!(event.msg_ids, [3, 4, 5]);
    let PgmqNotifyEvent::MessageWithPayload(event) = next(&mut listener).await else {
        panic!("a delayed message has its body with it");
    };
    assert_eq!((event.msg_id, event.delay_seconds), (6, 60));
    assert!(event.visible_at > SystemTime::now() + Duration::from_secs(30));
    let PgmqNotifyEvent::QueueDropped(event) = next(&mut listener).await else {
        panic!("the queue was dropped last");
    };
    assert_eq!(event.namespace, "orders");

    let stats = listener.stats();
    assert_eq!(stats.events(), 6);
    assert_eq!((stats.queue_created, stats.queue_dropped), (1, 1));
    assert_eq!(
        (
            stats.message_with_payload,
            stats.message_ready,
            stats.batch_ready
        ),
        (2, 1, 1)
    );
    assert_eq!((stats.gaps, stats.unreadable()), (0, 0));
    assert!(
        stats
            .last_event_at
            .is_some_and(|at| at <= SystemTime::now())
    );
}

#[tokio::test]
async fn a_listener_of_a_namespace_and_of_all_hears_each_message_once() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    create(&database, "billing_queue").await;
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    listener.listen_message_ready_global().await.unwrap();
    for _ in 0..50 {
        send(&database, "orders_queue").await;
        send(&database, "billing_queue").await;
    }
    for id in 1..=50 {
        assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
        assert_eq!(next_message(&mut listener).await, ("billing".into(), id));
    }
}

#[tokio::test]
async fn a_long_namespace_is_heard_on_its_shortened_channel() {
    let config = PgmqNotifyConfig::new().with_channels_prefix("p".repeat(20));
    let database = TestDatabase::migrated(&config).await;
    let namespace = "é".repeat(41);
    let queue = format!("{namespace}_queue");
    create(&database, &queue).await;
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace(&namespace)
        .await
        .unwrap();
    send(&database, &queue).await;
    assert_eq!(next_message(&mut listener).await, (namespace, 1));
}

#[tokio::test]
async fn a_stream_of_events_ends_with_the_connection() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected(&database, &config).await;
    listener.listen_message_ready_global().await.unwrap();
    for _ in 0..3 {
        send(&database, "orders_queue").await;
    }
    let events: Vec<_> = listener.by_ref().take(2).collect().await;
    assert!(events.iter().all(Result::is_ok), "{events:?}");
    // The third may have arrived or not; what has is still handed out.
    listener.disconnect().await;
    let rest: Vec<_> = listener.by_ref().collect().await;
    assert!(rest.len() <= 1, "{rest:?}");
    assert!(listener.next().await.is_none());
}

#[tokio::test]
async fn what_is_no_event_is_counted_and_survived() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected(&database, &config).await;
    listener.listen_message_ready_global().await.unwrap();
    for payload in [
        "",
        "not json",
        "{}",
        r#"{"event_type":"message_ready"}"#,
        r#"{"event_type":"resumed","reason":"overflow","gap_seconds":1.5}"#,
        r#"{"event_type":"queue_paused","queue_name":"orders_queue"}"#,
        &"x".repeat(7_999),
    ] {
        sqlx::query("select pg_notify('pgmq_message_ready', $1)")
            .bind(payload)
            .execute(database.pool())
            .await
            .unwrap();
    }
    // A forged event of a kind that nobody subscribed to.
    database
        .run(r#"select pg_notify('pgmq_message_ready', '{"event_type":"queue_dropped","queue_name":"q","namespace":"n","dropped_at":"2026-01-01T00:00:00Z"}')"#)
        .await
        .unwrap();
    let id = send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
    let stats = listener.stats();
    assert_eq!((stats.invalid_payloads, stats.unknown_event_types), (6, 1));
    assert_eq!((stats.unsubscribed, stats.events(), stats.gaps), (1, 1, 0));
}

#[tokio::test]
async fn a_payload_that_the_server_cannot_send_costs_a_session_and_no_later_event() {
    let server = Server::start(Settings::new()).await.unwrap();
    let mut admin = PgConnection::connect_with(&server.options("postgres"))
        .await
        .unwrap();
    sqlx::raw_sql("create database ascii encoding 'SQL_ASCII' locale 'C' template template0")
        .execute(&mut admin)
        .await
        .unwrap();
    let pool = PgPool::connect_with(server.options("ascii")).await.unwrap();
    let notify = async |payload: &'static str| {
        let sql = format!("select pg_notify('pgmq_queue_dropped', {payload})");
        let sql = AssertSqlSafe(sql);
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    };
    // The migration refuses this encoding; what the listener looks for is put there by hand.
    sqlx::raw_sql(
        r"create schema pgmq;
        create table pgmq.meta (queue_name text);
        create schema pgmq_notify;
        create table pgmq_notify.installation as
          select null::text channels_prefix, '(?P<namespace>\w+)_queue' queue_naming_pattern,
            true global_channel, false triggers_enabled, 'every' delivery,
            '{}'::text[] namespaces_every, '{}'::text[] namespaces_wake_up",
    )
    .execute(&pool)
    .await
    .unwrap();
    let config = PgmqNotifyConfig::new().with_triggers_enabled(false);
    let mut listener = PgmqNotifyListener::new(pool.clone(), config, 10)
        .await
        .unwrap()
        .with_catch_up(CatchUp::Never);
    listener.listen_queue_dropped().await.unwrap();
    listener.connect().await.unwrap();
    // Not UTF-8, which the session asked for: the server ends it.
    notify(r"convert_from('\xff', 'SQL_ASCII')").await;
    gap(&mut listener).await;
    notify(r#"'{"event_type":"queue_dropped","queue_name":"q","namespace":"n","dropped_at":"2026-01-01T00:00:00Z"}'"#).await;
    let event = next(&mut listener).await;
    assert!(
        matches!(event, PgmqNotifyEvent::QueueDropped(_)),
        "{event:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_several_threads_nothing_is_lost_or_reordered() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    let pool = database.pool().clone();
    let sender = tokio::spawn(async move {
        for _ in 0..20 {
            sqlx::raw_sql("do $$ begin for i in 1..250 loop perform pgmq.send('orders_queue', '{}'); end loop; end $$")
                .execute(&pool)
                .await
                .unwrap();
        }
    });
    for id in 1..=5_000 {
        assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
    }
    sender.await.unwrap();
    assert_eq!(listener.stats().gaps, 0);
}

#[tokio::test]
async fn waiting_before_connect_is_an_error_that_says_so() {
    let database = TestDatabase::empty().await;
    let pool = database.pool().clone();
    let mut listener = PgmqNotifyListener::new(pool, PgmqNotifyConfig::new(), 1)
        .await
        .unwrap();
    let error = listener.next_event().await.unwrap_err();
    assert_eq!(error.kind(), ListenerErrorKind::NotConnected);
}
