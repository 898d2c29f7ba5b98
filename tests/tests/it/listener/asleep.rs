//! An application that sleeps while the server publishes at full speed. Of memory, Linux says enough.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{self, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent, ResumeReason};
use pgmq_notify_tests::{Pgmq, Server, Settings, TestDatabase, eventually};

use super::{connected_with, create, gap, message, next, next_message, send};

/// Set in the process that has the memory to itself.
const ALONE: &str = "PGMQ_NOTIFY_TEST_ALONE";

/// How many; by default so many that the notification queue would be too full if nobody read it.
const EVENTS: &str = "PGMQ_NOTIFY_TEST_EVENTS";

const BUFFER: usize = 1_000;

/// What one event takes in the buffer: its text has about 450.
const EVENT_BYTES: u64 = 1_000;

/// For everything that is not the buffer: what the socket reads into, a page of the catch-up, this test's own lists, and what the
/// allocator keeps.
const REST_BYTES: u64 = 4 << 20;

/// In one transaction; the server sends none before its end.
const AT_ONCE: u32 = 2_000;

/// So many of them are of messages that are there.
const MESSAGES_AT_ONCE: u32 = 10;

const DRAINED_WITHIN: Duration = Duration::from_mins(2);

#[test]
fn an_application_that_sleeps_costs_a_buffer_and_has_the_right_picture_when_it_wakes() {
    let test = concat!(
        "listener::asleep::",
        "an_application_that_sleeps_costs_a_buffer_and_has_the_right_picture_when_it_wakes"
    );
    if env::var_os(ALONE).is_none() {
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(ALONE, "1")
            .status()
            .unwrap();
        assert!(status.success(), "see above");
        return;
    }
    let events = env::var(EVENTS).map_or(200_000, |it| it.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(sleeps(events));
}

async fn sleeps(events: u32) {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    let config = PgmqNotifyConfig::new();
    database.migrate(&config).await;
    create(&database, "orders_queue").await;
    let mut listener = connected_with(&database, &config, BUFFER).await;
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), 1));

    let before = bytes("VmRSS:");
    let start = Instant::now();
    let bursts = events.div_ceil(AT_ONCE);
    let mut fullest = 0.0_f64;
    for burst in 0..bursts {
        fullest = fullest.max(publish(&database, burst).await);
    }
    let published = start.elapsed();
    let dropped = u64::from(bursts * AT_ONCE) - BUFFER as u64;
    eventually(DRAINED_WITHIN, || async {
        let stats = listener.stats();
        if stats.overflowed_events == dropped {
            Ok(())
        } else {
            Err(stats)
        }
    })
    .await;
    let drained = start.elapsed();
    let grown = bytes("VmHWM:") - before;
    let _ = writeln!(
        io::stderr(),
        "{} events published in {published:.1?} and read in {drained:.1?}, \
         {} kB more of memory, notification queue at most {:.3} % full",
        bursts * AT_ONCE,
        grown / 1024,
        fullest * 100.0,
    );
    assert!(
        grown < BUFFER as u64 * EVENT_BYTES + REST_BYTES,
        "{grown} bytes"
    );
    assert!(fullest < 0.01, "{fullest}");

    for _ in 0..BUFFER {
        next_message(&mut listener).await;
    }
    let (reason, _) = gap(&mut listener).await;
    assert_eq!(reason, ResumeReason::Overflow);
    let waiting: BTreeSet<i64> = sqlx::query_scalar("select msg_id from pgmq.q_orders_queue")
        .fetch_all(database.pool())
        .await
        .unwrap()
        .into_iter()
        .collect();
    let mut told = BTreeSet::new();
    while told != waiting {
        match next(&mut listener).await {
            PgmqNotifyEvent::BatchReady(event) => told.extend(event.msg_ids),
            event => drop(told.insert(message(&event).1)),
        }
        assert!(told.is_subset(&waiting));
    }
    let id = send(&database, "orders_queue").await;
    assert_eq!(next_message(&mut listener).await, ("orders".into(), id));
    let stats = listener.stats();
    assert_eq!((stats.overflows, stats.resumed, stats.gaps), (1, 1, 1));
    assert_eq!((stats.catch_ups, stats.unreadable()), (1, 0));
    let grown = bytes("VmHWM:") - before;
    let _ = writeln!(io::stderr(), "{} kB after the catch-up", grown / 1024);
    assert!(
        grown < BUFFER as u64 * EVENT_BYTES + REST_BYTES,
        "{grown} bytes"
    );
}

/// Publishes as fast as the server can, and returns how full its notification queue is then.
///
/// A few messages, and around them events of messages that are gone: to send a million takes minutes.
async fn publish(database: &TestDatabase, burst: u32) -> f64 {
    let first = u64::from(burst) * u64::from(AT_ONCE) + 1_000_000_000;
    let last = first + u64::from(AT_ONCE - MESSAGES_AT_ONCE) - 1;
    let event = r#"{"event_type":"message_with_payload","queue_name":"orders_queue","namespace":"orders","msg_id":%s,"message":"%s","headers":null,"ready_at":"2026-01-01T00:00:00Z","visible_at":"2026-01-01T00:00:00Z","delay_seconds":0}"#;
    let sql = format!(
        "do $$ declare body text := repeat('x', 200); begin
           perform pgmq.send('orders_queue', '{{}}') from generate_series(1, {MESSAGES_AT_ONCE});
           for id in {first}..{last} loop
             perform pg_notify('pgmq_message_ready.orders', format('{event}', id, body));
           end loop;
         end $$"
    );
    database.run(sql).await.expect("publish a burst");
    sqlx::query_scalar("select pg_notification_queue_usage()")
        .fetch_one(database.pool())
        .await
        .expect("look at the notification queue")
}

/// A line of this process's status, such as `VmRSS:`, in bytes.
fn bytes(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.unwrap_or_else(|| panic!("no {name} in {status}"));
    kilobytes.parse::<u64>().expect("a number") * 1024
}
