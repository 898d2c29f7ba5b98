//! The way to the server, its kind, and its notification queue.

use pgmq_notify_client::{FindingCode, PgmqNotifyConfig, Remedy};
use pgmq_notify_tests::{PgBouncer, Pgmq, Server, Settings, TestDatabase};
use sqlx::{Connection as _, PgConnection};

use super::{cured, examine, examine_at, paste, url_of};
use crate::operations::client;

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

/// A session that listens and does not read.
async fn stuck(database: &TestDatabase) -> PgConnection {
    let options = database.options().application_name("the stuck one");
    let mut stuck = PgConnection::connect_with(&options).await.unwrap();
    for sql in ["listen anything", "begin"] {
        sqlx::raw_sql(sql).execute(&mut stuck).await.unwrap();
    }
    stuck
}

async fn usage(database: &TestDatabase) -> f64 {
    sqlx::query_scalar("select pg_notification_queue_usage()")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

/// Until so much of the queue is in use.
async fn fill(database: &TestDatabase, wanted: f64) {
    for _ in 0..200 {
        if usage(database).await >= wanted {
            return;
        }
        // One page.
        database
            .run("select pg_notify('noise', repeat('x', 7900))")
            .await
            .unwrap();
    }
    panic!("{} in use", usage(database).await);
}

#[tokio::test]
async fn who_holds_back_the_notification_queue_is_named_and_ended() {
    // From PostgreSQL 17 on it can be made small; before, it has 8 GB, so that little of it has to count as much.
    let small = Server::shared().await.unwrap().version().await.unwrap() >= 17;
    let settings = if small {
        Settings::new().set("max_notify_queue_pages", "64")
    } else {
        Settings::new()
    };
    let server = Server::start(settings).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    let config = PgmqNotifyConfig::new();
    database.migrate(&config).await;
    let mut holder = stuck(&database).await;
    let pid: i32 = sqlx::query_scalar("select pg_backend_pid()")
        .fetch_one(&mut holder)
        .await
        .unwrap();
    if small {
        for (wanted, code) in [
            (0.11, "notification-queue-filling"),
            (0.51, "notification-queue-full"),
        ] {
            let mut holder = stuck(&database).await;
            drop(std::mem::replace(&mut holder, stuck(&database).await));
            fill(&database, wanted).await;
            while examine(&database, &[]).await.codes().contains(&code) {
                // One after the other: there are several.
                let found = examine(&database, &[]).await.only(code);
                assert!(found.explanation.contains("the stuck one"), "{found:?}");
                paste(&database.url(), &found).await;
            }
            cured(&database, &[], code).await;
        }
        return;
    }
    fill(&database, 5e-6).await;
    let client = client(&database, &config);
    let doctor = || client.doctor().with_notification_queue_warning(4e-6);
    let diagnosis = doctor().await.unwrap();
    let found: Vec<_> = diagnosis
        .of(FindingCode::NotificationQueueFilling)
        .collect();
    let [found] = found[..] else {
        panic!("{diagnosis:?}");
    };
    let text = &found.explanation;
    for part in [
        &format!("backend {pid} (the stuck one)"),
        "127.0.0.1",
        "idle in transaction",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let Remedy::Sql(sql) = &found.remedy else {
        panic!("{found:?}");
    };
    assert_eq!(*sql, format!("select pg_terminate_backend({pid});"));
    database.run(sql).await.unwrap();
    let after = pgmq_notify_tests::eventually(std::time::Duration::from_secs(10), || async {
        let after = doctor().await.unwrap();
        if after.findings.is_empty() {
            Ok(())
        } else {
            Err(after)
        }
    });
    after.await;
    // The command has the documented limits.
    assert!(examine(&database, &[]).await.findings.is_empty());
}
