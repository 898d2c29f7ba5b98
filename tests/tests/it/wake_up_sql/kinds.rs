//! Queues of every name and kind: who sleeps at one is found by the name of its table, and so is its lock.

use std::collections::BTreeMap;

use super::*;
use crate::producers::{create, named, odd_names, partitioned_queue, send};

/// The key of the lock, as everybody who attends has to work it out, of the table that a queue really has.
const KEY_OF_TABLE: &str = "select c.relname::text, \
     ('x' || left(encode(sha256(convert_to('pgmq_notify.attended:' || c.relname, 'UTF8')), 'hex'), 16))::bit(64)::bigint \
     from pg_class c where c.oid = format('pgmq.%I', lower('q_' || $1))::regclass";

async fn key_of_table(database: &TestDatabase, queue: &str) -> (String, i64) {
    sqlx::query_as(KEY_OF_TABLE)
        .bind(queue)
        .fetch_one(database.pool())
        .await
        .unwrap_or_else(|error| panic!("{queue:?}: {error:?}"))
}

/// Where a consumer parks, and the lock it attends with.
async fn route(database: &TestDatabase, queue: &str) -> (String, i64) {
    sqlx::query_as("select parked, attention from pgmq_notify.route($1)")
        .bind(queue)
        .fetch_one(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn queues_of_every_name_and_kind_are_delivered_by_wake_up() {
    let config = By::Triggers.config();
    let database = &TestDatabase::migrated(&config).await;
    database
        .run("select pgmq.create_unlogged('fast_queue')")
        .await
        .unwrap();
    partitioned_queue(database, "parts_queue").await;
    let mut names = odd_names();
    for name in &names {
        create(database, name).await;
    }
    names.extend(["fast_queue".to_owned(), "parts_queue".to_owned()]);
    let mut heard = Heard::messages(database, &config).await;
    let mut keys = BTreeMap::new();
    for name in &names {
        let (table, key) = key_of_table(database, name).await;
        assert_eq!(
            route(database, name).await,
            (table.clone(), key),
            "{name:?}"
        );
        if let Some(other) = keys.insert(key, table.clone()) {
            assert_eq!(other, table, "two tables with one key");
        }

        // Nobody sleeps: what comes next is the message that is sent when somebody does.
        send(database, name, Some("\"nobody\""), None).await;
        parks(database, &table, 7, "15 s").await;
        let mut attending = Session::of(database, By::Triggers).await;
        attending
            .run(&format!("select pg_advisory_lock({key})"))
            .await;
        send(database, name, Some("\"attended\""), None).await;
        attending.run("select pg_advisory_unlock_all()").await;
        send(database, name, Some("\"asleep\""), None).await;
        let PgmqNotifyEvent::MessageWithPayload(event) = heard.event().await else {
            panic!("a small message has its body with it");
        };
        assert_eq!(
            (
                event.queue_name.as_str(),
                event.message.as_str(),
                &*event.wakes
            ),
            (&**name, "\"asleep\"", &[7][..])
        );

        // And what is given back.
        sqlx::query("select count(*) from pgmq.read($1, 3600, 3)")
            .bind(name)
            .execute(database.pool())
            .await
            .unwrap();
        attending
            .run(&format!("select pg_advisory_lock({key})"))
            .await;
        for id in [1_i64, 2] {
            sqlx::query("select pgmq.set_vt($1, $2, 0)")
                .bind(name)
                .bind(id)
                .execute(database.pool())
                .await
                .unwrap();
            attending.run("select pg_advisory_unlock_all()").await;
        }
        let event = heard.event().await;
        assert_eq!(named(&event), name);
        assert!(
            matches!(&event, PgmqNotifyEvent::MessageReady(e) if e.msg_id == 2 && e.wakes == [7]),
            "{event:?}"
        );
    }
}

#[tokio::test]
async fn without_triggers_too() {
    let config = By::Functions.config();
    let database = &TestDatabase::migrated(&config).await;
    let mut names = odd_names();
    for name in &names {
        create(database, name).await;
    }
    database
        .run("select pgmq.create_unlogged('fast_queue')")
        .await
        .unwrap();
    names.push("fast_queue".to_owned());
    let mut heard = Heard::messages(database, &config).await;
    for name in &names {
        let (table, key) = key_of_table(database, name).await;
        assert_eq!(
            route(database, name).await,
            (table.clone(), key),
            "{name:?}"
        );
        let send = async |body: &str| {
            sqlx::query("select pgmq_notify.send($1, $2::text::jsonb)")
                .bind(name)
                .bind(body)
                .execute(database.pool())
                .await
                .unwrap();
        };
        send("\"nobody\"").await;
        parks(database, &table, 7, "15 s").await;
        let mut attending = Session::of(database, By::Functions).await;
        attending
            .run(&format!("select pg_advisory_lock({key})"))
            .await;
        send("\"attended\"").await;
        attending.run("select pg_advisory_unlock_all()").await;
        send("\"asleep\"").await;
        let PgmqNotifyEvent::MessageWithPayload(event) = heard.event().await else {
            panic!("a small message has its body with it");
        };
        assert_eq!(
            (
                event.queue_name.as_str(),
                event.message.as_str(),
                &*event.wakes
            ),
            (&**name, "\"asleep\"", &[7][..])
        );
    }
}

#[tokio::test]
async fn two_names_that_share_a_table_share_the_row_and_the_key() {
    for by in By::BOTH {
        let database = &TestDatabase::migrated(&by.config()).await;
        let (long, longer) = ("ä".repeat(40), "ä".repeat(41));
        for (one, other) in [
            ("Goods_queue", "goods_QUEUE"),
            // PostgreSQL cuts a name off after 63 bytes.
            (&*long, &*longer),
        ] {
            for name in [one, other] {
                create(database, name).await;
            }
            let shared = key_of_table(database, one).await;
            assert_eq!(key_of_table(database, other).await, shared);
            for name in [one, other] {
                assert_eq!(route(database, name).await, shared, "{by:?} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_partition_that_is_added_later_is_delivered_by_wake_up() {
    let mut orders = Orders::new(By::Triggers).await;
    orders
        .run(
            "create table pgmq.q_parts_queue (msg_id bigint generated by default as identity, read_ct int default 0 not null, \
             enqueued_at timestamptz default now() not null, last_read_at timestamptz, vt timestamptz not null, \
             message jsonb, headers jsonb) partition by range (msg_id); \
             insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('parts_queue', true, false); \
             create table pgmq.q_parts_queue_p0 partition of pgmq.q_parts_queue for values from (0) to (10)",
        )
        .await;
    let release = "update pgmq.q_parts_queue set vt = now() + interval '1 hour'; \
                   update pgmq.q_parts_queue set vt = now()";
    orders.run("select pgmq.send('parts_queue', '1')").await;
    orders.run(release).await;
    orders.nothing_was_published().await;
    parks(&orders.database, "q_parts_queue", 7, "15 s").await;
    orders.run(release).await;
    let event = orders.heard.event().await;
    assert_eq!(
        (parts(&event), named(&event)),
        ((Form::Ready, &[7][..]), "parts_queue")
    );
    let mut attending = orders.session().await;
    attending
        .run("select pg_advisory_lock(r.attention) from pgmq_notify.route('parts_queue') r")
        .await;
    orders.run(release).await;
    orders.run("select pgmq.send('parts_queue', '1')").await;
    orders.nothing_was_published().await;
}
