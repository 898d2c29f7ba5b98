//! Only a row of somebody who sleeps at the queue makes senders notify.

use super::*;

#[tokio::test]
async fn while_nobody_sleeps_nothing_is_published_whatever_is_sent() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        for way in by.ways() {
            orders.run(way.sql).await;
            orders.nothing_was_published().await;
        }
        let sent: i64 = sqlx::query_scalar("select count(*) from pgmq.q_orders_queue")
            .fetch_one(orders.database.pool())
            .await
            .unwrap();
        assert!(sent > 10, "{by:?}: {sent}");
    }
}

#[tokio::test]
async fn what_is_no_valid_row_of_the_queue_is_as_none() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        for (table, interval) in [
            ("q_orders_queue", "0"),
            ("q_orders_queue", "-1 ms"),
            ("q_orders_queue", "-1 day"),
            // Of another queue, and of what is none.
            ("q_fence_queue", "15 s"),
            ("q_orders_queue2", "15 s"),
            ("orders_queue", "15 s"),
            ("Q_ORDERS_QUEUE", "15 s"),
            ("a_orders_queue", "15 s"),
            ("", "15 s"),
        ] {
            orders.nobody_parks().await;
            parks(&orders.database, table, 7, interval).await;
            for way in by.ways() {
                orders.run(way.sql).await;
            }
            orders.nothing_was_published().await;
        }
        // And with one.
        orders.parks(8).await;
        for way in by.ways() {
            orders.run(way.sql).await;
            orders.published(way.form).await;
        }
    }
}

#[tokio::test]
async fn a_row_that_nobody_refreshes_ends_by_itself() {
    let mut orders = Orders::new(By::Triggers).await;
    parks(&orders.database, "q_orders_queue", 7, "300 ms").await;
    let valid =
        "select coalesce(max(parked_until) > clock_timestamp(), false) from pgmq_notify.parked";
    pgmq_notify_tests::eventually(std::time::Duration::from_secs(10), async || {
        let valid: bool = sqlx::query_scalar(valid)
            .fetch_one(orders.database.pool())
            .await
            .unwrap();
        !valid
    })
    .await;
    orders.run("select pgmq.send('orders_queue', '1')").await;
    orders.nothing_was_published().await;
}

#[tokio::test]
async fn what_is_not_sent_is_not_published() {
    let mut orders = Orders::new(By::Triggers).await;
    orders.parks(7).await;
    for sql in [
        "insert into pgmq.q_orders_queue (vt, message) select now(), '1' where false",
        "update pgmq.q_orders_queue set vt = now() where false",
        "select pgmq.set_vt('orders_queue', 1, 7200)",
        "begin; select pgmq.send('orders_queue', '1'); rollback",
        "begin; savepoint s; select pgmq.send('orders_queue', '1'); rollback to s; commit",
        "begin; set local pgmq_notify.mute = 'on'; select pgmq.send('orders_queue', '1'); commit",
    ] {
        orders.session().await.run(sql).await;
        orders.nothing_was_published().await;
    }
}
