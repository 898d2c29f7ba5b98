//! The connection: how it is made, whose it is, how it ends.

use std::error::Error as _;
use std::time::{Duration, Instant};

use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_listener::{ListenerErrorKind, ListenerStatus, PgmqNotifyListener};
use pgmq_notify_tests::{TestDatabase, eventually};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};

use super::{
    SOON, backends, connected, connected_without_catch_up, create, gap, next_message,
    no_backend_is_left, send,
};

/// What `connect` says, well before the pool's own 30 seconds.
async fn refused(options: PgConnectOptions) -> ListenerErrorKind {
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let config = PgmqNotifyConfig::new();
    let mut listener = PgmqNotifyListener::new(pool, config, 1)
        .await
        .expect("a valid configuration");
    let start = Instant::now();
    let error = listener.connect().await.expect_err("no connection");
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
    assert!(error.source().is_some(), "{error:?}");
    assert_eq!(*listener.status().borrow(), ListenerStatus::Disconnected);
    error.kind()
}

#[tokio::test]
async fn connect_fails_fast_and_says_why() {
    let database = TestDatabase::empty().await;
    let options = database.options();
    let unused = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = unused.local_addr().unwrap().port();
    drop(unused);
    for (options, kind) in [
        (
            options.clone().host("127.0.0.1").port(port),
            ListenerErrorKind::Unreachable,
        ),
        (
            options.clone().host("host.invalid"),
            ListenerErrorKind::Unreachable,
        ),
        (
            options.clone().database("no such database"),
            ListenerErrorKind::UnknownDatabase,
        ),
        (
            options.clone().username("no such role"),
            ListenerErrorKind::Authentication,
        ),
        (
            options.clone().ssl_mode(PgSslMode::Require),
            ListenerErrorKind::Tls,
        ),
    ] {
        assert_eq!(refused(options).await, kind);
    }
}

#[tokio::test]
async fn a_configuration_or_buffer_that_cannot_work_is_refused() {
    let database = TestDatabase::empty().await;
    let pool = database.pool().clone();
    let config = PgmqNotifyConfig::new();
    let error = PgmqNotifyListener::new(pool.clone(), config.clone(), 0)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ListenerErrorKind::Argument);
    let config = config.with_channels_prefix("");
    let error = PgmqNotifyListener::new(pool, config, 1).await.unwrap_err();
    assert_eq!(error.kind(), ListenerErrorKind::Configuration);
}

#[tokio::test]
async fn a_pool_of_one_connection_stays_free_for_the_application() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(SOON)
        .connect_lazy_with(database.options().application_name("billing"));
    let mut listener = PgmqNotifyListener::new(pool.clone(), config, 10)
        .await
        .unwrap();
    listener.connect().await.unwrap();
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    let held = pool.acquire().await.unwrap();
    let names: Vec<String> = sqlx::query_scalar(
        "select application_name from pg_stat_activity
         where datname = current_database() and application_name like '%billing' order by 1",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(names, ["billing", "pgmq-notify-listener billing"]);
    send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), 1));
    drop(held);
}

#[tokio::test]
async fn disconnect_ends_the_backend_and_the_events_and_connect_begins_again() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected_without_catch_up(&database, &config, 10).await;
    let status = listener.status();
    listener.listen_message_ready_global().await.unwrap();
    assert_eq!(*status.borrow(), ListenerStatus::Connected);
    listener.disconnect().await;
    assert_eq!(*status.borrow(), ListenerStatus::Disconnected);
    no_backend_is_left(&database).await;
    for _ in 0..2 {
        assert!(listener.next_event().await.unwrap().is_none());
    }
    listener.disconnect().await;

    send(&database, "orders_queue").await;
    listener.connect().await.unwrap();
    listener.connect().await.unwrap();
    assert_eq!(backends(&database).await.len(), 1);
    gap(&mut listener).await;
    send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), 2));
}

#[tokio::test]
async fn disconnect_under_load_is_quick_and_leaves_no_backend() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected(&database, &config).await;
    listener.listen_message_ready_global().await.unwrap();
    let pool = database.pool().clone();
    let sender = tokio::spawn(async move {
        loop {
            sqlx::raw_sql("do $$ begin for i in 1..1000 loop perform pgmq.send('orders_queue', to_jsonb(repeat('x', 2000))); end loop; end $$")
                .execute(&pool)
                .await
                .unwrap();
        }
    });
    for _ in 0..500 {
        next_message(&mut listener).await;
    }
    let start = Instant::now();
    listener.disconnect().await;
    assert!(
        start.elapsed() < Duration::from_secs(6),
        "{:?}",
        start.elapsed()
    );
    sender.abort();
    no_backend_is_left(&database).await;
}

#[tokio::test]
async fn a_dropped_listener_leaves_no_backend() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let listener = connected(&database, &config).await;
    let status = listener.status();
    assert_eq!(backends(&database).await.len(), 1);
    drop(listener);
    no_backend_is_left(&database).await;
    assert_eq!(*status.borrow(), ListenerStatus::Disconnected);
}

#[tokio::test]
async fn a_cancelled_connect_leaves_no_backend_and_can_be_repeated() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let pool = database.pool().clone();
    let mut listener = PgmqNotifyListener::new(pool, config, 1).await.unwrap();
    listener.listen_queue_created().await.unwrap();
    for micros in [0, 200, 1_000, 3_000, 5_000, 8_000, 12_000, 20_000] {
        let patience = Duration::from_micros(micros);
        if tokio::time::timeout(patience, listener.connect())
            .await
            .is_ok()
        {
            listener.disconnect().await;
        }
        assert_eq!(*listener.status().borrow(), ListenerStatus::Disconnected);
    }
    no_backend_is_left(&database).await;
    listener.connect().await.unwrap();
    eventually(SOON, || async { backends(&database).await.len() == 1 }).await;
}

#[test]
fn a_listener_whose_runtime_has_shut_down_says_so_once() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let (database, mut listener) = first.block_on(async {
        let config = PgmqNotifyConfig::new();
        let database = TestDatabase::migrated(&config).await;
        let listener = connected(&database, &config).await;
        (database, listener)
    });
    drop(first);
    second.block_on(async {
        let error = listener.next_event().await.unwrap_err();
        assert_eq!(error.kind(), ListenerErrorKind::Stopped);
        assert!(listener.next_event().await.unwrap().is_none());
        no_backend_is_left(&database).await;
    });
}
