//! The listener, on a real server with the generated SQL.

#[cfg(target_os = "linux")]
mod asleep;
mod buffering;
mod cancelling;
mod catching_up;
mod chaos;
mod churn;
mod connecting;
mod events;
mod faults;
mod handling;
mod metering;
mod proving;
mod reconnecting;
mod silence;
mod subscriptions;
mod tracing_names;
mod visibility;

use std::time::Duration;

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent, ResumeReason};
use pgmq_notify_listener::{CatchUp, PgmqNotifyListener};
use pgmq_notify_tests::{TestDatabase, eventually};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

const SOON: Duration = Duration::from_secs(30);

/// A connected listener with a large buffer.
async fn connected(database: &TestDatabase, config: &PgmqNotifyConfig) -> PgmqNotifyListener {
    connected_with(database, config, 10_000).await
}

async fn connected_with(
    database: &TestDatabase,
    config: &PgmqNotifyConfig,
    buffer: usize,
) -> PgmqNotifyListener {
    let pool = database.pool().clone();
    let mut listener = PgmqNotifyListener::new(pool, config.clone(), buffer)
        .await
        .expect("a valid configuration");
    listener.connect().await.expect("connect the listener");
    listener
}

/// A connected listener that says of a gap no more than that there was one.
async fn connected_without_catch_up(
    database: &TestDatabase,
    config: &PgmqNotifyConfig,
    buffer: usize,
) -> PgmqNotifyListener {
    let pool = database.pool().clone();
    let mut listener = PgmqNotifyListener::new(pool, config.clone(), buffer)
        .await
        .expect("a valid configuration")
        .with_catch_up(CatchUp::Never);
    listener.connect().await.expect("connect the listener");
    listener
}

/// The next event.
async fn next(listener: &mut PgmqNotifyListener) -> PgmqNotifyEvent {
    tokio::time::timeout(SOON, listener.next_event())
        .await
        .expect("an event arrives in time")
        .expect("the listener goes on")
        .expect("the listener is connected")
}

/// The namespace and id of the next event, which is of one message.
async fn next_message(listener: &mut PgmqNotifyListener) -> (String, i64) {
    message(&next(listener).await)
}

fn message(event: &PgmqNotifyEvent) -> (String, i64) {
    match event {
        PgmqNotifyEvent::MessageWithPayload(e) => (e.namespace.to_string(), e.msg_id),
        PgmqNotifyEvent::MessageReady(e) => (e.namespace.to_string(), e.msg_id),
        other => panic!("not of one message: {other:?}"),
    }
}

/// The next event tells of a gap.
async fn gap(listener: &mut PgmqNotifyListener) -> (ResumeReason, Duration) {
    match next(listener).await {
        PgmqNotifyEvent::Resumed(event) => (event.reason, event.gap),
        other => panic!("not of a gap: {other:?}"),
    }
}

async fn create(database: &TestDatabase, queue: &str) {
    sqlx::query("select pgmq.create($1)")
        .bind(queue)
        .execute(database.pool())
        .await
        .expect("create a queue");
}

async fn send(database: &TestDatabase, queue: &str) -> i64 {
    sqlx::query_scalar("select pgmq.send($1, '{}')")
        .bind(queue)
        .fetch_one(database.pool())
        .await
        .expect("send a message")
}

/// The process ids of the listeners' backends.
async fn backends(database: &TestDatabase) -> Vec<i32> {
    // Not from the pool: a test may have used it up.
    let mut connection = PgConnection::connect_with(&database.options())
        .await
        .expect("connect");
    let pids = sqlx::query_scalar(
        "select pid from pg_stat_activity
         where datname = current_database() and application_name like 'pgmq-notify-listener%'",
    )
    .fetch_all(&mut connection)
    .await
    .expect("look for backends");
    drop(connection.close().await);
    pids
}

async fn no_backend_is_left(database: &TestDatabase) {
    eventually(SOON, || async {
        let left = backends(database).await;
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

/// Ends the listeners' backends.
async fn terminate(database: &TestDatabase) {
    let pids = backends(database).await;
    assert!(!pids.is_empty(), "nobody listens");
    for pid in pids {
        let sql = AssertSqlSafe(format!("select pg_terminate_backend({pid})"));
        sqlx::raw_sql(sql)
            .execute(database.pool())
            .await
            .expect("terminate a backend");
    }
}
