//! No wake-up is lost, however long senders take and however they send.
//!
//! Rounds of transactions with pauses inside, so that consumers go to sleep while senders are on the way. After each
//! round there is silence: a message that nobody was told of stays where it is, and nothing else would find it.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use fastrand::Rng;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::time::sleep;

use super::*;
use crate::variable::variable;

const SENDERS: u64 = 8;
/// A message that was not started this long after its round is lost.
const LOST: Duration = Duration::from_secs(3);

/// What befell each message, by its number.
#[derive(Default)]
struct Record(Mutex<Vec<Fate>>);

#[derive(Clone, Copy, Default)]
struct Fate {
    /// When its commit had returned.
    committed: Option<Instant>,
    started: Option<Instant>,
}

impl Record {
    fn number(&self) -> usize {
        let mut fates = self.0.lock().unwrap();
        fates.push(Fate::default());
        fates.len() - 1
    }

    fn committed(&self, numbers: &[usize]) {
        let now = Instant::now();
        let mut fates = self.0.lock().unwrap();
        for number in numbers {
            fates[*number].committed = Some(now);
        }
    }

    fn started(&self, number: usize) {
        let now = Instant::now();
        let mut fates = self.0.lock().unwrap();
        fates[number].started.get_or_insert(now);
    }

    /// From `first` on: those that were committed and not started.
    fn waiting(&self, first: usize) -> usize {
        let fates = self.0.lock().unwrap();
        let waits = |it: &&Fate| it.committed.is_some() && it.started.is_none();
        fates[first..].iter().filter(waits).count()
    }

    fn sent(&self) -> usize {
        let fates = self.0.lock().unwrap();
        fates.iter().filter(|it| it.committed.is_some()).count()
    }

    fn waits(&self) -> Vec<Duration> {
        let fates = self.0.lock().unwrap();
        let wait = |it: &Fate| Some(it.started?.saturating_duration_since(it.committed?));
        let mut waits: Vec<Duration> = fates.iter().filter_map(wait).collect();
        waits.sort_unstable();
        waits
    }
}

/// How often a transaction ended in which way.
#[derive(Debug, Default)]
struct Ends {
    committed: AtomicUsize,
    rolled_back: AtomicUsize,
    prepared: AtomicUsize,
    /// Somebody slept: PostgreSQL prepares no transaction that has notified.
    not_prepared: AtomicUsize,
    conflicts: AtomicUsize,
}

struct Sender<'a> {
    connection: PgConnection,
    rng: Rng,
    name: String,
    record: &'a Record,
    ends: &'a Ends,
}

impl Sender<'_> {
    async fn pause(&mut self) {
        // Mostly about as long as a consumer has patience.
        let micros = match self.rng.u8(..4) {
            0 => 0,
            1 => self.rng.u64(..5_000),
            _ => self.rng.u64(..50_000),
        };
        if micros > 0 {
            sleep(Duration::from_micros(micros)).await;
        }
    }

    async fn say(&mut self, sql: impl Into<String>) -> Result<(), sqlx::Error> {
        let sql: String = sql.into();
        self.connection.execute(AssertSqlSafe(sql)).await.map(drop)
    }

    /// One transaction: its messages, if it was committed.
    async fn transaction(&mut self, most: usize) -> Result<(), sqlx::Error> {
        let level = ["read committed", "repeatable read", "serializable"][self.rng.usize(..3)];
        self.say(format!("begin isolation level {level}")).await?;
        // The snapshot is that of the first statement.
        if self.rng.bool() {
            self.say("select count(*) from pgmq.meta").await?;
            self.pause().await;
        }
        let mut numbers = Vec::new();
        for step in 0..self.rng.usize(1..4) {
            let is_undone = self.rng.u8(..5) == 0;
            if is_undone || self.rng.bool() {
                self.say(format!("savepoint s{step}")).await?;
            }
            let count = self.rng.usize(1..=most);
            let own: Vec<usize> = (0..count).map(|_| self.record.number()).collect();
            let bodies: Vec<String> = own.iter().map(|it| format!("'{it}'::jsonb")).collect();
            if count == 1 {
                self.say(format!("select pgmq.send('orders_queue', {})", bodies[0]))
                    .await?;
            } else {
                let bodies = bodies.join(",");
                self.say(format!(
                    "select pgmq.send_batch('orders_queue', array[{bodies}])"
                ))
                .await?;
            }
            self.pause().await;
            if is_undone {
                self.say(format!("rollback to savepoint s{step}")).await?;
                self.pause().await;
            } else {
                numbers.extend(own);
            }
        }
        let count = |it: &AtomicUsize| it.fetch_add(1, Ordering::Relaxed);
        match self.rng.u8(..10) {
            0 => {
                self.say("rollback").await?;
                count(&self.ends.rolled_back);
            }
            1 | 2 => {
                let name = self.name.clone();
                if self
                    .say(format!("prepare transaction '{name}'"))
                    .await
                    .is_err()
                {
                    count(&self.ends.not_prepared);
                    return Ok(());
                }
                self.pause().await;
                self.say(format!("commit prepared '{name}'")).await?;
                self.record.committed(&numbers);
                count(&self.ends.prepared);
            }
            _ => {
                self.say("commit").await?;
                self.record.committed(&numbers);
                count(&self.ends.committed);
            }
        }
        Ok(())
    }

    async fn send(&mut self, transactions: usize, most: usize) {
        for _ in 0..transactions {
            self.pause().await;
            if let Err(error) = self.transaction(most).await {
                // Serializable transactions may fail; then nothing was sent.
                let code = error
                    .as_database_error()
                    .and_then(sqlx::error::DatabaseError::code);
                assert_eq!(code.as_deref(), Some("40001"), "{error:?}");
                self.say("rollback").await.unwrap();
                self.ends.conflicts.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What a run came to.
#[derive(Default)]
struct Run {
    record: Record,
    ends: Ends,
    lost: usize,
    /// What the database knew of the consumers when it was.
    known: String,
    rounds: usize,
    stats: Vec<ConsumerStats>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = self.record.waits();
        let at = |part: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "an index below the length"
            )]
            waits.get((waits.len() as f64 * part) as usize)
        };
        write!(
            f,
            "{} rounds, {} messages, {} lost {}; waited {:.1?} in the middle, {:.1?} at the 99th percentile, {:.1?} at most; {:?}; {:?}",
            self.rounds,
            self.record.sent(),
            self.lost,
            self.known,
            at(0.5).copied().unwrap_or_default(),
            at(0.99).copied().unwrap_or_default(),
            waits.last().copied().unwrap_or_default(),
            self.ends,
            self.stats,
        )
    }
}

/// Sends until so many messages are sent, or one is lost.
async fn run(database: &TestDatabase, messages: usize, consumers: usize, seed: u64) -> Arc<Run> {
    let client = client_of(database, config());
    let mut run = Run::default();
    let record = Arc::new(Record::default());
    let mut all = Vec::new();
    for _ in 0..consumers {
        let record = Arc::clone(&record);
        let handler = move |message: Message<usize>, _: Claim| {
            let record = Arc::clone(&record);
            async move {
                record.started(message.body);
                Ok::<(), HandlerError>(())
            }
        };
        let consumer = Consumer::builder(client.clone())
            .safety_poll(NEVER)
            .concurrency(64)
            .queue("orders_queue", handler)
            .start();
        all.push(consumer.await.unwrap());
    }
    let mut senders = Vec::new();
    for number in 0..SENDERS {
        senders.push(Sender {
            connection: PgConnection::connect_with(&database.options())
                .await
                .unwrap(),
            rng: Rng::with_seed(seed.wrapping_mul(SENDERS) + number),
            name: format!("{}-{number}", database.name()),
            record: &record,
            ends: &run.ends,
        });
    }
    let mut rng = Rng::with_seed(seed);
    let most = if messages > 100_000 { 60 } else { 10 };
    while record.sent() < messages && run.lost == 0 {
        run.rounds += 1;
        let first = record.0.lock().unwrap().len();
        let transactions = rng.usize(1..4);
        let round = senders.iter_mut().map(|it| it.send(transactions, most));
        futures_util::future::join_all(round).await;
        let end = Instant::now() + LOST;
        while record.waiting(first) > 0 && Instant::now() < end {
            sleep(Duration::from_millis(2)).await;
        }
        run.lost = record.waiting(first);
        if run.lost > 0 {
            run.known = known(database).await;
        }
        // Some rounds find everybody asleep, some do not.
        sleep(Duration::from_micros(rng.u64(..60_000))).await;
    }
    drop(senders);
    for consumer in all {
        run.stats.push(consumer.shutdown().await.stats);
    }
    run.record = Arc::into_inner(record).expect("no handler runs any more");
    Arc::new(run)
}

/// Who is parked, and which sessions attend.
async fn known(database: &TestDatabase) -> String {
    let known: String = sqlx::query_scalar(
        "select jsonb_build_object(
          'parked', (select jsonb_agg(p) from pgmq_notify.parked p),
          'locks', (
            select jsonb_agg(jsonb_build_object('mode', l.mode, 'granted', l.granted, 'session', a))
            from pg_locks l join pg_stat_activity a using (pid)
            where l.locktype = 'advisory'
          ),
          'now', clock_timestamp()
        )::text",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    known
}

fn seed() -> u64 {
    variable("PGMQ_NOTIFY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..1 << 32))
}

/// `PGMQ_NOTIFY_TEST_MESSAGES` makes it long, `PGMQ_NOTIFY_TEST_SEED` draws the same transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_is_lost_at_any_isolation_level_with_savepoints_rollbacks_and_prepared_transactions() {
    let messages = variable("PGMQ_NOTIFY_TEST_MESSAGES").unwrap_or(6_000);
    let seed = seed();
    let (database, _client) = orders().await;
    let run = run(&database, messages, 2, seed).await;
    eprintln!("seed {seed}: {run}");
    assert_eq!(run.lost, 0, "seed {seed}: {run}");
    assert!(run.ends.prepared.load(Ordering::Relaxed) > 0, "{run}");
    assert!(run.ends.not_prepared.load(Ordering::Relaxed) > 0, "{run}");
}

/// So the test above would notice: the consumers see nobody on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fence_messages_are_lost() {
    let (database, _client) = orders().await;
    database
        .run(
            "set allow_system_table_mods = on;
            create or replace view pg_catalog.pg_locks as
              select * from pg_lock_status() where mode <> 'RowExclusiveLock';",
        )
        .await
        .unwrap();
    let seed = seed();
    let run = run(&database, 200_000, 1, seed).await;
    eprintln!("seed {seed}: {run}");
    assert!(run.lost > 0, "seed {seed}: {run}");
}
