//! Nothing is lost, and only what was in flight is repeated, whatever strikes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::time::{Instant, SystemTime};

use pgmq_notify_client::{HandlerError, Message, ShutdownReport, Source};
use pgmq_notify_tests::{Chaos, Pgmq, Proxy, Server, Settings};
use sqlx::postgres::PgPoolOptions;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::record::{Handling, Record, assert_all_done};
use super::*;
use crate::variable::variable;

/// After the end of a fault, for the next one.
const CALM: Duration = Duration::from_millis(1_500);
const TIMEOUT: Duration = Duration::from_secs(3);
/// An acknowledgement gathers for 2 ms and takes a round trip, on a machine that does other things too.
const ON_ITS_WAY: Duration = Duration::from_millis(300);
/// Until a consumer that could connect again has got on with what it held.
const RECOVERY: Duration = Duration::from_millis(500);

/// More than are needed for what is sent, so that what waited for the end of a fault is made up for.
const HANDLERS: u32 = 16;

/// When something struck, by the clock of the record.
type Strike = (SystemTime, SystemTime);

/// What handlers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Acknowledge,
    /// Write a row and finish in the same transaction, on a connection that is struck as well.
    Finish,
}

impl Mode {
    /// Bounds half the time that the work takes, in milliseconds.
    fn half(self) -> u64 {
        match self {
            Self::Acknowledge => 20,
            Self::Finish => 5,
        }
    }
}

/// `PGMQ_NOTIFY_TEST_CHAOS_SECONDS` makes it long, `PGMQ_NOTIFY_TEST_SEED` repeats one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_is_lost_and_only_what_was_in_flight_is_repeated_whatever_strikes() {
    let struck = strike(Mode::Acknowledge).await;
    let (record, strikes) = (&struck.record, &struck.strikes);
    assert_all_done(record, &struck.sent);
    let stats = &struck.report.stats;
    assert_eq!(stats.retried, 0, "{stats:?}");
    for (run, next) in record.repeated() {
        assert!(
            strikes.iter().any(|it| was_in_flight(&run, it)),
            "nothing struck: {run:?}, {next:?}"
        );
    }
    let runs = record.runs();
    let in_flight = |run: &&Handling| strikes.iter().any(|it| was_in_flight(run, it));
    struck.print(&format!(
        "{} repeated of {} that were in flight at a fault",
        record.repeated().len(),
        runs.iter().filter(in_flight).count(),
    ));
}

/// As above; what the handlers write is there exactly once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_finished_in_a_handlers_transaction_is_there_exactly_once_whatever_strikes() {
    let struck = strike(Mode::Finish).await;
    let effects: Vec<i64> = sqlx::query_scalar("select msg_id from effects")
        .fetch_all(struck.database.pool())
        .await
        .unwrap();
    let once: BTreeSet<i64> = effects.iter().copied().collect();
    assert_eq!(once.len(), effects.len(), "some effects are there twice");
    let lost: Vec<&i64> = struck.sent.iter().filter(|it| !once.contains(it)).collect();
    assert!(lost.is_empty(), "without effect: {lost:?}");
    struck.print(&format!(
        "{} effects of {} runs",
        effects.len(),
        struck.record.len()
    ));
}

struct Struck {
    database: TestDatabase,
    record: Record,
    sent: Vec<i64>,
    strikes: Vec<Strike>,
    kinds: BTreeMap<String, u32>,
    report: ShutdownReport,
    lasted: Duration,
}

impl Struck {
    fn print(&self, what: &str) {
        let stats = &self.report.stats;
        let _ = writeln!(
            io::stderr(),
            "{} messages, {} faults {:?} in {:.1?}: {what}; {} retried, {} leases expired, {} lost, {} unsettled",
            self.sent.len(),
            self.strikes.len(),
            self.kinds,
            self.lasted,
            stats.retried,
            stats.expired,
            stats.lost,
            stats.unsettled,
        );
    }
}

/// Strikes at a consumer to which messages flow, and waits until it has handled them.
async fn strike(mode: Mode) -> Struck {
    let lasts = Duration::from_secs(variable("PGMQ_NOTIFY_TEST_CHAOS_SECONDS").unwrap_or(6));
    let seed = variable("PGMQ_NOTIFY_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let server = Server::start(Settings::new()).await.unwrap();
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config).await;
    let client = client_of(&database, config.clone());
    client.create_queue("orders_queue").await.unwrap();
    // Without any constraint, so that a second effect would be seen.
    sqlx::query("create table effects (msg_id bigint not null)")
        .execute(database.pool())
        .await
        .unwrap();
    let proxy = Proxy::before(&server);
    let options = proxy.options(&database).application_name("chaos");
    let pool = PgPoolOptions::new()
        .max_connections(HANDLERS)
        .connect_lazy_with(options);
    let record = Record::default();
    let through = PgmqNotifyClient::with_pool(pool, config).unwrap();
    let consumer = consuming(through, mode, record.clone()).await;

    let began = Instant::now();
    let sending = tokio::spawn(send(client.clone(), began + lasts));
    let mut chaos = Chaos::with_seed(seed, &server, &proxy, "pgmq-notify-consumer chaos");
    let (mut strikes, mut kinds) = (Vec::new(), BTreeMap::new());
    while began.elapsed() < lasts {
        sleep(CALM).await;
        let from = SystemTime::now();
        let struck = chaos.strike().await;
        strikes.push((from, SystemTime::now()));
        *kinds.entry(format!("{:?}", struck.fault)).or_default() += 1;
    }
    let sent = sending.await.unwrap();
    eventually(Duration::from_mins(1), || async {
        match client.metrics("orders_queue").await {
            Ok(it) if it.length == 0 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    until(&consumer, |it| it.in_flight == 0).await;
    let lasted = began.elapsed();
    let report = consumer.shutdown().await;
    assert_eq!((report.stats.dead, report.unsettled), (0, 0), "{report:?}");
    Struck {
        database,
        record,
        sent,
        strikes,
        kinds,
        report,
        lasted,
    }
}

async fn consuming(client: PgmqNotifyClient, mode: Mode, record: Record) -> Consumer {
    let pool = client.pool().clone();
    let source = Source::queue("orders_queue").with_visibility_timeout(TIMEOUT);
    Consumer::builder(client)
        .concurrency(HANDLERS as usize)
        .heartbeat(Duration::from_secs(1), Duration::from_secs(1))
        .source(source, move |_: Message<u64>, claim: Claim| {
            let (record, pool) = (record.clone(), pool.clone());
            async move {
                let run = record.begin(&claim);
                let work = Duration::from_millis(fastrand::u64(..mode.half()));
                if mode == Mode::Finish {
                    let mut transaction = pool.begin().await?;
                    sqlx::query("insert into effects values ($1)")
                        .bind(claim.msg_id())
                        .execute(&mut *transaction)
                        .await?;
                    sleep(work).await;
                    claim.finish(&mut transaction).await?;
                    sleep(work).await;
                    transaction.commit().await?;
                } else {
                    sleep(2 * work).await;
                }
                record.end(run, SystemTime::now());
                Ok::<(), HandlerError>(())
            }
        })
        .start()
        .await
        .unwrap()
}

/// Its claim, its run or its acknowledgement met the fault.
fn was_in_flight(run: &Handling, (from, healed): &Strike) -> bool {
    run.begun < *healed + RECOVERY && run.ended.is_none_or(|ended| ended + ON_ITS_WAY > *from)
}

/// About 200 a second; returns those that the server said it has.
async fn send(client: PgmqNotifyClient, until: Instant) -> Vec<i64> {
    let mut ticks = interval(Duration::from_millis(50));
    // What a server that was away did not get is not made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut sent = Vec::new();
    while Instant::now() < until {
        ticks.tick().await;
        // Whether one that failed was sent does not matter: then it is handled as well.
        if let Ok(ids) = client.send_batch("orders_queue", 0..10).await {
            sent.extend(ids);
        }
    }
    sent
}
