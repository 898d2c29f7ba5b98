//! Installing queue by queue.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgmq_notify_client::{ErrorKind, InstallProgress, PgmqNotifyClient, PgmqNotifyConfig};
use pgmq_notify_tests::{PgBouncer, Pgmq, Server, Settings, TestDatabase, eventually};
use sqlx::{Connection, PgConnection};

use super::{client, configs, create_queues};
use crate::installation::{catalog, trigger_states};
use crate::producers::partitioned_queue;

/// The transactions that wrote the catalog's rows of our schema: another one for each that is replaced.
async fn written(database: &TestDatabase) -> String {
    sqlx::query_scalar(
        "select md5(string_agg(fact, ',' order by fact)) from (
           select p.oid::text || p.xmin from pg_proc p where pronamespace = 'pgmq_notify'::regnamespace
           union all select t.oid::text || t.xmin from pg_trigger t
           union all select c.oid::text || c.xmin from pg_class c where relnamespace = 'pgmq_notify'::regnamespace
           union all select i.xmin::text from pgmq_notify.installation i
         ) facts(fact)",
    )
    .fetch_one(database.pool())
    .await
    .unwrap()
}

async fn lock(database: &TestDatabase, sql: &'static str) -> PgConnection {
    let mut holder = PgConnection::connect_with(&database.options().application_name("the holder"))
        .await
        .unwrap();
    sqlx::raw_sql(sql).execute(&mut holder).await.unwrap();
    holder
}

#[tokio::test]
async fn installing_leaves_what_the_migration_leaves_and_again_changes_nothing() {
    for config in configs() {
        let migrated = TestDatabase::new().await;
        let installed = TestDatabase::new().await;
        for database in [&migrated, &installed] {
            create_queues(database, 3).await;
            partitioned_queue(database, "parts_queue").await;
        }
        migrated.migrate(&config).await;
        let report = client(&installed, &config).install().await.unwrap();
        let queues = if config.triggers_enabled() { 4 } else { 0 };
        assert_eq!(report.queues_changed, queues);
        assert!(report.sql_changed && report.from_version.is_none());
        assert_eq!(catalog(&installed).await, catalog(&migrated).await);

        let before = written(&installed).await;
        let again = client(&installed, &config).install().await.unwrap();
        assert!(again.is_unchanged(), "{again:?}");
        assert_eq!(again.queues_right, queues);
        assert_eq!(written(&installed).await, before);
    }
}

#[tokio::test]
async fn installing_over_another_configuration_leaves_what_it_leaves_alone() {
    for to in configs() {
        let alone = TestDatabase::new().await;
        create_queues(&alone, 2).await;
        client(&alone, &to).install().await.unwrap();
        let expected = catalog(&alone).await;
        for from in configs() {
            // Without triggers nothing keeps out a sender that is about to look who sleeps: that table stays.
            if from.has_wake_up() && !to.has_wake_up() && !to.triggers_enabled() {
                continue;
            }
            let database = TestDatabase::new().await;
            create_queues(&database, 2).await;
            client(&database, &from).install().await.unwrap();
            let report = client(&database, &to).install().await.unwrap();
            assert_eq!(report.settings.is_empty(), from == to, "{report:?}");
            assert_eq!(catalog(&database).await, expected, "{from:?} to {to:?}");
            assert!(
                client(&database, &to)
                    .install()
                    .await
                    .unwrap()
                    .is_unchanged()
            );
        }
    }
}

#[tokio::test]
async fn what_was_switched_off_dropped_or_revoked_is_repaired() {
    let config = PgmqNotifyConfig::new().with_delivery(pgmq_notify_core::Delivery::WakeUp);
    let database = TestDatabase::new().await;
    create_queues(&database, 3).await;
    let client = client(&database, &config);
    client.install().await.unwrap();
    let whole = catalog(&database).await;
    for (damage, queues) in [
        (
            "create or replace function pgmq_notify.message_inserted() returns trigger \
             language plpgsql as 'begin return null; end'",
            0,
        ),
        ("alter function pgmq_notify.wakes(text) security invoker", 0),
        (
            "alter function pgmq_notify.install_triggers() reset lock_timeout",
            0,
        ),
        (
            "drop trigger pgmq_notify_message_inserted on pgmq.q_q1_queue",
            1,
        ),
        ("drop trigger pgmq_notify_queue_dropped on pgmq.meta", 0),
        ("drop function pgmq_notify.message_released() cascade", 3),
        ("revoke usage on schema pgmq_notify from public", 0),
        ("drop index pgmq_notify.parked_until_idx", 0),
        ("drop table pgmq_notify.parked", 0),
        (
            "grant execute on function pgmq_notify.install_triggers() to public",
            0,
        ),
    ] {
        database.run(damage).await.unwrap();
        let differs = client.installation().await.unwrap().unwrap();
        assert!(
            !differs.differences(&config).unwrap().is_empty(),
            "{damage}"
        );
        let report = client.install().await.unwrap();
        assert_eq!(report.queues_changed, queues, "{damage}");
        assert_eq!(catalog(&database).await, whole, "{damage}");
        let same = client.installation().await.unwrap().unwrap();
        assert!(same.differences(&config).unwrap().is_empty(), "{damage}");
    }
}

#[tokio::test]
async fn a_queue_that_stays_locked_is_named_with_who_locks_it_and_the_rest_is_done() {
    let database = TestDatabase::new().await;
    create_queues(&database, 5).await;
    let mut holder = lock(&database, "begin; select pgmq.send('q3_queue', '1')").await;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut holder)
        .await
        .unwrap();
    let client = client(&database, &PgmqNotifyConfig::new());
    let busy = Mutex::new(Vec::new());
    let error = client
        .install()
        .with_patience(Duration::from_secs(2))
        .on_progress(|progress| {
            if let InstallProgress::Busy { name, .. } = progress {
                busy.lock().unwrap().push(name);
            }
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let text = error.to_string();
    for part in [
        "pgmq.q_q3_queue",
        &format!("backend {pid} (application \"the holder\""),
        "in a transaction for 00:00:0",
        "everything else is done",
        "continues",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("q_q2_queue"), "{text}");
    let busy = busy.into_inner().unwrap();
    assert!(
        busy.len() > 3 && busy.iter().all(|name| name == "pgmq.q_q3_queue"),
        "{busy:?}"
    );
    assert_eq!(
        trigger_states(&database).await,
        [("installed".to_owned(), 4), ("missing".to_owned(), 1)]
    );
    sqlx::raw_sql("commit").execute(&mut holder).await.unwrap();
    let report = client.install().await.unwrap();
    assert_eq!((report.queues_changed, report.queues_right), (1, 4));
    assert!(!report.sql_changed);
}

#[tokio::test]
async fn an_installation_that_was_dropped_in_the_middle_continues() {
    let database = TestDatabase::new().await;
    create_queues(&database, 30).await;
    let client = client(&database, &PgmqNotifyConfig::new());
    let (reached, middle) = tokio::sync::oneshot::channel();
    let mut reached = Some(reached);
    let installing = client.install().on_progress(move |progress| {
        if matches!(progress, InstallProgress::Table { done: 10, .. }) {
            let _ = reached.take().map(|reached| reached.send(()));
        }
    });
    tokio::select! {
        biased;
        _ = middle => {}
        report = installing.into_future() => panic!("it was not interrupted: {report:?}"),
    }
    let states = eventually(Duration::from_secs(10), || async {
        let states = trigger_states(&database).await;
        let open: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity where application_name = 'pgmq-notify install' \
             and datname = current_database()",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        (open == 0).then_some(states)
    })
    .await;
    assert!(states[0].1 >= 10 && states.len() == 2, "{states:?}");
    let report = client.install().await.unwrap();
    assert!(!report.sql_changed);
    assert_eq!(report.queues_right + report.queues_changed, 30);
    assert!(report.queues_changed > 0);
    assert_eq!(
        trigger_states(&database).await,
        [("installed".to_owned(), 30)]
    );
}

#[tokio::test]
async fn a_lost_connection_is_an_error_that_says_how_to_go_on() {
    let database = TestDatabase::new().await;
    create_queues(&database, 3).await;
    let mut holder = lock(&database, "begin; select pgmq.send('q3_queue', '1')").await;
    let client = client(&database, &PgmqNotifyConfig::new());
    let installing = client.install();
    let killed = eventually(Duration::from_secs(10), || async {
        let killed: Option<bool> = sqlx::query_scalar(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgmq-notify install' \
             and datname = current_database() and query like '%q_q3_queue%'",
        )
        .fetch_optional(database.pool())
        .await
        .unwrap();
        killed
    });
    let (result, _) = tokio::join!(installing.into_future(), killed);
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    assert!(
        error.to_string().contains("running it again continues"),
        "{error}"
    );
    sqlx::raw_sql("commit").execute(&mut holder).await.unwrap();
    assert_eq!(client.install().await.unwrap().queues_right, 2);
}

#[tokio::test]
async fn the_plan_changes_nothing_and_run_by_psql_it_is_the_installation() {
    for config in configs() {
        let database = TestDatabase::new().await;
        create_queues(&database, 2).await;
        let before = catalog(&database).await;
        let client = client(&database, &config);
        let plan = client.install().plan().await.unwrap();
        assert_eq!(catalog(&database).await, before);
        database.psql(plan).await.unwrap();
        assert!(client.install().await.unwrap().is_unchanged());
        let nothing = client.install().plan().await.unwrap();
        assert!(nothing.starts_with("-- Nothing to do"), "{nothing}");

        let removal = client.uninstall().plan().await.unwrap();
        database.psql(removal).await.unwrap();
        assert_eq!(catalog(&database).await, before);
        let nothing = client.uninstall().plan().await.unwrap();
        assert!(nothing.starts_with("-- Nothing to do"), "{nothing}");
    }
}

#[tokio::test]
async fn a_queue_that_is_created_meanwhile_has_its_triggers() {
    let database = Arc::new(TestDatabase::new().await);
    create_queues(&database, 20).await;
    let creating = {
        let database = Arc::clone(&database);
        tokio::spawn(async move {
            for n in 0..40 {
                let sql = format!("select pgmq.create('late{n}_queue')");
                database.run(sql).await.unwrap();
            }
        })
    };
    for config in configs() {
        client(&database, &config).install().await.unwrap();
    }
    creating.await.unwrap();
    let config = &configs()[1];
    client(&database, config).install().await.unwrap();
    let again = client(&database, config).install().await.unwrap();
    assert!(again.is_unchanged());
    assert_eq!(again.queues_right, 60);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_a_pooler_several_install_at_once_and_no_lock_stays() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    create_queues(&database, 30).await;
    let before = catalog(&database).await;
    let pooler = PgBouncer::before(&server).await.unwrap();
    let pool = sqlx::PgPool::connect_lazy_with(pooler.options(&database));
    let client = PgmqNotifyClient::with_pool(pool, PgmqNotifyConfig::new()).unwrap();
    let reports = join_all((0..4).map(|_| client.install().into_future())).await;
    let changed: usize = reports
        .into_iter()
        .map(|it| it.unwrap().queues_changed)
        .sum();
    assert_eq!(changed, 30);
    let locks: i64 =
        sqlx::query_scalar("select count(*) from pg_locks where locktype = 'advisory'")
            .fetch_one(database.pool())
            .await
            .unwrap();
    assert_eq!(locks, 0);
    assert!(client.install().await.unwrap().is_unchanged());
    assert!(client.uninstall().await.unwrap().removed);
    assert_eq!(catalog(&database).await, before);
}

#[tokio::test]
async fn without_pgmq_it_says_how_to_get_it() {
    let database = TestDatabase::empty().await;
    let client = client(&database, &PgmqNotifyConfig::new());
    let error = client.install().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PgmqMissing);
    assert!(
        error.to_string().contains("create extension pgmq"),
        "{error}"
    );
    if Pgmq::Extension
        .is_available(database.server())
        .await
        .unwrap()
    {
        assert!(client.install().with_pgmq().await.unwrap().pgmq_created);
        return;
    }
    let error = client.install().with_pgmq().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PgmqMissing);
    assert!(
        error.to_string().contains("no files of the extension"),
        "{error}"
    );
}

#[tokio::test]
async fn where_the_server_has_its_files_pgmq_is_installed_too() {
    let server = Server::start_with_pgmq(Settings::new()).await.unwrap();
    let database = TestDatabase::create(&server, None).await.unwrap();
    let client = client(&database, &PgmqNotifyConfig::new());
    let plan = client.install().with_pgmq().plan().await.unwrap();
    assert!(
        plan.contains("create extension if not exists pgmq;"),
        "{plan}"
    );
    let present = "select count(*) from pg_extension where extname = 'pgmq'";
    let count = || sqlx::query_scalar::<_, i64>(present).fetch_one(database.pool());
    assert_eq!(count().await.unwrap(), 0);
    let reports = join_all((0..3).map(|_| client.install().with_pgmq().into_future())).await;
    let created = reports
        .into_iter()
        .filter(|it| it.as_ref().unwrap().pgmq_created)
        .count();
    assert_eq!((created, count().await.unwrap()), (1, 1));
    client.create_queue("orders_queue").await.unwrap();
    let again = client.install().with_pgmq().await.unwrap();
    assert!(again.is_unchanged());
    assert_eq!(again.queues_right, 1);
    assert!(client.uninstall().await.unwrap().removed);
    assert_eq!(count().await.unwrap(), 1);
}

#[tokio::test]
async fn while_another_process_installs_it_waits_and_says_whom_for() {
    let database = TestDatabase::new().await;
    create_queues(&database, 1).await;
    let mut holder = lock(
        &database,
        "begin; select pg_advisory_xact_lock(hashtextextended('pgmq_notify.install', 0))",
    )
    .await;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut holder)
        .await
        .unwrap();
    let client = client(&database, &PgmqNotifyConfig::new());
    let told = Mutex::new(Vec::new());
    let begun = Instant::now();
    let error = client
        .install()
        .with_patience(Duration::from_millis(300))
        .on_progress(|progress| told.lock().unwrap().push(progress))
        .await
        .unwrap_err();
    assert!(begun.elapsed() > Duration::from_millis(500));
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().contains(&format!("backend {pid}")),
        "{error}"
    );
    let told = told.into_inner().unwrap();
    assert_eq!(told, [InstallProgress::Waiting { holder: Some(pid) }]);
    sqlx::raw_sql("commit").execute(&mut holder).await.unwrap();
    assert_eq!(client.install().await.unwrap().queues_changed, 1);
}
