//! Messages that become visible later are started then, and nobody polls meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use pgmq_notify_client::{HandlerError, Message};
use pgmq_notify_tests::{Pgmq, Server, Settings};

use super::*;

/// 1,000 messages become due within this time.
const SPREAD_MICROS: u64 = 20_000_000;

/// The transactions of a database so far: each statement of the consumer is one.
async fn transactions(database: &TestDatabase) -> i64 {
    sqlx::query_scalar(
        "select xact_commit + xact_rollback from pg_stat_database where datname = current_database()",
    )
    .fetch_one(database.pool())
    .await
    .unwrap()
}

/// When each message was due, and when its handler was entered, by the clock of this machine.
type Starts = Arc<Mutex<Vec<(i64, SystemTime)>>>;

async fn recording(client: &PgmqNotifyClient, starts: &Starts) -> Consumer {
    let starts = Arc::clone(starts);
    let handler = move |_: Message<u32>, claim: Claim| {
        let entered = SystemTime::now();
        starts.lock().unwrap().push((claim.msg_id(), entered));
        async { Ok::<(), HandlerError>(()) }
    };
    Consumer::builder(client.clone())
        .concurrency(32)
        .queue("orders_queue", handler)
        .start()
        .await
        .unwrap()
}

/// How late each message was started, in milliseconds, in ascending order.
fn lateness(starts: &Starts, due: &HashMap<i64, SystemTime>) -> Vec<f64> {
    let mut late: Vec<f64> = starts
        .lock()
        .unwrap()
        .iter()
        .map(|(id, entered)| match entered.duration_since(due[id]) {
            Ok(late) => late.as_secs_f64() * 1e3,
            Err(early) => -early.duration().as_secs_f64() * 1e3,
        })
        .collect();
    late.sort_by(f64::total_cmp);
    late
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delayed_message_and_an_expired_claim_are_started_when_they_are_due_without_a_poll() {
    // A vacuum would be among the transactions that are counted.
    let server = Server::start(Settings::new().set("autovacuum", "off"))
        .await
        .unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    let config = PgmqNotifyConfig::new();
    database.migrate(&config).await;
    let client = client_of(&database, config);
    client.create_queue("orders_queue").await.unwrap();
    let mut chance = fastrand::Rng::with_seed(20_261_123);

    // Claimed by somebody who never comes back.
    let mut due = HashMap::new();
    let claimed = client.send_batch("orders_queue", 0..200_u32).await.unwrap();
    for (part, vt) in claimed.chunks(25).zip(3..) {
        let vt = Duration::from_secs(vt);
        let claimed = client.read_by_ids::<u32>("orders_queue", part, vt);
        for message in claimed.await.unwrap() {
            let message = message.unwrap();
            due.insert(message.msg_id, message.visible_at);
        }
    }
    let entered = Starts::default();
    let consumer = recording(&client, &entered).await;
    let before = transactions(&database).await;
    // The last of them is sent before the first is due.
    let first = SystemTime::now() + Duration::from_secs(3);
    for n in 0..1_000_u32 {
        let at = first + Duration::from_micros(chance.u64(0..SPREAD_MICROS));
        let id = client.send("orders_queue", &n).delay(at).await.unwrap();
        due.insert(id, at);
    }
    until(&consumer, |it| it.done >= 1_200).await;
    let late = lateness(&entered, &due);
    assert_eq!(late.len(), 1_200, "each once");
    assert!(late[0] > -1.0, "one was started {} ms early", -late[0]);
    let p99 = late[late.len() * 99 / 100];
    let stats = consumer.stats();
    let claims = stats.claims;
    println!(
        "late by {:.1} ms in the middle, {p99:.1} ms at the 99th percentile, {:.1} ms at most; {claims} claims, {} of them empty",
        late[late.len() / 2],
        late[late.len() - 1],
        stats.empty_claims,
    );
    // On a machine of its own 20 ms at the 99th percentile; here other tests run at the same time.
    assert!(
        late[late.len() / 2] < 20.0,
        "late by {} ms",
        late[late.len() / 2]
    );
    assert!(p99 < 100.0, "late by {p99} ms at the 99th percentile");
    // A look for each time at which something becomes due, and few that come too early.
    assert!(claims <= 1_300, "{claims} claims: {stats:?}");
    consumer.shutdown().await;
    // What the server has counted: the sends and their delivery to the listening backend, which is a
    // transaction too; the looks; and at most one settlement for each message.
    let most = 2 * 1_000 + i64::try_from(claims).unwrap() + 1_200 + 100;
    eventually(SOON, || async {
        let counted = transactions(&database).await - before;
        if counted > 1_000 {
            Ok(counted)
        } else {
            Err(counted)
        }
    })
    .await;
    let counted = transactions(&database).await - before;
    assert!(counted <= most, "{counted} transactions, {claims} claims");
}
