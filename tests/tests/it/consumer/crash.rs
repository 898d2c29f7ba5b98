//! Workers that are killed while messages flow.

use std::io::{self, Write as _};
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use super::process::{Settings, Worker};
use super::record::{Handling, Record, assert_all_done};
use super::*;
use crate::variable::variable;

const WORKERS: usize = 3;
/// So many messages a second, as far as the machine allows.
const RATE: u32 = 600;
const BATCH: usize = 30;
/// Much longer than a loaded machine keeps a process from extending its leases.
const TIMEOUT: Duration = Duration::from_secs(5);
/// An acknowledgement that takes longer than this from its handler's end was not on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// `PGMQ_NOTIFY_TEST_MESSAGES` makes it long, `PGMQ_NOTIFY_TEST_SEED` repeats the times of the kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_is_lost_and_only_what_was_in_flight_is_repeated_when_workers_are_killed() {
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let crashed = crash(&database, &client, "acknowledge").await;
    assert_all_done(&crashed.record, &crashed.sent);
    let (mut running, mut longest) = (0, Duration::ZERO);
    for (run, next) in crashed.repeated() {
        crashed.assert_was_killed_before(run, next);
        match run.ended {
            None => running += 1,
            Some(ended) => {
                let killed = crashed.killed(run).unwrap();
                let late = killed.duration_since(ended).unwrap_or_default();
                assert!(late < ON_ITS_WAY, "handled and repeated: {run:?}, {next:?}");
                longest = longest.max(late);
            }
        }
    }
    let repeated = crashed.repeated().len();
    say(&format!(
        "{}; {repeated} repeated: {running} were running at a kill, {} had ended at most {longest:.1?} before",
        crashed.told(),
        repeated - running,
    ));
}

/// As above; what the handlers write is there exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_finished_in_a_handlers_transaction_is_there_exactly_once_when_workers_are_killed()
{
    let (database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    // Without any constraint, so that a second effect would be seen.
    sqlx::query("create table effects (msg_id bigint not null, body bigint not null)")
        .execute(database.pool())
        .await
        .unwrap();
    let crashed = crash(&database, &client, "finish").await;
    let effects: Vec<i64> = sqlx::query_scalar("select msg_id from effects order by msg_id")
        .fetch_all(database.pool())
        .await
        .unwrap();
    assert!(
        effects == crashed.sent,
        "{} effects of {} messages",
        effects.len(),
        crashed.sent.len()
    );
    for (run, next) in crashed.repeated() {
        crashed.assert_was_killed_before(run, next);
        assert_eq!(run.ended, None, "committed and repeated: {run:?}, {next:?}");
    }
    say(&format!(
        "{}; {} repeated, all running at a kill; {} effects",
        crashed.told(),
        crashed.repeated().len(),
        effects.len(),
    ));
}

/// What happened.
struct Crashed {
    record: Record,
    /// In the order of their ids.
    sent: Vec<i64>,
    /// When each worker was killed; those that were not are missing.
    kills: Vec<(usize, SystemTime, SystemTime)>,
    lasted: Duration,
}

impl Crashed {
    fn repeated(&self) -> Vec<(Handling, Handling)> {
        self.record.repeated()
    }

    fn killed(&self, run: Handling) -> Option<SystemTime> {
        let kill = self.kills.iter().find(|(it, ..)| *it == run.worker)?;
        Some(kill.1)
    }

    #[track_caller]
    fn assert_was_killed_before(&self, run: Handling, next: Handling) {
        let killed = self.killed(run);
        assert!(
            killed.is_some_and(|at| run.begun < at + ON_ITS_WAY && at < next.begun),
            "no kill explains it, {killed:?}: {run:?}, {next:?}"
        );
    }

    fn told(&self) -> String {
        format!(
            "{} messages, {} kills in {:.1?}",
            self.sent.len(),
            self.kills.len(),
            self.lasted
        )
    }
}

/// Sends messages to workers of which one is killed about every second, until all are handled.
async fn crash(database: &TestDatabase, client: &PgmqNotifyClient, mode: &'static str) -> Crashed {
    let messages = variable("PGMQ_NOTIFY_TEST_MESSAGES").unwrap_or(2_000);
    let seed = variable("PGMQ_NOTIFY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    say(&format!("kills with the seed {seed}"));
    let settings = Settings {
        mode,
        handlers: 8,
        visibility_timeout: TIMEOUT,
        work: (Duration::ZERO, Duration::from_millis(25)),
    };
    let record = Record::default();
    let start = |number| Worker::start(database, settings, number, &record);
    let mut workers: Vec<(usize, Worker)> = (0..WORKERS).map(|it| (it, start(it))).collect();
    for (_, worker) in &workers {
        worker.ready().await;
    }
    let began = Instant::now();
    let sending = tokio::spawn(send(client.clone(), messages));
    let mut rng = Rng::with_seed(seed);
    let mut kills = Vec::new();
    while !sending.is_finished() {
        sleep(Duration::from_millis(rng.u64(500..1_500))).await;
        let place = rng.usize(..WORKERS);
        let number = WORKERS + kills.len();
        let (killed, worker) = std::mem::replace(&mut workers[place], (number, start(number)));
        let before = SystemTime::now();
        kills.push((killed, before, worker.kill()));
    }
    let sent = sending.await.unwrap();
    eventually(Duration::from_mins(2), || async {
        match waiting(client, "orders_queue").await {
            0 => Ok(()),
            left => Err(left),
        }
    })
    .await;
    let lasted = began.elapsed();
    let mut done = 0;
    for (number, worker) in workers {
        let said = worker.leave().await;
        let (settled, lost, unsettled) = said.stats.expect("it took leave");
        assert_eq!((lost, unsettled), (0, 0), "worker {number}");
        done += settled;
    }
    assert!(done <= sent.len() as u64, "{done} of {}", sent.len());
    // None was moved instead.
    let queues: i64 = sqlx::query_scalar("select count(*) from pgmq.meta")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(queues, 1);
    Crashed {
        record,
        sent,
        kills,
        lasted,
    }
}

/// Returns the ids in their order.
async fn send(client: PgmqNotifyClient, messages: usize) -> Vec<i64> {
    let began = Instant::now();
    let mut sent = Vec::with_capacity(messages);
    while sent.len() < messages {
        let bodies = sent.len()..(sent.len() + BATCH).min(messages);
        let at = Duration::from_secs(bodies.start as u64) / RATE;
        sleep_until(began + at).await;
        sent.extend(client.send_batch("orders_queue", bodies).await.unwrap());
    }
    sent
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
