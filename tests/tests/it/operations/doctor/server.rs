//! The way to the server, its kind, and its notification queue.

use std::time::Duration;

use pgmq_notify_client::{Finding, FindingCode, PgmqNotifyClient, PgmqNotifyConfig, Remedy};
use pgmq_notify_tests::{PgBouncer, Pgmq, Server, Settings, TestDatabase, eventually};
use sqlx::{Connection as _, PgConnection, PgPool};

use super::{examine, examine_at, gone, paste, url_of};
use crate::operations::client;

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn behind_a_pooler_of_transactions_and_on_a_standby_the_remedy_leads_to_the_server() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&PgmqNotifyConfig::new()).await;
    let pooler = PgBouncer::before(&server).await.unwrap();
    let standby = server.standby().await.unwrap();
    standby.catch_up_with(&server).await.unwrap();
    let directly = format!(
        "@127.0.0.1:{}/{}",
        database.options().get_port(),
        database.name()
    );
    for (url, code) in [
        (url_of(&pooler.options(&database)), "not-delivered"),
        (standby.url(database.name()), "standby"),
    ] {
        let report = examine_at(&url, &[]).await;
        // All else can be seen, and is right.
        assert_eq!(report.codes(), [code], "{report:?}");
        let found = report.only(code);
        assert!(found.remedy.text.ends_with(&directly), "{found:?}");
        // That it answers with 0 is asserted there.
        paste(&url, &found).await;
    }
}

/// A session that listens and does not read, and its pid.
async fn stuck(database: &TestDatabase, how: Stuck) -> (PgConnection, i32) {
    let options = database.options().application_name("the stuck one");
    let mut stuck = PgConnection::connect_with(&options).await.unwrap();
    let pid = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut stuck)
        .await
        .unwrap();
    let listen: &[_] = match how {
        Stuck::InTransaction => &["listen anything", "begin"],
        // Its client reads nothing any more.
        Stuck::Writing => &["listen noise"],
    };
    for sql in listen {
        sqlx::raw_sql(*sql).execute(&mut stuck).await.unwrap();
    }
    (stuck, pid)
}

#[derive(Clone, Copy)]
enum Stuck {
    InTransaction,
    Writing,
}

async fn usage(database: &TestDatabase) -> f64 {
    sqlx::query_scalar("select pg_notification_queue_usage()")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

/// Until so much of the queue is in use, and stays so, because `writer` waits for its client: sockets take some
/// megabytes before that.
async fn fill(database: &TestDatabase, wanted: f64, writer: Option<i32>) {
    let mut stays = 0;
    for _ in 0..5_000 {
        if usage(database).await < wanted {
            stays = 0;
            // A page each.
            let pages =
                "select pg_notify('noise', n || repeat('x', 7900)) from generate_series(1, 8) n";
            database.run(pages).await.unwrap();
        } else if stays < 10 {
            stays = if waits(database, writer).await {
                stays + 1
            } else {
                0
            };
            tokio::time::sleep(Duration::from_millis(10)).await;
        } else {
            return;
        }
    }
    panic!("{} in use", usage(database).await);
}

async fn waits(database: &TestDatabase, writer: Option<i32>) -> bool {
    sqlx::query_scalar(
        "select $1 is null or exists (
           select from pg_stat_activity where pid = $1 and wait_event = 'ClientWrite'
         )",
    )
    .bind(writer)
    .fetch_one(database.pool())
    .await
    .unwrap()
}

/// From PostgreSQL 17 on the notification queue can be made small. Before, it has 8 GB, so that little of it has to count
/// as much.
async fn small_queue() -> (TestDatabase, bool) {
    let small = Server::shared().await.unwrap().version().await.unwrap() >= 17;
    let settings = if small {
        Settings::new().set("max_notify_queue_pages", "1024")
    } else {
        Settings::new()
    };
    let server = Server::start(settings).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&PgmqNotifyConfig::new()).await;
    (database, small)
}

/// Of the library, whose limit can be set.
async fn diagnosis(client: &PgmqNotifyClient, limit: f64) -> Vec<Finding> {
    let doctor = client.doctor().with_notification_queue_warning(limit);
    doctor.await.unwrap().findings
}

#[tokio::test]
async fn who_holds_back_the_notification_queue_is_named_and_ended() {
    let (database, small) = small_queue().await;
    let client = client(&database, &PgmqNotifyConfig::new());
    let (filled, limit) = if small { (0.3, 0.1) } else { (3e-4, 1e-4) };
    for (how, state) in [
        (Stuck::InTransaction, "idle in transaction, its statement"),
        (Stuck::Writing, "writing to its client, its statement"),
    ] {
        let (holder, pid) = stuck(&database, how).await;
        let writer = matches!(how, Stuck::Writing).then_some(pid);
        fill(&database, filled, writer).await;
        let found = diagnosis(&client, limit).await;
        let [found] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(found.code, FindingCode::NotificationQueueFilling);
        let backend = format!("backend {pid} (the stuck one)");
        for part in [&*backend, "127.0.0.1", state] {
            assert!(found.explanation.contains(part), "{found:?}");
        }
        assert_eq!(
            found.remedy,
            Remedy::Sql(format!("select pg_terminate_backend({pid});"))
        );
        database.run(found.remedy.to_string()).await.unwrap();
        eventually(SOON, || async {
            let after = diagnosis(&client, limit).await;
            if after.is_empty() { Ok(()) } else { Err(after) }
        })
        .await;
        drop(holder);
    }
    // The command has the documented limits.
    assert!(examine(&database, &[]).await.findings.is_empty());
    if small {
        the_command_knows_how_full_it_is(&database).await;
    }
}

/// Where it can be filled.
async fn the_command_knows_how_full_it_is(database: &TestDatabase) {
    for (wanted, code) in [
        (0.2, "notification-queue-filling"),
        (0.52, "notification-queue-full"),
    ] {
        let (holder, pid) = stuck(database, Stuck::InTransaction).await;
        fill(database, wanted, None).await;
        let found = examine(database, &[]).await.only(code);
        assert_eq!(
            found.remedy.text,
            format!("select pg_terminate_backend({pid});")
        );
        paste(&database.url(), &found).await;
        eventually(SOON, || async { usage(database).await < 0.1 }).await;
        gone(database, &[], code).await;
        drop(holder);
    }
}

#[tokio::test]
async fn a_role_that_may_not_see_who_holds_the_queue_is_told_so() {
    let (database, small) = small_queue().await;
    let (filled, limit) = if small { (0.3, 0.1) } else { (3e-4, 1e-4) };
    database
        .run(
            "create role watcher login; grant usage on schema pgmq, pgmq_notify to watcher; \
             grant select on pgmq.meta, pgmq_notify.installation to watcher",
        )
        .await
        .unwrap();
    let (_holder, pid) = stuck(&database, Stuck::InTransaction).await;
    fill(&database, filled, None).await;
    let pool = PgPool::connect_with(database.options().username("watcher"))
        .await
        .unwrap();
    let theirs = PgmqNotifyClient::with_pool(pool.clone(), PgmqNotifyConfig::new()).unwrap();
    let found = diagnosis(&theirs, limit).await;
    let codes: Vec<_> = found.iter().map(|it| it.code).collect();
    assert_eq!(
        codes,
        [
            FindingCode::NotificationQueueFilling,
            FindingCode::NotChecked
        ],
        "{found:?}"
    );
    database.run(found[1].remedy.to_string()).await.unwrap();
    let found = diagnosis(&theirs, limit).await;
    let [found] = &found[..] else {
        panic!("{found:?}");
    };
    assert!(
        found.explanation.contains(&format!("backend {pid}")),
        "{found:?}"
    );
    pool.close().await;
}
