//! Lost sessions.

use std::path::Path;
use std::time::Duration;

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent, ResumeReason};
use pgmq_notify_listener::{ListenerErrorKind, ListenerStatus, PgmqNotifyListener};
use pgmq_notify_tests::{Pgmq, Server, Settings, Stop, TestDatabase, eventually};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection};

use super::{
    SOON, connected, connected_without_catch_up, create, gap, message, next, next_message, send,
    terminate,
};

async fn reconnecting(listener: &PgmqNotifyListener) -> ListenerStatus {
    let mut status = listener.status();
    let waiting = status.wait_for(
        |status| matches!(status, ListenerStatus::Reconnecting { attempt, .. } if *attempt > 2),
    );
    *tokio::time::timeout(SOON, waiting)
        .await
        .expect("the loss is noticed")
        .expect("the listener is there")
}

#[tokio::test]
async fn after_a_terminated_backend_comes_resumed_and_then_events_again() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected_without_catch_up(&database, &config, 10).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    for round in 1..=5 {
        let before = send(&database, "orders_queue").await;
        assert_eq!(next_message(&mut listener).await, ("orders".into(), before));
        terminate(&database).await;
        let (reason, gap) = gap(&mut listener).await;
        assert_eq!(reason, ResumeReason::Reconnected);
        assert!(gap > Duration::ZERO && gap < SOON, "{gap:?}");
        let after = send(&database, "orders_queue").await;
        assert_eq!(next_message(&mut listener).await, ("orders".into(), after));
        let stats = listener.stats();
        assert_eq!(
            (stats.gaps, stats.reconnects, stats.resumed),
            (round, round, round)
        );
    }
    assert_eq!(*listener.status().borrow(), ListenerStatus::Connected);
}

#[tokio::test]
async fn subscriptions_changed_without_a_session_are_those_of_the_next_one() {
    let config = PgmqNotifyConfig::new();
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    create(&database, "orders_queue").await;
    create(&database, "billing_queue").await;
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    server.stop(Stop::Fast).await.unwrap();
    reconnecting(&listener).await;
    listener
        .listen_message_ready_for_namespace("billing")
        .await
        .unwrap();
    listener
        .unlisten_message_ready_for_namespace("orders")
        .await
        .unwrap();
    server.start_again().await.unwrap();
    gap(&mut listener).await;
    send(&database, "orders_queue").await;
    send(&database, "billing_queue").await;
    assert_eq!(next_message(&mut listener).await, ("billing".into(), 1));
    assert_eq!(listener.stats().unsubscribed, 0);
}

#[tokio::test]
async fn events_flow_again_after_a_restart_a_stop_with_a_later_start_and_a_kill() {
    let config = PgmqNotifyConfig::new();
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected_without_catch_up(&database, &config, 100).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();

    server.restart().await.unwrap();
    arrives_again(&database, &mut listener).await;

    server.stop(Stop::Immediate).await.unwrap();
    let status = reconnecting(&listener).await;
    assert!(
        matches!(
            status,
            ListenerStatus::Reconnecting {
                reason: ListenerErrorKind::Unreachable,
                ..
            }
        ),
        "{status:?}"
    );
    server.start_again().await.unwrap();
    arrives_again(&database, &mut listener).await;

    server.kill().await.unwrap();
    server.start_again().await.unwrap();
    arrives_again(&database, &mut listener).await;
    assert!(listener.stats().reconnects >= 3);
}

/// After one gap or, where the starting server took a session and lost it, several.
async fn arrives_again(database: &TestDatabase, listener: &mut PgmqNotifyListener) {
    let (reason, _) = gap(listener).await;
    assert_eq!(reason, ResumeReason::Reconnected);
    // The test's own pool has dead connections, too.
    let id = eventually(SOON, || async {
        sqlx::query_scalar::<_, i64>("select pgmq.send('orders_queue', '{}')")
            .fetch_one(database.pool())
            .await
    })
    .await;
    let mut event = next(listener).await;
    while let PgmqNotifyEvent::Resumed(_) = event {
        event = next(listener).await;
    }
    assert_eq!(message(&event), ("orders".into(), id));
}

#[tokio::test]
async fn a_password_changed_meanwhile_is_retried_until_it_is_right_again() {
    let config = PgmqNotifyConfig::new();
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    create(&database, "orders_queue").await;
    database
        .run(
            "create role app login password 'right';
             grant usage on schema pgmq, pgmq_notify to app;
             grant select on pgmq.meta, pgmq_notify.installation to app",
        )
        .await
        .unwrap();
    let app = database.options().username("app");
    ask_for_passwords(&server.directory().expect("a local server"), &app).await;

    let wrong = PgPoolOptions::new().connect_lazy_with(app.clone().password("wrong"));
    let mut refused = PgmqNotifyListener::new(wrong, config.clone(), 1)
        .await
        .unwrap();
    let error = refused.connect().await.unwrap_err();
    assert_eq!(error.kind(), ListenerErrorKind::Authentication);
    assert!(!error.is_transient());
    assert!(
        !format!("{error} {error:?} {refused:?}").contains("wrong"),
        "{error:?}"
    );

    let pool = PgPoolOptions::new().connect_lazy_with(app.password("right"));
    let mut listener = PgmqNotifyListener::new(pool.clone(), config, 10)
        .await
        .unwrap();
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    listener.connect().await.unwrap();
    database
        .run("alter role app password 'other'")
        .await
        .unwrap();
    terminate(&database).await;
    let status = reconnecting(&listener).await;
    assert!(
        matches!(
            status,
            ListenerStatus::Reconnecting {
                reason: ListenerErrorKind::Authentication,
                ..
            }
        ),
        "{status:?}"
    );
    database
        .run("alter role app password 'right'")
        .await
        .unwrap();
    gap(&mut listener).await;
    send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), 1));

    // Or the application's pool gets the new password.
    database
        .run("alter role app password 'newer'")
        .await
        .unwrap();
    let newer = pool.connect_options().as_ref().clone().password("newer");
    pool.set_connect_options(newer);
    terminate(&database).await;
    gap(&mut listener).await;
    send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), 2));
}

/// Has the server ask this role for its password, and waits until it does.
async fn ask_for_passwords(directory: &Path, role: &PgConnectOptions) {
    let file = directory.join("data/pg_hba.conf");
    let rules = std::fs::read_to_string(&file).expect("the rules of the server");
    let user = role.get_username();
    let first = format!("host all {user} 127.0.0.1/32 scram-sha-256\n");
    std::fs::write(&file, first + &rules).expect("a new rule");
    let admin = role.clone().username("postgres");
    let mut admin = PgConnection::connect_with(&admin).await.expect("connect");
    sqlx::raw_sql("select pg_reload_conf()")
        .execute(&mut admin)
        .await
        .expect("reload the rules");
    eventually(SOON, || async {
        let asked = PgConnection::connect_with(&role.clone().password("")).await;
        asked.is_err()
    })
    .await;
}

#[tokio::test]
async fn disconnect_ends_a_listener_that_is_reconnecting() {
    let server = Server::start(Settings::new()).await.unwrap();
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    let mut listener = connected(&database, &config).await;
    server.stop(Stop::Fast).await.unwrap();
    reconnecting(&listener).await;
    tokio::time::timeout(Duration::from_secs(6), listener.disconnect())
        .await
        .expect("within its bound");
    assert!(listener.next_event().await.unwrap().is_none());
    assert_eq!(*listener.status().borrow(), ListenerStatus::Disconnected);
}
