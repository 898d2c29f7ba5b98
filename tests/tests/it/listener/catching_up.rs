//! What the tables say after a gap.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::{CatchUp, ListenerStatus, PgmqNotifyListener};
use pgmq_notify_tests::{Pgmq, Server, Settings, Stop, TestDatabase, eventually};
use sqlx::postgres::PgPoolOptions;

use super::{
    SOON, backends, connected, connected_with, create, gap, message, next, next_message, send,
    terminate,
};

/// Sends `count` messages to `queue`, each its own event.
async fn send_many(database: &TestDatabase, queue: &str, count: u32) {
    database
        .run(format!(
            "do $$ begin for i in 1..{count} loop perform pgmq.send('{queue}', '{{}}'); end loop; end $$"
        ))
        .await
        .expect("send messages");
}

/// The ids of the next event, which is of one queue.
async fn ids(listener: &mut PgmqNotifyListener, queue: &str) -> Vec<i64> {
    let event = next(listener).await;
    assert_eq!(event.queue_name().unwrap(), queue, "{event:?}");
    match event {
        PgmqNotifyEvent::BatchReady(event) => {
            assert_eq!(event.message_count, event.msg_ids.len() as u64);
            event.msg_ids
        }
        PgmqNotifyEvent::MessageReady(event) => vec![event.msg_id],
        other => panic!("not of a catch-up: {other:?}"),
    }
}

/// Disconnects, has `meanwhile` happen, and connects again.
async fn missing(
    database: &TestDatabase,
    listener: &mut PgmqNotifyListener,
    meanwhile: &[&'static str],
) {
    listener.disconnect().await;
    for sql in meanwhile {
        database.run(*sql).await.expect("something that is missed");
    }
    listener.connect().await.expect("connect again");
    gap(listener).await;
}

/// The catch-up ends without anything else, and after a message of its own nothing was in between.
async fn nothing_else(database: &TestDatabase, listener: &mut PgmqNotifyListener, catch_ups: u64) {
    let deadline = Instant::now() + SOON;
    while listener.stats().catch_ups < catch_ups {
        assert!(Instant::now() < deadline, "the catch-up does not end");
        let event = listener.next_event().now_or_never();
        assert!(event.is_none(), "{event:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let id = send(database, "orders_queue").await;
    assert_eq!(next_message(listener).await, ("orders".into(), id));
}

#[tokio::test]
async fn the_messages_of_subscribed_queues_follow_the_gap_in_pages_and_others_do_not() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    for queue in ["orders_queue", "Orders_queue_2", "billing_queue"] {
        create(&database, queue).await;
    }
    let mut listener = connected(&database, &config).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    missing(
        &database,
        &mut listener,
        &[
            "select pgmq.send_batch('orders_queue', array(select '{}'::jsonb from generate_series(1, 2500)))",
            "select pgmq.send('Orders_queue_2', '{}')",
            "select pgmq.send('billing_queue', '{}')",
        ],
    )
    .await;
    let mut expected = 1..=2_500;
    // `O` before `o`.
    let mut events = Vec::new();
    for _ in 0..3 {
        events.push(ids(&mut listener, "orders_queue").await);
    }
    assert_eq!(
        events.iter().map(Vec::len).collect::<Vec<_>>(),
        [1_000, 1_000, 500]
    );
    assert!(events.concat().into_iter().eq(expected.by_ref()));
    nothing_else(&database, &mut listener, 1).await;
    let stats = listener.stats();
    assert_eq!((stats.catch_ups, stats.caught_up_events), (1, 3));

    listener.listen_message_ready_global().await.unwrap();
    missing(&database, &mut listener, &[]).await;
    let mut queues = BTreeSet::new();
    for _ in 0..5 {
        queues.insert(next(&mut listener).await.queue_name().unwrap().to_string());
    }
    assert!(
        queues
            .iter()
            .eq(["Orders_queue_2", "billing_queue", "orders_queue"].iter()),
        "{queues:?}"
    );
}

#[tokio::test]
async fn a_message_that_somebody_holds_is_left_out_and_a_delayed_one_comes_with_its_time() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected(&database, &config).await;
    listener.listen_message_ready_global().await.unwrap();
    missing(
        &database,
        &mut listener,
        &[
            "select pgmq.send_batch('orders_queue', array['1', '2', '3', '4']::jsonb[])",
            "select pgmq.read('orders_queue', 600, 1)",
            "select pgmq.send('orders_queue', '5', 60)",
            "select pgmq.archive('orders_queue', 3)",
        ],
    )
    .await;
    assert_eq!(ids(&mut listener, "orders_queue").await, [2, 4]);
    let PgmqNotifyEvent::MessageReady(delayed) = next(&mut listener).await else {
        panic!("a delayed message has an event of its own");
    };
    assert_eq!(delayed.msg_id, 5);
    let delay = delayed.visible_at.duration_since(delayed.ready_at).unwrap();
    assert!(
        delay > Duration::from_secs(30) && delay <= Duration::from_mins(1),
        "{delay:?}"
    );
    assert!(delayed.ready_at <= SystemTime::now() + Duration::from_secs(1));
    nothing_else(&database, &mut listener, 1).await;
}

#[tokio::test]
async fn queues_created_dropped_and_made_anew_meanwhile_are_told() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    for queue in ["gone_queue", "kept_queue", "anew_queue", "orders_queue"] {
        create(&database, queue).await;
    }
    let mut listener = connected(&database, &config).await;
    listener.listen_queue_created().await.unwrap();
    listener.listen_queue_dropped().await.unwrap();
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    // What was told already is not told again.
    create(&database, "told_queue").await;
    assert_eq!(next(&mut listener).await.event_type(), "queue_created");
    missing(
        &database,
        &mut listener,
        &[
            "select pgmq.drop_queue('gone_queue')",
            "select pgmq.drop_queue('anew_queue')",
            "select pgmq.create('anew_queue')",
            "select pgmq.create_unlogged('added_queue')",
            "select pgmq.create('never_queue')",
            "select pgmq.drop_queue('never_queue')",
        ],
    )
    .await;
    let mut told = Vec::new();
    for _ in 0..4 {
        let event = next(&mut listener).await;
        if let PgmqNotifyEvent::QueueCreated(event) = &event {
            assert_eq!(event.is_unlogged, event.queue_name == "added_queue");
        }
        let namespace = event.namespace().unwrap().to_string();
        told.push((event.event_type(), namespace));
    }
    assert_eq!(
        told,
        [
            ("queue_dropped", "anew".into()),
            ("queue_dropped", "gone".into()),
            ("queue_created", "added".into()),
            ("queue_created", "anew".into()),
        ]
    );
    nothing_else(&database, &mut listener, 1).await;

    // And whoever listens to one kind hears that kind.
    listener.unlisten_queue_created().await.unwrap();
    missing(
        &database,
        &mut listener,
        &[
            "select pgmq.create('more_queue')",
            "select pgmq.drop_queue('kept_queue')",
        ],
    )
    .await;
    let event = next(&mut listener).await;
    assert_eq!(
        (event.event_type(), event.namespace().unwrap().as_str()),
        ("queue_dropped", "kept")
    );
    assert_eq!(ids(&mut listener, "orders_queue").await, [1]);
    assert_eq!(listener.stats().unsubscribed, 0);
}

#[tokio::test]
async fn an_overflow_is_made_up_for_from_the_tables_and_ends() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected_with(&database, &config, 10).await;
    listener.listen_message_ready_global().await.unwrap();
    send_many(&database, "orders_queue", 3_000).await;
    eventually(SOON, || async {
        listener.stats().overflowed_events == 2_990
    })
    .await;
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        seen.insert(next_message(&mut listener).await.1);
    }
    gap(&mut listener).await;
    // An overflow in the middle of the catch-up makes another one after it.
    seen.extend(ids(&mut listener, "orders_queue").await);
    send_many(&database, "orders_queue", 100).await;
    eventually(SOON, || async { listener.stats().overflows == 2 }).await;
    while listener.stats().catch_ups < 2 {
        match next(&mut listener).await {
            PgmqNotifyEvent::BatchReady(event) => seen.extend(event.msg_ids),
            PgmqNotifyEvent::MessageWithPayload(event) => {
                seen.insert(event.msg_id);
            }
            PgmqNotifyEvent::Resumed(_) => {}
            other => panic!("{other:?}"),
        }
        if seen.len() == 3_100 {
            break;
        }
    }
    assert!(seen.into_iter().eq(1..=3_100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_application_that_is_too_slow_for_good_goes_on_and_misses_nothing() {
    const COUNT: i64 = 2_000;
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected_with(&database, &config, 5).await;
    listener.listen_message_ready_global().await.unwrap();
    let pool = database.pool().clone();
    let sender = tokio::spawn(async move {
        for _ in 0..COUNT {
            sqlx::raw_sql("select pgmq.send('orders_queue', '{}')")
                .execute(&pool)
                .await
                .unwrap();
        }
    });
    let mut seen = BTreeSet::new();
    while seen.len() < usize::try_from(COUNT).unwrap() {
        match next(&mut listener).await {
            PgmqNotifyEvent::BatchReady(event) => seen.extend(event.msg_ids),
            PgmqNotifyEvent::Resumed(_) => {}
            event => {
                seen.insert(message(&event).1);
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    sender.await.unwrap();
    assert!(listener.stats().overflows > 1, "{:?}", listener.stats());
}

#[tokio::test]
async fn a_server_that_goes_away_in_the_middle_of_a_catch_up_costs_time_only() {
    let config = PgmqNotifyConfig::new();
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    create(&database, "orders_queue").await;
    create(&database, "other_queue").await;
    database
        .run("select pgmq.send_batch(q, array(select '{}'::jsonb from generate_series(1, 5000))) from unnest(array['orders_queue', 'other_queue']) q")
        .await
        .unwrap();
    let mut listener = connected(&database, &config).await;
    listener.listen_message_ready_global().await.unwrap();
    terminate(&database).await;
    gap(&mut listener).await;
    let mut seen = BTreeSet::from_iter(ids(&mut listener, "orders_queue").await);
    server.stop(Stop::Immediate).await.unwrap();
    let mut status = listener.status();
    tokio::time::timeout(SOON, status.wait_for(|it| *it != ListenerStatus::Connected))
        .await
        .unwrap()
        .unwrap();
    server.start_again().await.unwrap();
    // The rest of the first one, then the gap, then all of it again.
    let mut others = 0;
    let mut gaps = 0;
    while gaps == 0 || others < 10 {
        match next(&mut listener).await {
            PgmqNotifyEvent::BatchReady(event) if event.queue_name == "orders_queue" => {
                seen.extend(event.msg_ids);
            }
            PgmqNotifyEvent::BatchReady(_) => others += 1,
            PgmqNotifyEvent::Resumed(_) => gaps += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(seen.into_iter().eq(1..=5_000));
}

#[tokio::test]
async fn nothing_of_what_is_unsubscribed_comes_from_a_catch_up() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "billing_queue").await;
    create(&database, "orders_queue").await;
    let mut listener = connected(&database, &config).await;
    for namespace in ["billing", "orders"] {
        listener
            .listen_message_ready_for_namespace(namespace)
            .await
            .unwrap();
    }
    missing(
        &database,
        &mut listener,
        &[
            "select pgmq.send_batch('billing_queue', array(select '{}'::jsonb from generate_series(1, 5000)))",
            "select pgmq.send('orders_queue', '{}')",
        ],
    )
    .await;
    assert_eq!(ids(&mut listener, "billing_queue").await.len(), 1_000);
    listener
        .unlisten_message_ready_for_namespace("billing")
        .await
        .unwrap();
    assert_eq!(ids(&mut listener, "orders_queue").await, [1]);
}

#[tokio::test]
async fn a_cancelled_wait_loses_nothing_of_a_catch_up() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected(&database, &config).await;
    listener.listen_message_ready_global().await.unwrap();
    missing(
        &database,
        &mut listener,
        &["select pgmq.send_batch('orders_queue', array(select '{}'::jsonb from generate_series(1, 20000)))"],
    )
    .await;
    let mut seen = Vec::new();
    let mut cancelled = 0;
    while seen.len() < 20_000 {
        match listener.next_event().now_or_never() {
            Some(Ok(Some(PgmqNotifyEvent::BatchReady(event)))) => seen.extend(event.msg_ids),
            Some(other) => panic!("{other:?}"),
            None => {
                cancelled += 1;
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        }
    }
    assert!(cancelled > 10, "cancelled {cancelled} times only");
    assert!(seen.into_iter().eq(1..=20_000));
}

#[tokio::test]
async fn disconnect_ends_a_catch_up() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected(&database, &config).await;
    listener.listen_message_ready_global().await.unwrap();
    missing(
        &database,
        &mut listener,
        &["select pgmq.send_batch('orders_queue', array(select '{}'::jsonb from generate_series(1, 9000)))"],
    )
    .await;
    assert_eq!(ids(&mut listener, "orders_queue").await.len(), 1_000);
    listener.disconnect().await;
    assert!(listener.next_event().await.unwrap().is_none());
    assert!(backends(&database).await.is_empty());
    assert_eq!(listener.stats().catch_ups, 0);
}

#[tokio::test]
async fn it_needs_no_more_than_select_and_leaves_out_what_it_may_not_see() {
    let config = PgmqNotifyConfig::new();
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    create(&database, "hidden_queue").await;
    create(&database, "orders_queue").await;
    database
        .run(
            "create role reader login;
             grant usage on schema pgmq, pgmq_notify to reader;
             grant select on pgmq.meta, pgmq_notify.installation, pgmq.q_orders_queue to reader",
        )
        .await
        .unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(database.options().username("reader"));
    let mut listener = PgmqNotifyListener::new(pool, config, 10).await.unwrap();
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    missing(
        &database,
        &mut listener,
        &[
            "select pgmq.send('hidden_queue', '{}')",
            "select pgmq.send('orders_queue', '{}')",
        ],
    )
    .await;
    assert_eq!(ids(&mut listener, "orders_queue").await, [1]);
    nothing_else(&database, &mut listener, 1).await;
    assert_eq!(listener.stats().catch_ups, 1);
}

#[tokio::test]
async fn an_application_that_holds_every_connection_of_its_pool_is_caught_up_too() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(SOON)
        .connect_lazy_with(database.options());
    let mut listener = PgmqNotifyListener::new(pool.clone(), config, 10)
        .await
        .unwrap();
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    let held = pool.acquire().await.unwrap();
    missing(
        &database,
        &mut listener,
        &["select pgmq.send('orders_queue', '{}')"],
    )
    .await;
    assert_eq!(ids(&mut listener, "orders_queue").await, [1]);
    drop(held);
}

#[tokio::test]
async fn without_triggers_the_same_is_caught_up() {
    let config = PgmqNotifyConfig::new().with_triggers_enabled(false);
    let database = TestDatabase::migrated(&config).await;
    let mut listener = connected(&database, &config).await;
    listener.listen_queue_created().await.unwrap();
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    missing(
        &database,
        &mut listener,
        &[
            "select pgmq_notify.\"create\"('orders_queue')",
            "select pgmq_notify.send('orders_queue', '{}')",
        ],
    )
    .await;
    assert_eq!(next(&mut listener).await.event_type(), "queue_created");
    assert_eq!(ids(&mut listener, "orders_queue").await, [1]);
}

#[tokio::test]
async fn switched_off_there_is_the_gap_and_nothing_else() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = PgmqNotifyListener::new(database.pool().clone(), config, 10)
        .await
        .unwrap()
        .with_catch_up(CatchUp::Never);
    listener.listen_queue_created().await.unwrap();
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    missing(
        &database,
        &mut listener,
        &[
            "select pgmq.create('added_queue')",
            "select pgmq.send('orders_queue', '{}')",
        ],
    )
    .await;
    nothing_else(&database, &mut listener, 0).await;
    assert_eq!(listener.stats().catch_ups, 0);
}
