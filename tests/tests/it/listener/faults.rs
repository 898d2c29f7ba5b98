//! Networks and servers that break.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::{ListenerErrorKind, ListenerStatus, PgmqNotifyListener};
use pgmq_notify_tests::{
    Cut, Direction, PgBouncer, Pgmq, Proxy, Server, Settings, Stop, TestDatabase, eventually,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::{SOON, create, gap, message, next, next_message, send};

async fn database() -> TestDatabase {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create(&database, "orders_queue").await;
    database
}

/// A listener of everything, by these options.
async fn listening(
    options: PgConnectOptions,
    quiet: Duration,
    answer: Duration,
) -> PgmqNotifyListener {
    let pool = PgPoolOptions::new().connect_lazy_with(options);
    let mut listener = PgmqNotifyListener::new(pool, PgmqNotifyConfig::new(), 1_000)
        .await
        .expect("a valid configuration")
        .with_heartbeat(quiet, answer);
    listener
        .listen_message_ready_global()
        .await
        .expect("subscribe");
    listener.connect().await.expect("connect");
    listener
}

async fn until(listener: &PgmqNotifyListener, is: impl Fn(&ListenerStatus) -> bool) {
    let mut status = listener.status();
    let reached = status.wait_for(|status| is(status));
    tokio::time::timeout(SOON, reached)
        .await
        .expect("the status is reached in time")
        .expect("the listener is there");
}

/// Takes events until each of these messages has had one.
async fn all_told(listener: &mut PgmqNotifyListener, mut ids: BTreeSet<i64>) {
    while !ids.is_empty() {
        match next(listener).await {
            PgmqNotifyEvent::BatchReady(event) => ids.retain(|id| !event.msg_ids.contains(id)),
            PgmqNotifyEvent::Resumed(_) => {}
            event => {
                ids.remove(&message(&event).1);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_is_noticed_within_both_times_and_what_it_swallowed_is_caught_up() {
    let (quiet, answer) = (Duration::from_millis(300), Duration::from_millis(500));
    let database = database().await;
    let proxy = Proxy::before(database.server());
    let mut listener = listening(proxy.options(&database), quiet, answer).await;
    for round in 0..20 {
        let direction = [Direction::ToServer, Direction::ToClient, Direction::Both][round % 3];
        let start = Instant::now();
        proxy.swallow(direction);
        let id = send(&database, "orders_queue").await;
        until(&listener, |it| *it != ListenerStatus::Connected).await;
        let noticed = start.elapsed();
        assert!(
            noticed < quiet + answer + Duration::from_millis(500),
            "{direction:?}: {noticed:?}"
        );
        proxy.heal().await;
        all_told(&mut listener, [id].into()).await;
        until(&listener, |it| *it == ListenerStatus::Connected).await;
    }
    let stats = listener.stats();
    assert!(stats.gaps >= 20, "{stats:?}");
    // Nothing of the dead sessions is left: one connection to listen, and those of the pool.
    eventually(SOON, || async {
        let connections = proxy.connections();
        if connections <= 1 + 10 {
            Ok(())
        } else {
            Err(connections)
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_with_half_a_second_of_delay_lives() {
    let database = database().await;
    let proxy = Proxy::before(database.server());
    let quiet = Duration::from_millis(300);
    let mut listener = listening(proxy.options(&database), quiet, Duration::from_secs(5)).await;
    proxy.delay(Duration::from_millis(500));
    for id in 1..=3 {
        tokio::time::sleep(quiet * 3).await;
        send(&database, "orders_queue").await;
        assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
    }
    let asked = eventually(SOON, || async {
        listener
            .stats()
            .round_trip
            .filter(|it| *it > Duration::from_millis(900))
    });
    asked.await;
    assert_eq!(listener.stats().gaps, 0);
    // And so does one that is made through it.
    proxy.cut(Cut::Reset);
    gap(&mut listener).await;
    assert!(listener.stats().reconnects > 0);
}

#[tokio::test]
async fn a_backlog_on_a_narrow_line_counts_as_an_answer() {
    let database = database().await;
    let proxy = Proxy::before(database.server());
    // Asked all the time, and each answer stands behind seconds of notifications.
    let (quiet, answer) = (Duration::from_millis(10), Duration::from_secs(1));
    let mut listener = listening(proxy.options(&database), quiet, answer).await;
    proxy.limit(30_000);
    database
        .run("do $$ begin for i in 1..100 loop perform pgmq.send('orders_queue', to_jsonb(repeat('x', 1000))); end loop; end $$")
        .await
        .unwrap();
    for id in 1..=100 {
        assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
    }
    assert_eq!(listener.stats().gaps, 0);
}

#[tokio::test]
async fn a_closed_and_a_reset_connection_cost_nothing_but_the_time() {
    let database = database().await;
    let proxy = Proxy::before(database.server());
    let long = Duration::from_hours(1);
    let mut listener = listening(proxy.options(&database), long, long).await;
    for how in [Cut::Closed, Cut::Reset, Cut::Closed, Cut::Reset] {
        proxy.cut(how);
        let ids = [
            send(&database, "orders_queue").await,
            send(&database, "orders_queue").await,
        ];
        gap(&mut listener).await;
        all_told(&mut listener, ids.into()).await;
    }
}

#[tokio::test]
async fn a_pooler_of_transactions_is_refused() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&PgmqNotifyConfig::new()).await;
    let pooler = PgBouncer::before(&server).await.unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(pooler.options(&database));
    let mut listener = PgmqNotifyListener::new(pool, PgmqNotifyConfig::new(), 10)
        .await
        .unwrap();
    for _ in 0..3 {
        let start = Instant::now();
        let error = listener.connect().await.unwrap_err();
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(error.kind(), ListenerErrorKind::NotDelivered, "{error:?}");
    }
}

#[tokio::test]
async fn a_listener_follows_to_a_promoted_standby_and_catches_up_there() {
    let config = PgmqNotifyConfig::new();
    let primary = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&primary, Pgmq::V1_13).await;
    database.migrate(&config).await;
    create(&database, "orders_queue").await;
    let standby = primary.standby().await.unwrap();
    let there = standby.options(database.name());

    let pool = PgPoolOptions::new().connect_lazy_with(there.clone());
    let mut refused = PgmqNotifyListener::new(pool, config.clone(), 10)
        .await
        .unwrap();
    let start = Instant::now();
    let error = refused.connect().await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(error.kind(), ListenerErrorKind::Standby);

    let pool = PgPoolOptions::new().connect_lazy_with(database.options());
    let mut listener = PgmqNotifyListener::new(pool.clone(), config, 10)
        .await
        .unwrap();
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), 1));
    // The last message is replicated, and its notification is not.
    pool.set_connect_options(there);
    database
        .run("set pgmq_notify.mute = 'on'; select pgmq.send('orders_queue', '{}')")
        .await
        .unwrap();
    standby.catch_up_with(&primary).await.unwrap();
    primary.stop(Stop::Immediate).await.unwrap();
    until(&listener, |it| {
        matches!(
            it,
            ListenerStatus::Reconnecting {
                reason: ListenerErrorKind::Standby,
                ..
            }
        )
    })
    .await;
    standby.promote().await.unwrap();
    gap(&mut listener).await;
    all_told(&mut listener, [1, 2].into()).await;
}
