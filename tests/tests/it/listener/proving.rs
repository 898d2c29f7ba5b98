//! What `connect` makes sure of, and what it says when it cannot.

use std::time::{Duration, Instant};

use pgmq_notify_core::{Delivery, PgmqNotifyConfig};
use pgmq_notify_listener::{ListenerError, ListenerErrorKind, PgmqNotifyListener};
use pgmq_notify_tests::{Pgmq, Server, Settings, Stop, TestDatabase};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use super::{SOON, connected, create, next_message, no_backend_is_left, send};

/// What `connect` says, which it does within 5 seconds.
async fn refused(pool: &PgPool, config: &PgmqNotifyConfig) -> ListenerError {
    let mut listener = PgmqNotifyListener::new(pool.clone(), config.clone(), 1)
        .await
        .expect("a valid configuration");
    let start = Instant::now();
    let error = listener.connect().await.expect_err("no listener");
    assert!(start.elapsed() < Duration::from_secs(5), "{error:?}");
    assert!(!error.is_transient(), "{error:?}");
    error
}

#[tokio::test]
async fn a_database_without_pgmq_is_told_apart_from_one_without_the_migration() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::empty().await;
    let error = refused(database.pool(), &config).await;
    assert_eq!(error.kind(), ListenerErrorKind::PgmqMissing);
    assert!(
        error.to_string().contains("create extension pgmq"),
        "{error}"
    );

    let database = TestDatabase::new().await;
    let error = refused(database.pool(), &config).await;
    assert_eq!(error.kind(), ListenerErrorKind::NotInstalled);
    assert!(error.to_string().contains("generate-migration"), "{error}");

    database.migrate(&config).await;
    connected(&database, &config).await;
}

#[tokio::test]
async fn a_missing_trigger_is_named_by_its_queue() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "Orders_queue").await;
    connected(&database, &config).await;
    database
        .run("drop trigger pgmq_notify_message_inserted on pgmq.\"q_orders_queue\"")
        .await
        .unwrap();
    let error = refused(database.pool(), &config).await;
    assert_eq!(error.kind(), ListenerErrorKind::NotInstalled);
    assert!(error.to_string().contains("\"Orders_queue\""), "{error}");

    database.migrate(&config).await;
    connected(&database, &config).await;
    for sql in [
        "alter table pgmq.meta disable trigger pgmq_notify_queue_created",
        "drop trigger pgmq_notify_queue_created on pgmq.meta",
    ] {
        database.run(sql).await.unwrap();
        let error = refused(database.pool(), &config).await;
        assert_eq!(error.kind(), ListenerErrorKind::NotInstalled, "{sql}");
        assert!(error.to_string().contains("pgmq.meta"), "{error}");
    }
}

#[tokio::test]
async fn a_trigger_of_an_older_configuration_is_told_with_the_remedy() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let config = config.with_channels_prefix("app");
    database
        .run("update pgmq_notify.installation set channels_prefix = 'app'")
        .await
        .unwrap();
    let error = refused(database.pool(), &config).await;
    assert_eq!(error.kind(), ListenerErrorKind::Drift);
    assert!(error.to_string().contains("\"orders_queue\""), "{error}");
    let (_, remedy) = error
        .to_string()
        .rsplit_once("run: ")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    database.run(remedy).await.unwrap();
    connected(&database, &config).await;
}

#[tokio::test]
async fn another_configuration_than_the_installed_one_is_told_with_both_values() {
    let installed = PgmqNotifyConfig::new()
        .with_channels_prefix("theirs")
        .with_global_channel(false)
        .with_namespace_delivery("mail", Delivery::Every)
        .with_namespace_delivery("orders", Delivery::WakeUp);
    let database = TestDatabase::migrated(&installed).await;
    for (config, values) in [
        (
            installed.clone().with_channels_prefix("ours"),
            ["\"theirs\"", "\"ours\""],
        ),
        (
            installed
                .clone()
                .with_queue_naming_pattern("^(?P<namespace>[a-z]+)"),
            ["_queue", "[a-z]+"],
        ),
        (
            installed.clone().with_global_channel(true),
            ["false", "true"],
        ),
        (
            installed.clone().with_triggers_enabled(false),
            ["true", "false"],
        ),
        (
            installed.clone().with_delivery(Delivery::WakeUp),
            ["delivery is \"every\" in the database", "\"wake_up\""],
        ),
        (
            installed
                .clone()
                .with_namespace_delivery("orders", Delivery::Every),
            ["\"orders\" is \"wake_up\" in the database", "\"every\""],
        ),
        (
            installed
                .clone()
                .with_namespace_delivery("mail", Delivery::WakeUp),
            ["\"mail\" is \"every\" in the database", "\"wake_up\""],
        ),
        (
            installed
                .clone()
                .with_namespace_delivery("letters", Delivery::WakeUp),
            ["\"letters\" is \"every\" in the database", "\"wake_up\""],
        ),
    ] {
        let error = refused(database.pool(), &config).await;
        assert_eq!(error.kind(), ListenerErrorKind::Drift);
        for value in values {
            assert!(error.to_string().contains(value), "{error}");
        }
    }
    let sizes = installed.with_max_payload_size(2_000).with_payload(false);
    connected(&database, &sizes).await;
}

#[tokio::test]
async fn the_same_delivery_said_in_other_words_is_accepted() {
    let installed = PgmqNotifyConfig::new()
        .with_delivery(Delivery::WakeUp)
        .with_namespace_delivery("it's {a}, \"b\"", Delivery::Every)
        .with_namespace_delivery("orders", Delivery::WakeUp);
    let database = TestDatabase::migrated(&installed).await;
    connected(&database, &installed).await;
    let shorter = PgmqNotifyConfig::new()
        .with_delivery(Delivery::WakeUp)
        .with_namespace_delivery("it's {a}, \"b\"", Delivery::Every);
    connected(&database, &shorter).await;
    let longer = installed.with_namespace_delivery("mail", Delivery::WakeUp);
    connected(&database, &longer).await;
}

#[tokio::test]
async fn a_migration_from_before_delivery_is_told_with_the_remedy() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    database
        .run(
            "alter table pgmq_notify.installation \
             drop column delivery, drop column namespaces_every, drop column namespaces_wake_up; \
             drop function pgmq_notify.route; \
             create function pgmq_notify.route(queue_name text, out names text, out payload boolean) \
             language plpgsql as 'begin end'",
        )
        .await
        .unwrap();
    let error = refused(database.pool(), &config).await;
    assert_eq!(error.kind(), ListenerErrorKind::Drift);
    for text in ["older", "delivery", "generate-migration"] {
        assert!(error.to_string().contains(text), "{error}");
    }
    database.migrate(&config).await;
    connected(&database, &config).await;
}

#[tokio::test]
async fn an_installation_without_triggers_is_one() {
    let config = PgmqNotifyConfig::new().with_triggers_enabled(false);
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    connected(&database, &config).await;
}

#[tokio::test]
async fn a_role_without_rights_is_told_what_to_grant() {
    let config = PgmqNotifyConfig::new();
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    create(&database, "orders_queue").await;
    database.run("create role \"An App\" login").await.unwrap();
    let options = database.options().username("An App");
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let error = refused(&pool, &config).await;
    assert_eq!(error.kind(), ListenerErrorKind::Permission);
    let text = error.to_string();
    let (_, remedy) = text.split_once("run: ").expect("statements to run");
    database.run(remedy.to_owned()).await.unwrap();

    let mut listener = PgmqNotifyListener::new(pool, config, 10).await.unwrap();
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), 1));
}

#[tokio::test]
async fn a_standby_is_refused_until_it_is_promoted() {
    let config = PgmqNotifyConfig::new();
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    create(&database, "orders_queue").await;
    server.stop(Stop::Fast).await.unwrap();
    let signal = server.directory().unwrap().join("data/standby.signal");
    std::fs::write(signal, "").unwrap();
    server.start_again().await.unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(database.options());
    let error = refused(&pool, &config).await;
    assert_eq!(error.kind(), ListenerErrorKind::Standby);

    database.run("select pg_promote()").await.unwrap();
    let mut listener = connected(&database, &config).await;
    listener.listen_message_ready_global().await.unwrap();
    send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), 1));
}

#[tokio::test]
async fn a_pool_that_is_used_up_does_not_stand_in_the_way() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(SOON)
        .connect_lazy_with(database.options());
    let held = pool.acquire().await.unwrap();
    let mut listener = PgmqNotifyListener::new(pool, config, 10).await.unwrap();
    listener.listen_message_ready_global().await.unwrap();
    let start = Instant::now();
    listener.connect().await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), 1));
    drop(held);
}

#[tokio::test]
async fn a_listener_that_nothing_reaches_is_refused_although_listen_succeeds() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let other = TestDatabase::migrated(&config).await;
    // The pool's connection publishes in another database than the one that is listened in.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(other.options());
    drop(pool.acquire().await.unwrap());
    pool.set_connect_options(database.options());
    let error = refused(&pool, &config).await;
    assert_eq!(error.kind(), ListenerErrorKind::NotDelivered);
    assert!(error.to_string().contains("pool_mode=session"), "{error}");
    no_backend_is_left(&database).await;
}
