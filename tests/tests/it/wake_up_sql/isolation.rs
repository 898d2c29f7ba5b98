//! What senders may have missed: who went to sleep, or began to attend, after their snapshot.

use std::time::Duration;

use pgmq_notify_tests::eventually;

use super::*;

const COMMITTED: [&str; 2] = ["read uncommitted", "read committed"];
const SNAPSHOT: [&str; 2] = ["repeatable read", "serializable"];

/// A transaction of this isolation level, with a snapshot.
async fn begun(orders: &Orders, level: &str) -> Session {
    let mut sender = orders.session().await;
    sender.run(&format!("begin isolation level {level}")).await;
    sender.run("select count(*) from pgmq.meta").await;
    sender
}

#[tokio::test]
async fn above_read_committed_everybody_is_told_whether_or_not_somebody_sleeps() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        for asleep in [false, true] {
            if asleep {
                orders.parks(7).await;
            }
            for level in SNAPSHOT {
                for way in by.ways() {
                    let mut sender = begun(&orders, level).await;
                    sender.run(way.sql).await;
                    sender.run("commit").await;
                    let wakes = orders.published(way.form).await;
                    assert!(wakes.is_empty(), "{by:?} {level} {way:?}: {wakes:?}");
                }
            }
        }
        orders.nothing_was_published().await;
    }
}

#[tokio::test]
async fn who_goes_to_sleep_after_the_snapshot_of_a_sender_is_told() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        for level in COMMITTED.into_iter().chain(SNAPSHOT) {
            orders.nobody_parks().await;
            let mut sender = begun(&orders, level).await;
            orders.parks(7).await;
            sender.run("select pgmq.send('orders_queue', '1')").await;
            sender.run("commit").await;
            let wakes = orders.published(Form::Body).await;
            let named: &[i64] = if COMMITTED.contains(&level) {
                &[7]
            } else {
                &[]
            };
            assert_eq!(wakes, named, "{by:?} {level}");
        }
    }
}

#[tokio::test]
async fn who_attends_after_the_snapshot_of_a_sender_is_seen_at_every_level() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        orders.parks(7).await;
        for level in COMMITTED.into_iter().chain(SNAPSHOT) {
            for way in by.ways() {
                let mut sender = begun(&orders, level).await;
                let mut attending = orders.attends().await;
                sender.run(way.sql).await;
                sender.run("commit").await;
                orders.nothing_was_published().await;

                // And who leaves after it.
                let mut sender = begun(&orders, level).await;
                attending.run(LEAVE).await;
                sender.run(way.sql).await;
                sender.run("commit").await;
                orders.published(way.form).await;
            }
        }
    }
}

#[tokio::test]
async fn a_row_that_is_written_in_the_midst_of_a_sending_statement_is_seen() {
    for (by, sql) in [
        (
            By::Triggers,
            "with gate as materialized (select pg_advisory_xact_lock(4711)) \
             insert into pgmq.q_orders_queue (vt, message) select now(), '1' from gate",
        ),
        (
            By::Functions,
            "with gate as materialized (select pg_advisory_xact_lock(4711)) \
             select pgmq.send('orders_queue', '1') from gate",
        ),
    ] {
        let mut orders = Orders::new(by).await;
        let mut gate = orders.session().await;
        gate.run("select pg_advisory_lock(4711)").await;
        let mut sender = orders.session().await;
        let sent = tokio::spawn(async move { sender.run(sql).await });
        eventually(Duration::from_secs(10), async || {
            advisory_locks(&orders.database).await == 2
        })
        .await;
        orders.parks(7).await;
        gate.run("select pg_advisory_unlock(4711)").await;
        sent.await.unwrap();
        assert_eq!(orders.published(Form::Body).await, [7], "{by:?}");
    }
}

#[tokio::test]
async fn a_row_that_is_not_committed_is_as_none_and_keeps_no_sender_waiting() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        let mut parking = orders.session().await;
        parking.run("begin").await;
        parking
            .run("insert into pgmq_notify.parked values ('q_orders_queue', 7, clock_timestamp() + interval '15 s')")
            .await;
        orders.run("select pgmq.send('orders_queue', '1')").await;
        orders.nothing_was_published().await;
        parking.run("commit").await;
        orders.run("select pgmq.send('orders_queue', '1')").await;
        assert_eq!(orders.published(Form::Body).await, [7]);
        // Nor is one whose end is not.
        parking.run("begin; delete from pgmq_notify.parked").await;
        orders.run("select pgmq.send('orders_queue', '1')").await;
        assert_eq!(orders.published(Form::Body).await, [7]);
    }
}

#[tokio::test]
async fn a_sender_at_serializable_has_no_conflict_with_who_goes_to_sleep() {
    for by in By::BOTH {
        let orders = Orders::new(by).await;
        orders.parks(7).await;
        let mut sender = begun(&orders, "serializable").await;
        sender.run("select pgmq.send('orders_queue', '1')").await;
        let read: Vec<String> = sqlx::query_scalar(
            "select c.relname::text from pg_locks l join pg_class c on c.oid = l.relation \
             where l.pid = pg_backend_pid() and l.mode = 'SIReadLock' \
             and c.relname in ('parked', 'parked_pkey', 'parked_until_idx')",
        )
        .fetch_all(&mut sender.connection)
        .await
        .unwrap();
        assert!(read.is_empty(), "{by:?}: {read:?}");
    }
}
