//! A full notification queue costs consumers latency and senders nothing.
//!
//! The queue has 8 GB before PostgreSQL 17; from then on `max_notify_queue_pages` makes it small enough to be filled.

use std::time::Duration;

use futures_util::future::join_all;
use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_tests::{Heard, Pgmq, Server, Settings, TestDatabase, eventually};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const SMALLEST_QUEUE: &str = "64";

/// A server whose notification queue holds 512 kB, where that can be set.
async fn small_queue() -> (TestDatabase, bool) {
    let shared = Server::shared().await.unwrap();
    let small = shared.version().await.unwrap() >= 17;
    let settings = if small {
        Settings::new().set("max_notify_queue_pages", SMALLEST_QUEUE)
    } else {
        Settings::new()
    };
    let server = Server::start(settings).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&PgmqNotifyConfig::new()).await;
    database
        .run("select pgmq.create('orders_queue')")
        .await
        .unwrap();
    (database, small)
}

/// A session that listens and never reads: the queue's tail stays where it is.
async fn stuck_listener(database: &TestDatabase) -> PgConnection {
    let mut stuck = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("listen anything")
        .execute(&mut stuck)
        .await
        .unwrap();
    sqlx::raw_sql("begin").execute(&mut stuck).await.unwrap();
    stuck
}

async fn usage(database: &TestDatabase) -> f64 {
    sqlx::query_scalar("select pg_notification_queue_usage()")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

/// 32 senders at once, each of 10 bodies that nearly fill a notification.
async fn burst(database: &TestDatabase) {
    let senders = (0..32).map(|_| async {
        let mut sender = PgConnection::connect_with(&database.options())
            .await
            .unwrap();
        for _ in 0..10 {
            sqlx::raw_sql("select pgmq.send('orders_queue', to_jsonb(repeat('x', 7500)))")
                .execute(&mut sender)
                .await
                .expect("a send never fails because of a notification");
        }
    });
    join_all(senders).await;
}

#[tokio::test]
async fn every_send_commits_while_a_stuck_listener_fills_the_notification_queue() {
    let (database, small) = small_queue().await;
    let mut stuck = stuck_listener(&database).await;
    burst(&database).await;
    database
        .run("begin; do $$ begin for i in 1..1000 loop perform pgmq.send('orders_queue', to_jsonb(repeat('x', 7500))); end loop; end $$; commit")
        .await
        .expect("a large transaction commits");
    database
        .run("insert into pgmq.q_orders_queue (vt, message) select now(), '1' from generate_series(1, 100000)")
        .await
        .expect("a large batch commits");
    database
        .run("update pgmq.q_orders_queue set vt = 'infinity'; update pgmq.q_orders_queue set vt = now()")
        .await
        .expect("a release of everything commits");
    let used = usage(&database).await;
    assert!(
        used <= 0.5,
        "half of the queue is left to others, used: {used}"
    );

    if small {
        // Others fill it to the brim.
        let mut full = false;
        for _ in 0..200 {
            let sql = AssertSqlSafe("select pg_notify('noise', repeat('x', 7900))".to_owned());
            if sqlx::raw_sql(sql).execute(database.pool()).await.is_err() {
                full = true;
                break;
            }
        }
        assert!(
            full,
            "the notification queue was never full, used: {}",
            usage(&database).await
        );
    }
    burst(&database).await;
    let sent: i64 = sqlx::query_scalar("select count(*) from pgmq.q_orders_queue")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(sent, 2 * 320 + 1_000 + 100_000);

    sqlx::raw_sql("rollback").execute(&mut stuck).await.unwrap();
    eventually(Duration::from_secs(10), || async {
        let used = usage(&database).await;
        if used < 0.5 { Ok(()) } else { Err(used) }
    })
    .await;
}

#[tokio::test]
async fn events_flow_through_a_small_notification_queue_whose_listener_reads() {
    let (database, _) = small_queue().await;
    let config = PgmqNotifyConfig::new();
    let mut heard = Heard::messages(&database, &config).await;
    for n in 1..=200 {
        database
            .run(format!("select pgmq.send('orders_queue', '{n}')"))
            .await
            .unwrap();
        let event = heard.event().await;
        assert!(
            matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == n.to_string()),
            "{event:?}"
        );
    }
    database
        .run("begin; do $$ begin for i in 1..1000 loop perform pgmq.send('orders_queue', to_jsonb(repeat('x', 7500))); end loop; end $$; commit")
        .await
        .expect("a transaction whose notifications would not fit commits");
    database
        .run("select pgmq.send('orders_queue', '\"last\"')")
        .await
        .unwrap();
    loop {
        if let PgmqNotifyEvent::MessageWithPayload(event) = heard.event().await
            && event.message.as_str() == "\"last\""
        {
            break;
        }
    }
}
