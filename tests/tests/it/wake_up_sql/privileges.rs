//! A producer needs no more than to insert, and a stranger learns no more than events say.

use sqlx::Row;

use super::*;

#[tokio::test]
async fn a_role_that_may_only_insert_sends_whoever_sleeps_or_attends() {
    // Where functions are not everybody's by default, too.
    for revoked in [false, true] {
        let database = TestDatabase::new().await;
        if revoked {
            database
                .run("alter default privileges revoke execute on functions from public")
                .await
                .unwrap();
        }
        let mut orders = Orders::on(database, By::Triggers).await;
        let send = "insert into pgmq.q_orders_queue (vt, message) values (now(), '1'); \
                    insert into pgmq.q_orders_queue (vt, message) values (now(), '1'), (now(), '2');";
        send_as_producer(&orders, send).await;
        orders.nothing_was_published().await;

        orders.parks(7).await;
        send_as_producer(&orders, send).await;
        for form in [Form::Body, Form::Batch] {
            assert_eq!(orders.published(form).await, [7]);
        }

        let attending = orders.attends().await;
        send_as_producer(&orders, send).await;
        orders.nothing_was_published().await;
        drop(attending);
    }
}

/// The role lives within the transaction only, and the notifications leave at its end.
async fn send_as_producer(orders: &Orders, send: &str) {
    let role = format!("producer_{:016x}", fastrand::u64(..));
    orders
        .run(&format!(
            "begin; create role {role}; grant usage on schema pgmq to {role}; \
             grant insert on pgmq.q_orders_queue to {role}; set local role {role}; {send} \
             reset role; drop owned by {role}; drop role {role}; commit"
        ))
        .await;
}

#[tokio::test]
async fn a_role_that_may_only_update_releases_whoever_sleeps_or_attends() {
    let mut orders = Orders::new(By::Triggers).await;
    let release = "update pgmq.q_orders_queue set vt = now() + interval '1 hour'; \
                   select pgmq.set_vt('orders_queue', 1, 0)";
    let role = format!("consumer_{:016x}", fastrand::u64(..));
    let release = format!(
        "begin; create role {role}; grant usage on schema pgmq to {role}; \
         grant select, update on pgmq.q_orders_queue to {role}; set local role {role}; {release}; \
         reset role; drop owned by {role}; drop role {role}; commit"
    );
    orders.run(&release).await;
    orders.nothing_was_published().await;
    orders.parks(7).await;
    orders.run(&release).await;
    assert_eq!(orders.published(Form::Ready).await, [7]);
    let _attending = orders.attends().await;
    orders.run(&release).await;
    orders.nothing_was_published().await;
}

/// A session in a transaction, as a role that was granted nothing at all.
async fn stranger(orders: &Orders) -> Session {
    let role = format!("stranger_{:016x}", fastrand::u64(..));
    let mut session = orders.session().await;
    session
        .run(&format!("begin; create role {role}; set local role {role}"))
        .await;
    session
}

#[tokio::test]
async fn a_stranger_neither_reads_nor_writes_who_sleeps_or_what_is_installed() {
    for by in By::BOTH {
        let orders = Orders::new(by).await;
        orders.parks(7).await;
        let mut stranger = stranger(&orders).await;
        for relation in ["pgmq_notify.parked", "pgmq_notify.installation"] {
            for sql in [
                "select * from {}",
                "select count(*) from {}",
                "select 1 from {} for update",
                "insert into {} default values",
                "delete from {}",
                "truncate {}",
                "lock table {} in access share mode",
                "copy {} to stdout",
                "create trigger t after insert on {} execute function pgmq_notify.message_inserted()",
                "create index on {} ((1))",
                "alter table {} disable trigger all",
                "drop table {}",
            ] {
                let sql = sql.replace("{}", relation);
                let refused = stranger.refusal(&sql).await;
                assert_eq!(refused.as_deref(), Some("42501"), "{by:?} {sql}");
            }
        }
        for sql in [
            "update pgmq_notify.parked set parked_until = 'infinity'",
            "insert into pgmq_notify.parked values ('q_orders_queue', 8, 'infinity')",
            "update pgmq_notify.installation set delivery = 'every'",
            "create table pgmq_notify.mine ()",
            "create function pgmq_notify.wakes(integer) returns text language sql as 'select null::text'",
            "create or replace function pgmq_notify.wakes(queue text) returns text language sql as 'select null::text'",
            "alter function pgmq_notify.wakes(text) security invoker",
        ] {
            let refused = stranger.refusal(sql).await;
            assert_eq!(refused.as_deref(), Some("42501"), "{by:?} {sql}");
        }
    }
}

#[tokio::test]
async fn of_our_functions_a_stranger_can_call_the_one_that_says_whom_an_event_would_name() {
    for by in By::BOTH {
        let orders = Orders::new(by).await;
        orders.parks(7).await;
        let calls = sqlx::query(
            "select p.oid::regprocedure::text as function, p.prorettype = 'trigger'::regtype as of_trigger, \
               format('select pgmq_notify.%I(%s)', p.proname, ( \
                 select string_agg(case format_type(type, null) \
                   when 'text' then '''orders_queue''' when 'bigint[]' then 'array[1::bigint]' when 'jsonb' then '''1''::jsonb' \
                   when 'jsonb[]' then 'array[''1''::jsonb]' when 'bigint' then '1::bigint' when 'integer' then '1' \
                   when 'boolean' then 'true' when 'timestamp with time zone' then 'now()' \
                   else 'null::' || format_type(type, null) end, ', ' order by position) \
                 from unnest(p.proargtypes) with ordinality t(type, position))) as call \
             from pg_proc p where p.pronamespace = 'pgmq_notify'::regnamespace order by 1",
        )
        .fetch_all(orders.database.pool())
        .await
        .unwrap();
        assert!(calls.len() > 8, "{by:?}");
        let mut stranger = stranger(&orders).await;
        let mut callable = Vec::new();
        for row in calls {
            let (function, call): (String, String) = (row.get("function"), row.get("call"));
            // 0A000: trigger functions can only be called as triggers.
            let refused = if row.get("of_trigger") {
                "0A000"
            } else {
                "42501"
            };
            match stranger.refusal(&call).await {
                None => callable.push(function),
                Some(state) => assert_eq!(state, refused, "{by:?} {call}"),
            }
        }
        assert_eq!(callable, ["pgmq_notify.wakes(text)"], "{by:?}");
        for (queue, said) in [
            ("q_orders_queue", Some(",\"wakes\":[7]")),
            ("orders_queue", None),
            ("%", None),
            ("' or true --", None),
        ] {
            let wakes: Option<String> = sqlx::query_scalar("select pgmq_notify.wakes($1)")
                .bind(queue)
                .fetch_one(&mut stranger.connection)
                .await
                .unwrap();
            assert_eq!(wakes.as_deref(), said, "{by:?} {queue}");
        }
    }
}
