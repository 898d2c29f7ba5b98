//! A message that becomes visible earlier than it was going to be is published again, whoever did it and how.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use pgmq_notify_core::{
    MessageReadyEvent, Namespace, PgmqNotifyConfig, PgmqNotifyEvent, QueueName,
};
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_tests::{Heard, TestDatabase};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::producers::{create, named, odd_names, partitioned_queue};

/// A database with a queue, and who hears of its messages from now on.
async fn orders() -> (TestDatabase, Heard) {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let heard = Heard::messages(&database, &config).await;
    (database, heard)
}

/// Messages that somebody holds for an hour; nobody is told of them.
async fn held(database: &TestDatabase, queue: &str, count: i32) -> Vec<i64> {
    let mut connection = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("set pgmq_notify.mute = 'on'")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("select pgmq.send_batch($1, array_fill('{\"a\": 1}'::jsonb, array[$2]))")
        .bind(queue)
        .bind(count)
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query_scalar("select msg_id from pgmq.read($1, 3600, $2) order by 1")
        .bind(queue)
        .bind(count)
        .fetch_all(&mut connection)
        .await
        .unwrap()
}

/// The next event, which names one message and has no body.
async fn released(heard: &mut Heard) -> MessageReadyEvent {
    match heard.event().await {
        PgmqNotifyEvent::MessageReady(event) => event,
        other => panic!("not of a released message: {other:?}"),
    }
}

/// The next event is that of a message sent now: what was done before it published nothing.
async fn nothing_before_another_message(database: &TestDatabase, heard: &mut Heard) {
    database
        .run("select pgmq.send('orders_queue', '\"fence\"')")
        .await
        .unwrap();
    let event = heard.event().await;
    assert!(
        matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == "\"fence\""),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_message_given_back_in_any_way_is_published_without_its_body() {
    let (database, mut heard) = orders().await;
    let id = held(&database, "orders_queue", 1).await[0];
    for way in [
        "select pgmq.set_vt('orders_queue', $1, 0)",
        "select pgmq.set_vt('orders_queue', $1, now() - interval '1 day')",
        "select pgmq.set_vt('orders_queue', array[$1], 0)",
        "select pgmq.set_vt('orders_queue', array[$1], '-infinity'::timestamptz)",
        "update pgmq.q_orders_queue set vt = now() where msg_id = $1",
    ] {
        let way = way.replace("$1", &format!("{id}::bigint"));
        database.run(way.clone()).await.unwrap();
        let event = released(&mut heard).await;
        assert_eq!(
            (
                event.msg_id,
                event.queue_name.as_str(),
                event.namespace.as_str()
            ),
            (id, "orders_queue", "orders"),
            "{way}"
        );
        assert_eq!(event.visible_at, event.ready_at, "{way}");
        // Somebody holds it again, and that is no news.
        database
            .run("select pgmq.read('orders_queue', 3600, 1)")
            .await
            .unwrap();
    }
    nothing_before_another_message(&database, &mut heard).await;
}

#[tokio::test]
async fn a_retry_before_the_end_of_the_lease_says_when_it_is_due() {
    let (database, mut heard) = orders().await;
    let id = held(&database, "orders_queue", 1).await[0];
    let due: f64 = sqlx::query_scalar(
        "select extract(epoch from vt)::float8 from pgmq.set_vt('orders_queue', $1, 60)",
    )
    .bind(id)
    .fetch_one(database.pool())
    .await
    .unwrap();
    let event = released(&mut heard).await;
    let said = event.visible_at.duration_since(SystemTime::UNIX_EPOCH);
    assert!(
        (said.unwrap().as_secs_f64() - due).abs() < 1e-5,
        "{event:?}"
    );
    let until = event.visible_at.duration_since(event.ready_at).unwrap();
    assert!((55..=60).contains(&until.as_secs()), "{until:?}");

    // Of a message that was never to be seen.
    database
        .run("update pgmq.q_orders_queue set vt = 'infinity'")
        .await
        .unwrap();
    database
        .run("update pgmq.q_orders_queue set vt = '200000-01-01'")
        .await
        .unwrap();
    let event = released(&mut heard).await;
    assert!(event.visible_at.duration_since(event.ready_at).unwrap() > Duration::from_mins(1));
}

#[tokio::test]
async fn reads_longer_leases_and_whatever_does_not_hasten_publish_nothing() {
    let (database, mut heard) = orders().await;
    let ids = held(&database, "orders_queue", 4).await;
    for sql in [
        // Longer, as long, and another column.
        "select pgmq.set_vt('orders_queue', 1, 7200)",
        "update pgmq.q_orders_queue set vt = vt, read_ct = read_ct + 1",
        "update pgmq.q_orders_queue set message = '2'",
        "delete from pgmq.q_orders_queue where msg_id = 1",
        "select pgmq.archive('orders_queue', 2)",
        // Visible before, visible after.
        "set pgmq_notify.mute = 'on'; select pgmq.set_vt('orders_queue', 3, 0); reset pgmq_notify.mute; \
         select pgmq.set_vt('orders_queue', 3, -100)",
        "select pgmq.read('orders_queue', 0, 10); select pgmq.read('orders_queue', 3600, 10)",
        "select pgmq.set_vt('orders_queue', 99, 0)",
        // Undone.
        "begin; select pgmq.set_vt('orders_queue', 4, 0); rollback",
        "begin; savepoint s; select pgmq.set_vt('orders_queue', 4, 0); rollback to s; commit",
        // Muted.
        "begin; set local pgmq_notify.mute = 'on'; select pgmq.set_vt('orders_queue', 4, 0); commit",
    ] {
        let mut session = PgConnection::connect_with(&database.options())
            .await
            .unwrap();
        sqlx::raw_sql(sql)
            .execute(&mut session)
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    assert_eq!(ids, [1, 2, 3, 4]);
    nothing_before_another_message(&database, &mut heard).await;
}

#[tokio::test]
async fn queues_of_every_name_and_kind_are_covered() {
    let prefix = "p".repeat(20);
    let config = PgmqNotifyConfig::new().with_channels_prefix(prefix);
    let database = TestDatabase::migrated(&config).await;
    let channels = config.channels().unwrap();
    database
        .run("select pgmq.create_unlogged('fast_queue')")
        .await
        .unwrap();
    partitioned_queue(&database, "parts_queue").await;
    let mut names = odd_names();
    for name in &names {
        create(&database, name).await;
    }
    names.extend(["fast_queue".to_owned(), "parts_queue".to_owned()]);
    for name in names {
        let id = held(&database, &name, 1).await[0];
        let namespace: String = sqlx::query_scalar("select pgmq_notify.namespace_of($1)")
            .bind(&name)
            .fetch_one(database.pool())
            .await
            .unwrap();
        let own = channels.message_ready(&Namespace::new(namespace).unwrap());
        let global = channels.message_ready_global();
        let mut heard = Heard::on(&database, [own.as_str(), global.as_str()]).await;
        sqlx::query("select pgmq.set_vt($1, $2, 0)")
            .bind(&name)
            .bind(id)
            .execute(database.pool())
            .await
            .unwrap_or_else(|error| panic!("{name:?}: {error:?}"));
        for channel in [&own, &global] {
            let notification = heard.notification().await;
            assert_eq!(notification.channel(), channel.as_str(), "{name:?}");
            let event = PgmqNotifyEvent::from_json(notification.payload()).unwrap();
            assert_eq!(named(&event), name);
            assert!(matches!(event, PgmqNotifyEvent::MessageReady(e) if e.msg_id == id));
        }
    }
}

#[tokio::test]
async fn a_partition_that_somebody_without_rights_adds_later_is_covered_under_the_queues_name() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::new().await;
    database
        .run(
            "create table pgmq.q_parts_queue (msg_id bigint generated by default as identity, read_ct int default 0 not null, \
             enqueued_at timestamptz default now() not null, last_read_at timestamptz, vt timestamptz not null, \
             message jsonb, headers jsonb) partition by range (msg_id); \
             create table pgmq.q_parts_queue_p0 partition of pgmq.q_parts_queue for values from (0) to (2); \
             insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parts_queue', true, false)",
        )
        .await
        .unwrap();
    let catalog = "select string_agg(tgrelid::regclass || tgname, ',' order by 1) from pg_trigger where tgname like 'pgmq_notify%'";
    database.migrate(&config).await;
    let role = format!("partman_{:016x}", fastrand::u64(..));
    database
        .run(format!(
            "begin; create role {role}; grant usage, create on schema pgmq to {role}; \
             alter table pgmq.q_parts_queue owner to {role}; set local role {role}; \
             create table pgmq.q_parts_queue_p2 (like pgmq.q_parts_queue); \
             alter table pgmq.q_parts_queue attach partition pgmq.q_parts_queue_p2 for values from (2) to (100); \
             reset role; reassign owned by {role} to current_user; drop owned by {role}; drop role {role}; commit"
        ))
        .await
        .unwrap();
    let mut heard = Heard::messages(&database, &config).await;
    for id in held(&database, "parts_queue", 3).await {
        let sql = format!("select pgmq.set_vt('parts_queue', {id}::bigint, 0)");
        database.run(sql).await.unwrap();
        let event = released(&mut heard).await;
        assert_eq!(
            (event.queue_name.as_str(), event.msg_id),
            ("parts_queue", id)
        );
    }
    // A rerun changes nothing, and the way back takes the partitions along.
    let once: String = sqlx::query_scalar(catalog)
        .fetch_one(database.pool())
        .await
        .unwrap();
    database.migrate(&config).await;
    let again: String = sqlx::query_scalar(catalog)
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(once, again);
    let down = pgmq_notify_sql::Migration::new(&config).unwrap();
    database.run(down.down()).await.unwrap();
    let left: Option<String> = sqlx::query_scalar(catalog)
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(left, None);
}

#[tokio::test]
async fn a_role_that_may_only_update_releases_without_further_grants() {
    let (database, mut heard) = orders().await;
    let id = held(&database, "orders_queue", 1).await[0];
    let role = format!("consumer_{:016x}", fastrand::u64(..));
    database
        .run(format!(
            "begin; create role {role}; grant usage on schema pgmq to {role}; \
             grant select, update on pgmq.q_orders_queue to {role}; set local role {role}; \
             select pgmq.set_vt('orders_queue', {id}::bigint, 0); \
             reset role; drop owned by {role}; drop role {role}; commit"
        ))
        .await
        .unwrap();
    assert_eq!(released(&mut heard).await.msg_id, id);
}

#[tokio::test]
async fn without_the_global_channel_a_release_is_published_once() {
    let config = PgmqNotifyConfig::new().with_global_channel(false);
    let database = TestDatabase::migrated(&config).await;
    create(&database, "orders_queue").await;
    let channels = config.channels().unwrap();
    let own = channels.message_ready(&Namespace::new("orders").unwrap());
    let global = channels.message_ready_global();
    let mut heard = Heard::on(&database, [own.as_str(), global.as_str()]).await;
    for id in held(&database, "orders_queue", 2).await {
        let sql = format!("select pgmq.set_vt('orders_queue', {id}::bigint, 0)");
        database.run(sql).await.unwrap();
        assert_eq!(released(&mut heard).await.msg_id, id);
    }
}

#[tokio::test]
async fn a_statement_publishes_each_of_a_thousand_once() {
    let (database, mut heard) = orders().await;
    let ids = held(&database, "orders_queue", 1_000).await;
    sqlx::query("select pgmq.set_vt('orders_queue', $1::bigint[], 0)")
        .bind(&ids)
        .execute(database.pool())
        .await
        .unwrap();
    let mut told = BTreeSet::new();
    while told.len() < ids.len() {
        let id = released(&mut heard).await.msg_id;
        assert!(told.insert(id), "{id} twice");
    }
    assert_eq!(told, ids.into_iter().collect());
    nothing_before_another_message(&database, &mut heard).await;
}

#[tokio::test]
async fn of_a_queues_messages_a_transaction_publishes_ten_thousand_at_most() {
    let (database, mut heard) = orders().await;
    create(&database, "other_queue").await;
    let mut session = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    for _ in 0..2 {
        held(&database, "orders_queue", 12_000).await;
        held(&database, "other_queue", 1).await;
        sqlx::raw_sql(
            "begin; update pgmq.q_orders_queue set vt = now(); update pgmq.q_other_queue set vt = now(); commit",
        )
        .execute(&mut session)
        .await
        .unwrap();
        let mut told = BTreeSet::new();
        loop {
            let event = released(&mut heard).await;
            if event.queue_name == QueueName::new("other_queue").unwrap() {
                break;
            }
            assert!(told.insert(event.msg_id), "{event:?}");
        }
        // The next transaction begins anew.
        assert_eq!(told.len(), 10_000);
        database
            .run("delete from pgmq.q_orders_queue; delete from pgmq.q_other_queue")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn consumers_at_every_isolation_level_release_side_by_side() {
    let (database, mut heard) = orders().await;
    for level in ["read committed", "repeatable read", "serializable"] {
        let ids: BTreeSet<i64> = held(&database, "orders_queue", 4)
            .await
            .into_iter()
            .collect();
        let mut sessions = Vec::new();
        for id in &ids {
            let mut session = PgConnection::connect_with(&database.options())
                .await
                .unwrap();
            sqlx::raw_sql(AssertSqlSafe(format!(
                "begin isolation level {level}; select pgmq.set_vt('orders_queue', {id}::bigint, 0)"
            )))
            .execute(&mut session)
            .await
            .unwrap();
            sessions.push(session);
        }
        for mut session in sessions {
            let committed = sqlx::raw_sql("commit").execute(&mut session).await;
            // Two writers of one table may be a cycle for SERIALIZABLE, with or without us.
            if level != "serializable" {
                committed.unwrap_or_else(|error| panic!("{level}: {error:?}"));
            }
        }
        let free: Vec<i64> =
            sqlx::query_scalar("select msg_id from pgmq.q_orders_queue where vt <= now()")
                .fetch_all(database.pool())
                .await
                .unwrap();
        let mut told = BTreeSet::new();
        for _ in &free {
            told.insert(released(&mut heard).await.msg_id);
        }
        assert_eq!(told, free.into_iter().collect(), "{level}");
        database
            .run("delete from pgmq.q_orders_queue")
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_listener_that_delivers_at_visibility_holds_a_retry_until_it_is_due() {
    let (database, _) = orders().await;
    let pool = database.pool().clone();
    let mut listener = PgmqNotifyListener::new(pool, PgmqNotifyConfig::new(), 10)
        .await
        .unwrap()
        .with_delivery_at_visibility();
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    let ids = held(&database, "orders_queue", 2).await;
    let (retried, given_back) = (ids[0], ids[1]);
    for (id, seconds) in [(retried, 1), (given_back, 0)] {
        let sql = format!("select pgmq.set_vt('orders_queue', {id}::bigint, {seconds})");
        database.run(sql).await.unwrap();
    }
    for id in [given_back, retried] {
        let event = tokio::time::timeout(Duration::from_secs(10), listener.next_event())
            .await
            .expect("an event in time")
            .unwrap()
            .unwrap();
        assert!(
            matches!(&event, PgmqNotifyEvent::MessageReady(e) if e.msg_id == id),
            "{event:?}"
        );
        let visible: bool = sqlx::query_scalar(
            "select vt <= clock_timestamp() from pgmq.q_orders_queue where msg_id = $1",
        )
        .bind(id)
        .fetch_one(database.pool())
        .await
        .unwrap();
        assert!(visible, "{id}");
    }
}
