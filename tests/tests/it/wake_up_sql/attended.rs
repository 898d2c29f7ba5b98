//! While somebody attends to a queue its senders notify nobody, and hold nothing.

use std::time::Duration;

use pgmq_notify_tests::eventually;

use super::*;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn while_somebody_attends_nothing_is_published_whatever_is_sent_and_afterwards_it_is_again() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        orders.parks(7).await;
        let mut attending = orders.attends().await;
        for _ in 0..2 {
            for way in by.ways() {
                orders.run(way.sql).await;
                orders.nothing_was_published().await;
            }
            attending.run(LEAVE).await;
            for way in by.ways() {
                orders.run(way.sql).await;
                orders.published(way.form).await;
            }
            attending.run(ATTEND).await;
        }
    }
}

#[tokio::test]
async fn who_attends_to_another_queue_does_not_matter() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        orders.run("select pgmq.create('others_queue')").await;
        orders.parks(7).await;
        let mut other = orders.session().await;
        other
            .run("select pg_advisory_lock(r.attention) from pgmq_notify.route('others_queue') r")
            .await;
        for way in by.ways() {
            orders.run(way.sql).await;
            orders.published(way.form).await;
        }
    }
}

#[tokio::test]
async fn who_waits_for_the_lock_is_told_of_nothing_as_if_it_had_it() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        orders.parks(7).await;
        // As a sender that is stopped in the middle of its look would.
        let mut sender = orders.session().await;
        sender
            .run("select pg_advisory_lock_shared(r.attention) from pgmq_notify.route('orders_queue') r")
            .await;
        let mut waiting = orders.session().await;
        let attending = tokio::spawn(async move {
            waiting.run(ATTEND).await;
            waiting
        });
        eventually(SOON, async || advisory_locks(&orders.database).await == 2).await;
        for way in by.ways() {
            orders.run(way.sql).await;
            orders.nothing_was_published().await;
        }
        sender
            .run("select pg_advisory_unlock_shared(r.attention) from pgmq_notify.route('orders_queue') r")
            .await;
        let mut attending = attending.await.unwrap();
        attending.run(LEAVE).await;
        orders.run("select pgmq.send('orders_queue', '1')").await;
        orders.published(Form::Body).await;
    }
}

#[tokio::test]
async fn senders_hold_no_advisory_lock_after_their_statement_however_it_ended() {
    for by in By::BOTH {
        let orders = Orders::new(by).await;
        let mut sender = orders.session().await;
        for asleep in [false, true] {
            if asleep {
                orders.parks(7).await;
            }
            for attended in [false, true] {
                let mut attending = orders.attends().await;
                if !attended {
                    attending.run(LEAVE).await;
                }
                let expected = i64::from(attended);
                for way in by.ways() {
                    sender.run("begin").await;
                    sender.run(way.sql).await;
                    assert_eq!(advisory_locks(&orders.database).await, expected, "{way:?}");
                    sender.run("savepoint s").await;
                    sender.run(way.sql).await;
                    sender.run("rollback to s").await;
                    assert_eq!(advisory_locks(&orders.database).await, expected, "{way:?}");
                    // The error comes after the triggers.
                    let failing = format!("{}; select 1 / 0", way.sql);
                    sender.attempt(&failing).await.expect_err("a division by 0");
                    assert_eq!(advisory_locks(&orders.database).await, expected, "{way:?}");
                    sender.run("rollback").await;
                    assert_eq!(advisory_locks(&orders.database).await, expected, "{way:?}");
                    sender.run(way.sql).await;
                    assert_eq!(advisory_locks(&orders.database).await, expected, "{way:?}");
                }
                attending.run("select pg_advisory_unlock_all()").await;
            }
        }
    }
}

#[tokio::test]
async fn a_session_that_goes_silent_loses_the_lock_and_the_next_message_is_published() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        orders.parks(7).await;
        let mut silent = orders.attends().await;
        orders.run("select pgmq.send('orders_queue', '1')").await;
        orders.nothing_was_published().await;
        silent.run("set idle_session_timeout = '300ms'").await;
        eventually(SOON, async || advisory_locks(&orders.database).await == 0).await;
        orders.run("select pgmq.send('orders_queue', '1')").await;
        assert_eq!(orders.published(Form::Body).await, [7]);
        // 57P05: idle_session_timeout.
        let end = sqlstate(silent.attempt("select 1").await);
        assert_eq!(end.as_deref(), Some("57P05"));
    }
}

#[tokio::test]
async fn a_session_that_ends_leaves_nobody_attending() {
    let mut orders = Orders::new(By::Triggers).await;
    orders.parks(7).await;
    let mut attending = orders.attends().await;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut attending.connection)
        .await
        .unwrap();
    orders
        .run(&format!("select pg_terminate_backend({pid})"))
        .await;
    eventually(SOON, async || advisory_locks(&orders.database).await == 0).await;
    orders.run("select pgmq.send('orders_queue', '1')").await;
    assert_eq!(orders.published(Form::Body).await, [7]);
}
