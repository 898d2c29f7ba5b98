//! Two-phase commit, which PostgreSQL refuses to a transaction that has notified.

use super::*;

/// `prepare transaction` of a transaction that sent; its name, where it was prepared.
async fn prepared(orders: &Orders, begin: &str, queue: &str) -> Result<String, sqlx::Error> {
    let name = format!("sent_{:x}", fastrand::u64(..));
    let mut sender = orders.session().await;
    sender.run(begin).await;
    sender
        .run(&format!("select pgmq.send('{queue}', '\"prepared\"')"))
        .await;
    sender
        .attempt(&format!("prepare transaction '{name}'"))
        .await?;
    Ok(name)
}

async fn there(orders: &Orders) -> i64 {
    sqlx::query_scalar("select count(*) from pgmq.q_orders_queue where message = '\"prepared\"'")
        .fetch_one(orders.database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_transaction_that_sent_can_be_prepared_while_nobody_sleeps_or_somebody_attends() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        for attended in [false, true] {
            let mut attending = orders.session().await;
            if attended {
                orders.parks(7).await;
                attending.run(ATTEND).await;
            }
            let name = prepared(&orders, "begin", "orders_queue").await.unwrap();
            // This is what who goes to sleep finds and waits for.
            let holders: i64 = sqlx::query_scalar(
                "select count(*) from pg_locks where locktype = 'relation' and pid is null and granted \
                 and mode = 'RowExclusiveLock' and relation = 'pgmq.q_orders_queue'::regclass \
                 and database = (select oid from pg_database where datname = current_database())",
            )
            .fetch_one(orders.database.pool())
            .await
            .unwrap();
            assert_eq!(holders, 1, "{by:?}");
            // As it is now, not when the message was sent: it goes out with the transaction or not at all.
            orders.parks(7).await;
            attending.run("select pg_advisory_unlock_all()").await;
            orders.run(&format!("commit prepared '{name}'")).await;
            orders.nothing_was_published().await;
            assert_eq!(there(&orders).await, i64::from(attended) + 1);
        }
    }
}

#[tokio::test]
async fn while_somebody_sleeps_it_is_refused_as_where_every_message_is_published() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        // Above READ COMMITTED a sender always notifies.
        for level in ["repeatable read", "serializable"] {
            let begin = format!("begin isolation level {level}");
            let refused = prepared(&orders, &begin, "orders_queue").await;
            assert_eq!(sqlstate(refused.map(drop)).as_deref(), Some("0A000"));
        }
        let every = prepared(&orders, "begin", "fence_queue").await;
        assert_eq!(sqlstate(every.map(drop)).as_deref(), Some("0A000"));
        orders.parks(7).await;
        let refused = prepared(&orders, "begin", "orders_queue").await;
        assert_eq!(sqlstate(refused.map(drop)).as_deref(), Some("0A000"));
        // The whole transaction is undone, as by any error.
        assert_eq!(there(&orders).await, 0);
        orders.nothing_was_published().await;

        // Unless it is muted.
        let muted = "begin; set local pgmq_notify.mute = 'on'";
        let name = prepared(&orders, muted, "orders_queue").await.unwrap();
        orders.run(&format!("commit prepared '{name}'")).await;
        assert_eq!(there(&orders).await, 1);
        orders.nothing_was_published().await;
    }
}
