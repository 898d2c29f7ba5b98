//! A transaction that stays open keeps every version of a refreshed row; senders do not read them.

use super::*;

/// How many more pages a look may touch afterwards: the index has become higher.
const A_FEW: i64 = 4;

/// The fewest pages that a look at who sleeps touches in this session: not those of catalogs that it reads at first.
async fn pages_of_a_look(session: &mut Session) -> i64 {
    let mut fewest = i64::MAX;
    for _ in 0..12 {
        let plan: serde_json::Value = sqlx::query_scalar(
            "explain (analyze, buffers, format json) select pgmq_notify.wakes('q_orders_queue')",
        )
        .fetch_one(&mut session.connection)
        .await
        .unwrap();
        let plan = &plan[0]["Plan"];
        let pages = ["Shared Hit Blocks", "Shared Read Blocks"]
            .map(|name| plan[name].as_i64().unwrap())
            .iter()
            .sum();
        fewest = fewest.min(pages);
    }
    fewest
}

/// As if the rows had been refreshed every 5 s until now, each for 15 s.
async fn refresh(session: &mut Session, times: u32) {
    session
        .run(&format!(
            "do $$ begin for n in 1..{times} loop \
               insert into pgmq_notify.parked as p \
               select 'q_orders_queue', consumer, clock_timestamp() + interval '15 s' - ({times} - n) * interval '5 s' \
               from generate_series(1, 2) consumer \
               on conflict (queue, consumer) do update set parked_until = excluded.parked_until; \
               commit; \
             end loop; end $$"
        ))
        .await;
}

#[tokio::test]
async fn an_old_transaction_does_not_make_senders_read_what_a_row_was() {
    for vacuumed in [false, true] {
        let orders = Orders::new(By::Triggers).await;
        let mut consumer = orders.session().await;
        refresh(&mut consumer, 1).await;
        if vacuumed {
            // A table of one page, which PostgreSQL would rather read wholly.
            consumer.run("vacuum analyze pgmq_notify.parked").await;
        }
        let mut sender = orders.session().await;
        let before = pages_of_a_look(&mut sender).await;

        let mut old = orders.session().await;
        old.run("begin isolation level repeatable read; select count(*) from pgmq_notify.parked")
            .await;
        refresh(&mut consumer, 2_000).await;
        let kept: i64 = sqlx::query_scalar(
            "select pg_relation_size('pgmq_notify.parked') / current_setting('block_size')::bigint",
        )
        .fetch_one(orders.database.pool())
        .await
        .unwrap();
        assert!(kept > 15, "the old versions are there: {kept} pages");

        // With the plan that it has, and with a new one.
        let after = pages_of_a_look(&mut sender).await;
        let anew = pages_of_a_look(&mut orders.session().await).await;
        assert!(
            after <= before + A_FEW && anew <= before + A_FEW,
            "vacuumed {vacuumed}: {before} pages before, {after} after, {anew} in a new session, of {kept}"
        );
        // Nor when nobody sleeps any more.
        consumer
            .run("update pgmq_notify.parked set parked_until = clock_timestamp() - interval '1 s'")
            .await;
        let nobody = pages_of_a_look(&mut sender).await;
        assert!(nobody <= before + A_FEW, "{nobody} pages");
        old.run("commit").await;
    }
}
