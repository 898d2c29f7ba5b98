//! Consumers that crash, are stopped, or lose their connection, and servers that do.

use pgmq_notify_tests::{Pgmq, Server, Settings as ServerSettings, Stop};
use sqlx::postgres::PgPoolOptions;
use tokio::time::sleep;

use super::super::process::{Settings, Worker};
use super::super::record::Record;
use super::*;

/// How long a row is valid.
const LEASE: Duration = Duration::from_secs(15);
/// After so much silence the server ends a session that attends.
const SILENT: Duration = Duration::from_secs(2);

const WORKER: Settings = Settings {
    mode: "acknowledge",
    handlers: 16,
    visibility_timeout: Duration::from_secs(5),
    work: (Duration::ZERO, Duration::ZERO),
};

fn worker(database: &TestDatabase, record: &Record) -> Worker {
    Worker::start(database, WORKER, 0, record)
}

/// Whether a sender would notify somebody.
async fn would_notify(database: &TestDatabase) -> bool {
    sqlx::query_scalar("select pgmq_notify.wakes('q_orders_queue') is not null")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

/// Waits until nobody would be notified; how long that took.
async fn until_nobody_is_notified(database: &TestDatabase) -> Duration {
    let begin = Instant::now();
    eventually(LEASE * 2, async || {
        if would_notify(database).await {
            Err(())
        } else {
            Ok(())
        }
    })
    .await;
    begin.elapsed()
}

#[tokio::test]
async fn senders_are_as_quick_as_ever_one_lease_after_a_sleeping_consumer_was_killed() {
    let (database, client) = orders().await;
    let record = Record::default();
    let worker = worker(&database, &record);
    worker.ready().await;
    client.send("orders_queue", &1_u64).await.unwrap();
    eventually(SOON, || async { record.len() == 1 }).await;
    assert!(would_notify(&database).await);
    worker.kill();
    let took = until_nobody_is_notified(&database).await;
    assert!(took <= LEASE + Duration::from_secs(1), "{took:?}");
    // Its successor finds what was sent meanwhile.
    client.send("orders_queue", &2_u64).await.unwrap();
    let worker = Worker::start(&database, WORKER, 1, &record);
    worker.ready().await;
    // And the first one again, if the kill came before its acknowledgement.
    eventually(SOON, || async { record.len() >= 2 }).await;
}

#[tokio::test]
async fn one_that_was_stopped_past_its_lease_looks_first_when_it_goes_on() {
    let (database, client) = orders().await;
    let record = Record::default();
    let worker = worker(&database, &record);
    worker.ready().await;
    worker.stop();
    let took = until_nobody_is_notified(&database).await;
    assert!(took <= LEASE + Duration::from_secs(1), "{took:?}");
    client.send("orders_queue", &1_u64).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(record.len(), 0);
    worker.go_on();
    eventually(SOON, || async { record.len() == 1 }).await;
    eventually(SOON, || async { would_notify(&database).await }).await;
    client.send("orders_queue", &2_u64).await.unwrap();
    eventually(SOON, || async { record.len() == 2 }).await;
}

/// A stream of messages, until it is dropped.
struct Stream {
    sent: Arc<AtomicU64>,
    _sending: tokio::task::JoinSet<()>,
}

fn stream(client: &PgmqNotifyClient) -> Stream {
    let sent = Arc::new(AtomicU64::new(0));
    let mut sending = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (client, sent) = (client.clone(), Arc::clone(&sent));
        sending.spawn(async move {
            loop {
                client.send("orders_queue", &1_u64).await.unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    Stream {
        sent,
        _sending: sending,
    }
}

async fn until_attended(database: &TestDatabase, sessions: i64) -> Duration {
    let begin = Instant::now();
    eventually(SOON, async || match attending(database).await {
        it if it == sessions => Ok(()),
        other => Err(other),
    })
    .await;
    begin.elapsed()
}

/// How many are visible and wait for somebody.
async fn visible(database: &TestDatabase) -> i64 {
    sqlx::query_scalar("select count(*) from pgmq.q_orders_queue where vt <= clock_timestamp()")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

/// `stop` keeps the worker, or not.
async fn taken_over<T>(stop: impl FnOnce(Worker) -> T) {
    let (database, client) = orders().await;
    let record = Record::default();
    let worker = worker(&database, &record);
    worker.ready().await;
    let stream = stream(&client);
    until_attended(&database, 1).await;
    // Started now it sleeps, for the worker attends to all.
    let other = Consumer::builder(client.clone())
        .safety_poll(NEVER)
        .queue("orders_queue", async |_: Message<u64>, _: Claim| {
            Ok::<(), HandlerError>(())
        })
        .start()
        .await
        .unwrap();
    let before = other.stats().done;
    let stopped = Instant::now();
    let _kept = stop(worker);
    until(&other, |it| it.done > before + 100).await;
    let took = stopped.elapsed();
    assert!(took < SILENT + Duration::from_secs(3), "{took:?}");
    assert!(stream.sent.load(Ordering::Relaxed) > 0);
    drop(stream);
    // What the worker held comes back when its time is over.
    eventually(SOON, async || match visible(&database).await {
        0 => Ok(()),
        other => Err(other),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_takes_over_from_one_that_attends_and_is_killed() {
    taken_over(Worker::kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_takes_over_from_one_that_attends_and_is_stopped() {
    taken_over(|worker| {
        worker.stop();
        worker
    })
    .await;
}

#[tokio::test]
async fn one_that_loses_its_connections_parks_again_and_misses_nothing() {
    let (database, client) = orders().await;
    let consumer = Consumer::builder(client.clone())
        .safety_poll(NEVER)
        .queue("orders_queue", ok)
        .start()
        .await
        .unwrap();
    let mut done = 0;
    for application in ["pgmq-notify-consumer", "pgmq-notify-listener", "%"] {
        let ended: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and application_name like $1 || '%'
              and pid <> pg_backend_pid()",
        )
        .bind(application)
        .fetch_one(database.pool())
        .await
        .unwrap();
        assert!(ended > 0, "{application}");
        for _ in 0..5 {
            done += 1;
            // The pool notices one by one that its connections are gone.
            eventually(SOON, || async { client.send("orders_queue", &1).await }).await;
            until(&consumer, |it| it.done == done).await;
        }
    }
    assert_eq!(parked(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_crash_of_the_server_it_parks_again_and_goes_on() {
    let server = Server::start(ServerSettings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&config()).await;
    let client = client_of(&database, config());
    client.create_queue("orders_queue").await.unwrap();
    let consumer = Consumer::builder(client.clone())
        .safety_poll(NEVER)
        .queue("orders_queue", ok)
        .start()
        .await
        .unwrap();
    for round in 1..=3 {
        server.stop(Stop::Immediate).await.unwrap();
        server.start_again().await.unwrap();
        // Before the consumer is there again, perhaps: it looks.
        eventually(SOON, || async { client.send("orders_queue", &1).await }).await;
        until(&consumer, |it| it.done >= 2 * round - 1).await;
        eventually(SOON, || async { parked(&database).await == 1 }).await;
        client.send("orders_queue", &1).await.unwrap();
        until(&consumer, |it| it.done >= 2 * round).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_to_a_promoted_standby_parks_there_and_goes_on() {
    let primary = Server::start(ServerSettings::new()).await.unwrap();
    let database = TestDatabase::on(&primary, Pgmq::V1_13).await;
    database.migrate(&config()).await;
    let client = client_of(&database, config());
    client.create_queue("orders_queue").await.unwrap();
    let standby = primary.standby().await.unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(database.options());
    let through = PgmqNotifyClient::with_pool(pool.clone(), config()).unwrap();
    let consumer = Consumer::builder(through.clone())
        .safety_poll(NEVER)
        .queue("orders_queue", ok)
        .start()
        .await
        .unwrap();
    client.send("orders_queue", &1).await.unwrap();
    until(&consumer, |it| it.done == 1).await;
    standby.catch_up_with(&primary).await.unwrap();
    primary.kill().await.unwrap();
    standby.promote().await.unwrap();
    pool.set_connect_options(standby.options(database.name()));
    eventually(SOON, || async { through.send("orders_queue", &1).await }).await;
    until(&consumer, |it| it.done >= 2).await;
    eventually(SOON, || async {
        let parked: i64 = sqlx::query_scalar("select count(*) from pgmq_notify.parked")
            .fetch_one(through.pool())
            .await?;
        Ok::<bool, sqlx::Error>(parked == 1)
    })
    .await;
    through.send("orders_queue", &1).await.unwrap();
    until(&consumer, |it| it.done >= 3).await;
}
