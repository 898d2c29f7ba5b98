//! Sessions on which nothing happens: some live, some are dead.

use std::process::Command;
use std::time::{Duration, Instant};

use pgmq_notify_core::{PgmqNotifyConfig, ResumeReason};
use pgmq_notify_listener::{CatchUp, ListenerErrorKind, ListenerStatus, PgmqNotifyListener};
use pgmq_notify_tests::{Pgmq, Server, Settings, TestDatabase, eventually};

use super::{SOON, backends, create, gap, next_message, send};

/// An own server: a stopped backend would hold up others, and only here are they processes to stop.
pub(super) async fn server() -> (Server, TestDatabase) {
    let server = Server::start(Settings::new()).await.expect("a server");
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&PgmqNotifyConfig::new()).await;
    create(&database, "orders_queue").await;
    (server, database)
}

async fn with_heartbeat(
    database: &TestDatabase,
    quiet: Duration,
    answer: Duration,
) -> PgmqNotifyListener {
    let pool = database.pool().clone();
    let mut listener = PgmqNotifyListener::new(pool, PgmqNotifyConfig::new(), 1_000)
        .await
        .expect("a valid configuration")
        .with_heartbeat(quiet, answer)
        .with_catch_up(CatchUp::Never);
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .expect("subscribe");
    listener.connect().await.expect("connect");
    listener
}

pub(super) fn signal(signal: &str, pid: i32) {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .expect("run kill");
    assert!(status.success(), "kill {signal} {pid}");
}

pub(super) async fn the_backend(database: &TestDatabase) -> i32 {
    let pids = backends(database).await;
    assert_eq!(pids.len(), 1);
    pids[0]
}

/// The state of the client's end of a connection, as /proc writes it: 01 is established. Both ports count: other connections of
/// this machine, to other servers, may have the same one here.
#[cfg(target_os = "linux")]
fn state_of_socket(port: i32, database: &TestDatabase) -> Option<String> {
    let client = format!(":{port:04X}");
    let server = format!(":{:04X}", database.options().get_port());
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    table.lines().find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let (local, remote) = (columns.next()?, columns.next()?);
        let state = columns.next()?;
        (local.ends_with(&client) && remote.ends_with(&server)).then(|| state.to_owned())
    })
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_session_that_does_not_answer_is_lost_within_both_times_and_its_socket_closed() {
    let (quiet, answer) = (Duration::from_millis(400), Duration::from_millis(400));
    let (_server, database) = server().await;
    let mut listener = with_heartbeat(&database, quiet, answer).await;
    for round in 1..=3 {
        let pid = the_backend(&database).await;
        let port: i32 =
            sqlx::query_scalar("select client_port from pg_stat_activity where pid = $1")
                .bind(pid)
                .fetch_one(database.pool())
                .await
                .unwrap();
        assert_eq!(state_of_socket(port, &database).as_deref(), Some("01"));
        let mut status = listener.status();
        signal("-STOP", pid);
        let stopped = Instant::now();
        let lost = tokio::time::timeout(
            SOON,
            status.wait_for(|status| *status != ListenerStatus::Connected),
        );
        let lost = *lost.await.expect("noticed").unwrap();
        let noticed = stopped.elapsed();
        assert!(
            noticed < quiet + answer + Duration::from_secs(1),
            "{noticed:?}"
        );
        assert!(
            matches!(
                lost,
                ListenerStatus::Reconnecting {
                    reason: ListenerErrorKind::Timeout,
                    ..
                }
            ),
            "{lost:?}"
        );
        // The server has not moved yet, and nothing of the session is left here all the same.
        assert_ne!(state_of_socket(port, &database).as_deref(), Some("01"));
        let (reason, _) = gap(&mut listener).await;
        assert_eq!(reason, ResumeReason::Reconnected);
        send(&database, "orders_queue").await;
        assert_eq!(next_message(&mut listener).await, ("orders".into(), round));
        signal("-CONT", pid);
        eventually(SOON, || async { !backends(&database).await.contains(&pid) }).await;
    }
    assert_eq!(listener.stats().gaps, 3);
}

#[tokio::test]
async fn a_session_that_is_slow_to_answer_lives() {
    let quiet = Duration::from_millis(200);
    let (_server, database) = server().await;
    let mut listener = with_heartbeat(&database, quiet, SOON).await;
    let pid = the_backend(&database).await;
    // Long enough for several looks, and for a change of subscriptions in the middle of it.
    for _ in 0..3 {
        signal("-STOP", pid);
        tokio::time::sleep(quiet + Duration::from_millis(900)).await;
        let listening = listener.listen_message_ready_for_namespace("billing");
        let going_on = async {
            tokio::time::sleep(quiet).await;
            signal("-CONT", pid);
        };
        tokio::join!(listening, going_on).0.unwrap();
        listener
            .unlisten_message_ready_for_namespace("billing")
            .await
            .unwrap();
        let id = send(&database, "orders_queue").await;
        assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
    }
    eventually(SOON, || async { listener.stats().round_trip }).await;
    assert_eq!(listener.stats().gaps, 0);
}

#[tokio::test]
async fn a_session_that_hears_something_is_not_asked() {
    let quiet = Duration::from_secs(1);
    let (_server, database) = server().await;
    let mut listener = with_heartbeat(&database, quiet, SOON).await;
    let start = Instant::now();
    while start.elapsed() < 3 * quiet {
        let id = send(&database, "orders_queue").await;
        assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
        tokio::time::sleep(quiet / 20).await;
    }
    assert_eq!(listener.stats().round_trip, None);
    eventually(SOON, || async { listener.stats().round_trip }).await;
}
