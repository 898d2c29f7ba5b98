//! Up, down, up: what the migration does to the catalog, to other migrations, and to those who write meanwhile.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use pgmq_notify_core::{Delivery, PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_sql::Migration;
use pgmq_notify_tests::{Heard, TestDatabase};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::producers::partitioned_queue;

/// How long the migration may hold up a writer, and what a loaded machine adds to it.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_millis(750);
pub(crate) const MACHINE: Duration = Duration::from_millis(500);

fn migration() -> Migration {
    Migration::new(&PgmqNotifyConfig::new()).unwrap()
}

/// Everything that a catalog says about the schemas concerned, one line per fact.
pub(crate) async fn catalog(database: &TestDatabase) -> Vec<String> {
    sqlx::query_scalar(
        "with ours as (select oid, nspname, coalesce(nspacl, acldefault('n', nspowner)) as nspacl from pg_namespace where nspname in ('pgmq', 'pgmq_notify', 'public'))
         select fact from (
           select concat_ws('|', 'schema', nspname, nspacl) from ours
           union all select concat_ws('|', 'relation', c.oid::regclass, relkind, relpersistence, relacl)
             from pg_class c join ours on ours.oid = relnamespace
           union all select concat_ws('|', 'column', attrelid::regclass, attname, atttypid::regtype, attnotnull)
             from pg_attribute a join pg_class c on c.oid = attrelid join ours on ours.oid = relnamespace where attnum > 0
           union all select concat_ws('|', 'function', p.oid::regprocedure, md5(pg_get_functiondef(p.oid)), proacl)
             from pg_proc p join ours on ours.oid = pronamespace where prokind = 'f'
           union all select concat_ws('|', 'trigger', t.tgrelid::regclass, pg_get_triggerdef(t.oid), tgenabled)
             from pg_trigger t join pg_class c on c.oid = tgrelid join ours on ours.oid = relnamespace
           union all select concat_ws('|', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(k.oid))
             from pg_constraint k join ours on ours.oid = connamespace
           union all select concat_ws('|', 'type', t.typname) from pg_type t join ours on ours.oid = typnamespace
           union all select concat_ws('|', 'comments', classoid::regclass, count(*), sum(hashtext(description)))
             from pg_description where objoid >= 16384 group by classoid
           union all select concat_ws('|', 'default privileges', defaclobjtype, defaclacl) from pg_default_acl
         ) facts(fact) order by fact",
    )
    .fetch_all(database.pool())
    .await
    .unwrap()
}

pub(crate) async fn installation(database: &TestDatabase) -> String {
    sqlx::query_scalar("select i::text from pgmq_notify.installation i")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

async fn create_queues(database: &TestDatabase, count: usize) {
    database
        .run(format!(
            "select pgmq.create(format('q%s_queue', n)) from generate_series(1, {count}) n"
        ))
        .await
        .unwrap();
}

pub(crate) async fn trigger_states(database: &TestDatabase) -> Vec<(String, i64)> {
    sqlx::query_as("select trigger_state, count(*) from pgmq_notify.queues() group by 1 order by 1")
        .fetch_all(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn down_leaves_the_catalog_as_up_found_it_and_up_twice_equals_up_once() {
    for config in [
        PgmqNotifyConfig::new(),
        PgmqNotifyConfig::new().with_triggers_enabled(false),
        PgmqNotifyConfig::new().with_delivery(Delivery::WakeUp),
        PgmqNotifyConfig::new()
            .with_delivery(Delivery::WakeUp)
            .with_triggers_enabled(false),
    ] {
        let migration = Migration::new(&config).unwrap();
        let database = TestDatabase::new().await;
        create_queues(&database, 3).await;
        partitioned_queue(&database, "parts_queue").await;
        let before = catalog(&database).await;

        database.run(migration.up()).await.unwrap();
        let (once, row) = (catalog(&database).await, installation(&database).await);
        assert!(once.len() > before.len());
        database.run(migration.up()).await.unwrap();
        assert_eq!(catalog(&database).await, once);
        assert_eq!(installation(&database).await, row);

        database.run(migration.down()).await.unwrap();
        assert_eq!(catalog(&database).await, before);
        database.run(migration.down()).await.unwrap();
        assert_eq!(catalog(&database).await, before);
        database.run(migration.up()).await.unwrap();
        assert_eq!(catalog(&database).await, once);
    }
}

#[tokio::test]
async fn installs_at_the_same_moment_all_succeed() {
    let database = TestDatabase::new().await;
    create_queues(&database, 20).await;
    let up = migration();
    try_join_all((0..8).map(|_| database.run(up.up())))
        .await
        .unwrap();
    assert_eq!(
        trigger_states(&database).await,
        [("installed".to_owned(), 20)]
    );
    try_join_all((0..4).map(|_| database.run(up.down())))
        .await
        .unwrap();
    database.run(up.up()).await.unwrap();
}

#[tokio::test]
async fn a_rerun_takes_no_lock_on_a_queue_whose_trigger_is_right() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create_queues(&database, 5).await;
    // Whoever holds this lock lets nobody else take any.
    let mut holder = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("begin; lock table pgmq.q_q1_queue, pgmq.q_q2_queue in access exclusive mode")
        .execute(&mut holder)
        .await
        .unwrap();
    let mut migrating = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("begin")
        .execute(&mut migrating)
        .await
        .unwrap();
    sqlx::raw_sql(AssertSqlSafe(migration().up().to_owned()))
        .execute(&mut migrating)
        .await
        .unwrap();
    let locked: Vec<String> = sqlx::query_scalar(
        "select distinct relation::regclass::text from pg_locks where pid = pg_backend_pid() and mode not in ('AccessShareLock')
         and relation in (select oid from pg_class where relnamespace = 'pgmq'::regnamespace)",
    )
    .fetch_all(&mut migrating)
    .await
    .unwrap();
    assert!(locked.is_empty(), "{locked:?}");
    sqlx::raw_sql("commit")
        .execute(&mut migrating)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rerun_repairs_what_was_dropped_and_what_another_configuration_left() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create_queues(&database, 3).await;
    database
        .run("drop trigger pgmq_notify_message_inserted on pgmq.q_q1_queue; drop trigger pgmq_notify_queue_created on pgmq.meta; select pgmq.create('late_queue')")
        .await
        .unwrap();
    let states = trigger_states(&database).await;
    assert_eq!(
        states,
        [("installed".to_owned(), 2), ("missing".to_owned(), 2)]
    );
    let other = PgmqNotifyConfig::new()
        .with_channels_prefix("other")
        .with_payload(false);
    database.migrate(&other).await;
    assert_eq!(
        trigger_states(&database).await,
        [("installed".to_owned(), 4)]
    );
    let mut heard = Heard::messages(&database, &other).await;
    database
        .run("select pgmq.create('new_queue'); select pgmq.send('new_queue', '1')")
        .await
        .unwrap();
    assert!(
        matches!(heard.event().await, PgmqNotifyEvent::MessageReady(e) if e.queue_name == "new_queue")
    );
}

#[tokio::test]
async fn a_rerun_over_an_installation_without_the_second_trigger_locks_only_those_that_lack_it() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create_queues(&database, 3).await;
    database
        .run("drop trigger pgmq_notify_message_released on pgmq.q_q1_queue")
        .await
        .unwrap();
    let mut states = trigger_states(&database).await;
    assert_eq!(
        states,
        [("installed".to_owned(), 2), ("missing".to_owned(), 1)]
    );
    let mut holder = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("begin; lock table pgmq.q_q2_queue, pgmq.q_q3_queue in access exclusive mode")
        .execute(&mut holder)
        .await
        .unwrap();
    database.migrate(&PgmqNotifyConfig::new()).await;
    states = trigger_states(&database).await;
    assert_eq!(states, [("installed".to_owned(), 3)]);

    // An installation as it was before there was a second trigger.
    sqlx::raw_sql("rollback")
        .execute(&mut holder)
        .await
        .unwrap();
    let once = catalog(&database).await;
    database
        .run("drop function pgmq_notify.message_released() cascade")
        .await
        .unwrap();
    database.migrate(&PgmqNotifyConfig::new()).await;
    assert_eq!(catalog(&database).await, once);
}

#[tokio::test]
async fn a_trigger_that_somebody_made_without_its_condition_is_stale() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create_queues(&database, 1).await;
    let once = catalog(&database).await;
    database
        .run(
            "do $$ declare definition text := pg_get_triggerdef(oid) from pg_trigger \
               where tgname = 'pgmq_notify_message_released'; \
             begin execute replace( \
               replace(definition, 'CREATE TRIGGER', 'create or replace trigger'), 'WHEN ((new.vt < old.vt))', '' \
             ); end $$",
        )
        .await
        .unwrap();
    assert_eq!(trigger_states(&database).await, [("stale".to_owned(), 1)]);
    database.migrate(&PgmqNotifyConfig::new()).await;
    assert_eq!(catalog(&database).await, once);
}

#[tokio::test]
async fn a_trigger_that_an_operator_disabled_stays_disabled() {
    let disabled = [("disabled".to_owned(), 1)];
    let other = PgmqNotifyConfig::new().with_channels_prefix("other");
    for trigger in ["message_inserted", "message_released"] {
        let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
        create_queues(&database, 1).await;
        database
            .run(format!(
                "alter table pgmq.q_q1_queue disable trigger pgmq_notify_{trigger}"
            ))
            .await
            .unwrap();
        assert_eq!(trigger_states(&database).await, disabled);
        // Also when another configuration makes another one of it.
        for config in [&PgmqNotifyConfig::new(), &other] {
            database.migrate(config).await;
            assert_eq!(trigger_states(&database).await, disabled);
        }
        let left: Vec<String> = sqlx::query_scalar(
            "select tgname::text from pg_trigger where tgrelid = 'pgmq.q_q1_queue'::regclass and tgenabled = 'D'",
        )
        .fetch_all(database.pool())
        .await
        .unwrap();
        assert_eq!(left, [format!("pgmq_notify_{trigger}")]);
    }
}

#[tokio::test]
async fn a_queue_that_an_operator_silenced_is_silent_when_it_gets_the_second_trigger() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create_queues(&database, 1).await;
    database
        .run(
            "alter table pgmq.q_q1_queue disable trigger pgmq_notify_message_inserted; \
             drop function pgmq_notify.message_released() cascade",
        )
        .await
        .unwrap();
    database.migrate(&PgmqNotifyConfig::new()).await;
    let disabled: Vec<bool> = sqlx::query_scalar(
        "select tgenabled = 'D' from pg_trigger where tgrelid = 'pgmq.q_q1_queue'::regclass",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(disabled, [true, true]);
}

#[tokio::test]
async fn the_emergency_switch_silences_without_a_lock_and_a_rerun_ends_it() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    create_queues(&database, 1).await;
    let mut heard = Heard::messages(&database, &config).await;
    // As the header of the migration spells it.
    let up = migration().up().to_owned();
    let start = up.find("--   create or replace function").unwrap();
    let end = up.find("-- Running this file again switches").unwrap();
    let switch = up[start..end].replace("--", "");
    let mut writer = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("begin; select pgmq.send('q1_queue', '\"before\"')")
        .execute(&mut writer)
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(5), database.run(switch))
        .await
        .expect("no lock is needed")
        .unwrap();
    sqlx::raw_sql(
        "commit; select pgmq.send('q1_queue', '\"silent\"'); \
         select pgmq.read('q1_queue', 3600, 9); update pgmq.q_q1_queue set vt = now()",
    )
    .execute(&mut writer)
    .await
    .unwrap();
    database.run(up).await.unwrap();
    sqlx::raw_sql("select pgmq.send('q1_queue', '\"after\"')")
        .execute(&mut writer)
        .await
        .unwrap();
    for body in ["\"before\"", "\"after\""] {
        let event = heard.event().await;
        assert!(
            matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == body),
            "{event:?}"
        );
    }
}

/// Writes in short transactions, each to one queue or two of them in any order; returns how long the slowest took.
async fn write(
    database: &TestDatabase,
    queues: usize,
    per_transaction: usize,
    end: &AtomicBool,
) -> Result<(Duration, u32), sqlx::Error> {
    let mut writer = PgConnection::connect_with(&database.options()).await?;
    let (mut longest, mut transactions) = (Duration::ZERO, 0);
    while !end.load(Ordering::Relaxed) {
        let mut transaction = "begin;".to_owned();
        for _ in 0..per_transaction {
            let queue = fastrand::usize(1..=queues);
            let _ = write!(transaction, " select pgmq.send('q{queue}_queue', '1');");
        }
        transaction.push_str(" commit");
        let start = Instant::now();
        sqlx::raw_sql(AssertSqlSafe(transaction))
            .execute(&mut writer)
            .await?;
        longest = longest.max(start.elapsed());
        transactions += 1;
    }
    Ok((longest, transactions))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn up_and_down_succeed_while_short_transactions_write_to_fifty_queues_and_stop_none_for_long()
{
    let database = Arc::new(TestDatabase::new().await);
    create_queues(&database, 50).await;
    let end = Arc::new(AtomicBool::new(false));
    // Those that hold one queue while they wait for another are what a migration can deadlock with.
    let writers: Vec<_> = [1, 1, 1, 1, 1, 1, 2, 2]
        .into_iter()
        .map(|per_transaction| {
            let (database, end) = (Arc::clone(&database), Arc::clone(&end));
            tokio::spawn(async move { write(&database, 50, per_transaction, &end).await })
        })
        .collect();
    let migration = migration();
    for _ in 0..3 {
        database.run(migration.up()).await.unwrap();
        assert_eq!(
            trigger_states(&database).await,
            [("installed".to_owned(), 50)]
        );
        database.run(migration.down()).await.unwrap();
    }
    end.store(true, Ordering::Relaxed);
    for writer in join_all(writers).await {
        let (longest, transactions) = writer.unwrap().expect("no writer fails");
        assert!(transactions > 0);
        assert!(
            longest < LOCK_TIMEOUT + MACHINE,
            "a writer waited {longest:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_long_transaction_up_ends_with_the_reason_and_nothing_is_half_installed() {
    let database = Arc::new(TestDatabase::new().await);
    create_queues(&database, 3).await;
    let before = catalog(&database).await;
    let mut long = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("begin; select pgmq.send('q2_queue', '1')")
        .execute(&mut long)
        .await
        .unwrap();
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut long)
        .await
        .unwrap();
    let end = Arc::new(AtomicBool::new(false));
    let writer = {
        let (database, end) = (Arc::clone(&database), Arc::clone(&end));
        tokio::spawn(async move { write(&database, 3, 1, &end).await })
    };
    let error = database
        .run(migration().up())
        .await
        .expect_err("the queue stays locked");
    end.store(true, Ordering::Relaxed);
    let (longest, _) = writer.await.unwrap().expect("the writer does not fail");
    assert!(
        longest < LOCK_TIMEOUT + MACHINE,
        "the writer waited {longest:?}"
    );

    let sqlx::Error::Database(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.code().as_deref(), Some("55P03"), "{error:?}");
    for part in ["pgmq.q_q2_queue", &pid.to_string()] {
        assert!(error.message().contains(part), "{error:?}");
    }
    let error = error.downcast_ref::<sqlx::postgres::PgDatabaseError>();
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("Nothing was changed")),
        "{error:?}"
    );
    assert_eq!(catalog(&database).await, before);

    sqlx::raw_sql("commit").execute(&mut long).await.unwrap();
    database.run(migration().up()).await.unwrap();
}

#[tokio::test]
async fn a_database_that_cannot_have_it_is_told_why() {
    let database = TestDatabase::empty().await;
    let error = database.run(migration().up()).await.expect_err("no PGMQ");
    assert!(
        error.to_string().contains("PGMQ is not installed"),
        "{error}"
    );
    database
        .run("create schema pgmq; create table pgmq.meta (queue_name text, created_at timestamptz)")
        .await
        .unwrap();
    let error = database
        .run(migration().up())
        .await
        .expect_err("an old PGMQ");
    assert!(error.to_string().contains("PGMQ 1.5 or newer"), "{error}");
}

#[tokio::test]
async fn whoever_may_create_queues_still_can_without_rights_on_pgmq_notify() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let role = format!("creator_{:016x}", fastrand::u64(..));
    database
        .run(format!(
            "begin; create role {role}; grant usage, create on schema pgmq to {role}; \
             grant select, insert on pgmq.meta to {role}; set local role {role}; \
             select pgmq.create('their_queue'); select pgmq.send('their_queue', '1'); reset role; \
             reassign owned by {role} to current_user; drop owned by {role}; drop role {role}; commit"
        ))
        .await
        .unwrap();
    assert_eq!(trigger_states(&database).await, [("missing".to_owned(), 1)]);
    database
        .run("select pgmq_notify.install_triggers()")
        .await
        .unwrap();
    assert_eq!(
        trigger_states(&database).await,
        [("installed".to_owned(), 1)]
    );
}

#[tokio::test]
async fn rust_and_sql_call_every_channel_the_same() {
    let names = [
        "orders".to_owned(),
        "é".repeat(20),
        "🐘".repeat(47),
        "a.b".to_owned(),
        "n".repeat(44),
        "n".repeat(45),
        "n".repeat(46),
    ];
    for prefix in [None, Some("p".repeat(20)), Some("🐘".repeat(11))] {
        let mut config = PgmqNotifyConfig::new();
        if let Some(prefix) = prefix {
            config = config.with_channels_prefix(prefix);
        }
        let database = TestDatabase::migrated(&config).await;
        let channels = config.channels().unwrap();
        for name in &names {
            let namespace = pgmq_notify_core::Namespace::new(name.as_str()).unwrap();
            let in_sql: String =
                sqlx::query_scalar("select pgmq_notify.channel_name('pgmq_message_ready.' || $1)")
                    .bind(name)
                    .fetch_one(database.pool())
                    .await
                    .unwrap();
            assert_eq!(channels.message_ready(&namespace).as_str(), in_sql);
        }
    }
}
