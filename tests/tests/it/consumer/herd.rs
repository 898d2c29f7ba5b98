//! Many consumers of one queue, each with connections of its own, and one message at a time.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "counts of a test are small, and none is negative"
)]

use std::sync::{Arc, Mutex};
use std::time::Instant;

use pgmq_notify_client::{HandlerError, Message, Source};
use pgmq_notify_tests::{Pgmq, Server, Settings};
use tokio::sync::Semaphore;
use tokio::time::sleep_until;

use super::*;

/// Each has five connections.
const CONNECTIONS: &str = "300";

/// Which message was handled by whom, and when.
type Handled = Arc<Mutex<Vec<(u32, usize, Instant)>>>;

/// Messages from here on occupy their handler until there is a permit.
const BLOCKING: u32 = 1_000_000;

async fn herd_of(
    count: usize,
    concurrency: usize,
    database: &TestDatabase,
    gate: &Arc<Semaphore>,
) -> (Vec<Consumer>, Handled) {
    let handled = Handled::default();
    let mut herd = Vec::new();
    for place in 0..count {
        let (handled, gate) = (Arc::clone(&handled), Arc::clone(gate));
        let handle = move |message: Message<u32>, _: Claim| {
            let entered = Instant::now();
            handled.lock().unwrap().push((message.body, place, entered));
            let gate = Arc::clone(&gate);
            async move {
                if message.body >= BLOCKING {
                    gate.acquire().await?.forget();
                }
                Ok::<(), HandlerError>(())
            }
        };
        let consumer = Consumer::builder(client_of(database, PgmqNotifyConfig::new()))
            .concurrency(concurrency)
            .source(Source::queue("orders_queue"), handle)
            .start()
            .await
            .unwrap();
        herd.push(consumer);
    }
    (herd, handled)
}

async fn queue() -> (TestDatabase, PgmqNotifyClient) {
    let settings = Settings::new().set("max_connections", CONNECTIONS);
    let server = Server::start(settings).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    let config = PgmqNotifyConfig::new();
    database.migrate(&config).await;
    let client = client_of(&database, config);
    client.create_queue("orders_queue").await.unwrap();
    (database, client)
}

fn sum(herd: &[Consumer], of: impl Fn(&ConsumerStats) -> u64) -> u64 {
    herd.iter().map(|it| of(&it.stats())).sum()
}

/// Waits until so many messages were handled.
#[track_caller]
fn reach(handled: &Handled, count: usize) -> impl Future<Output = ()> {
    eventually(SOON, move || {
        let seen = handled.lock().unwrap().len();
        async move { if seen >= count { Ok(()) } else { Err(seen) } }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_consumers_share_a_stream_of_messages_for_a_few_claims_each() {
    const MESSAGES: u32 = 600;
    const EVERY: Duration = Duration::from_millis(5);
    let (database, client) = queue().await;
    let gate = Arc::new(Semaphore::new(0));
    let (herd, handled) = herd_of(20, 16, &database, &gate).await;
    for consumer in &herd {
        until(consumer, |it| it.claims == 1).await;
    }
    let begin = Instant::now();
    for n in 0..MESSAGES {
        sleep_until((begin + EVERY * n).into()).await;
        client.send("orders_queue", &n).await.unwrap();
    }
    reach(&handled, MESSAGES as usize).await;
    let seconds = begin.elapsed().as_secs_f64();
    let claims = sum(&herd, |it| it.claims) - 20;
    for consumer in herd {
        consumer.shutdown().await;
    }
    let mut bodies: Vec<u32> = handled.lock().unwrap().iter().map(|it| it.0).collect();
    bodies.sort_unstable();
    assert!(bodies.iter().copied().eq(0..MESSAGES), "not each once");
    // For each message the claim that brought it, and one that its event caused when it was claimed
    // already. Each win halves the losses of its consumer, which has at most three to lose again until
    // it waits for 50 ms; at first there are six. And whoever waits looks 20 times a second.
    let most = f64::from(5 * MESSAGES) + 20.0 * (6.0 + 20.0 * seconds);
    println!(
        "{:.2} claims for a message at {:.0}/s, at most {:.2}",
        claims as f64 / f64::from(MESSAGES),
        f64::from(MESSAGES) / seconds,
        most / f64::from(MESSAGES),
    );
    assert!(claims as f64 <= most, "{claims} claims, at most {most}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_usual_winner_is_busy_others_start_what_comes() {
    let (database, client) = queue().await;
    let gate = Arc::new(Semaphore::new(0));
    let (herd, handled) = herd_of(5, 2, &database, &gate).await;
    // Who wins gets used to it, and the others to losing.
    for n in 0..40 {
        client.send("orders_queue", &n).await.unwrap();
        reach(&handled, n as usize + 1).await;
    }
    let mut late = Vec::new();
    for n in 0..9 {
        // One handler more is occupied, until nine of the ten are.
        let before = handled.lock().unwrap().len();
        client.send("orders_queue", &(BLOCKING + n)).await.unwrap();
        reach(&handled, before + 1).await;
        client.send("orders_queue", &(100 + n)).await.unwrap();
        let sent = Instant::now();
        reach(&handled, before + 2).await;
        let (body, _, entered) = handled.lock().unwrap()[before + 1];
        assert_eq!(body, 100 + n);
        late.push(entered.saturating_duration_since(sent));
    }
    // Those that are occupied, once the others are acknowledged.
    eventually(SOON, || async {
        let in_flight = sum(&herd, |it| it.in_flight);
        if in_flight == 9 {
            Ok(())
        } else {
            Err(in_flight)
        }
    })
    .await;
    println!("started after {late:?}");
    let longest = late.into_iter().max().unwrap();
    // 50 ms, and what a busy machine needs. The safety poll would come after 30 seconds.
    assert!(longest < Duration::from_millis(500), "after {longest:?}");
    gate.add_permits(9);
    for consumer in herd {
        consumer.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_time_that_twenty_consumers_know_is_looked_at_by_few_of_them_at_once() {
    const MESSAGES: u32 = 200;
    const EVERY: Duration = Duration::from_millis(10);
    let (database, client) = queue().await;
    let gate = Arc::new(Semaphore::new(0));
    let (herd, handled) = herd_of(20, 16, &database, &gate).await;
    for consumer in &herd {
        until(consumer, |it| it.claims == 1).await;
    }
    let begin = std::time::SystemTime::now() + Duration::from_secs(2);
    for n in 0..MESSAGES {
        let sent = client.send("orders_queue", &n).delay(begin + EVERY * n);
        sent.await.unwrap();
    }
    reach(&handled, MESSAGES as usize).await;
    let seconds = begin.elapsed().unwrap().as_secs_f64();
    let claims = sum(&herd, |it| it.claims) - 20;
    for consumer in herd {
        consumer.shutdown().await;
    }
    let mut bodies: Vec<u32> = handled.lock().unwrap().iter().map(|it| it.0).collect();
    bodies.sort_unstable();
    assert!(bodies.iter().copied().eq(0..MESSAGES), "not each once");
    // As for events.
    let most = f64::from(5 * MESSAGES) + 20.0 * (6.0 + 20.0 * seconds);
    println!(
        "{:.2} claims for a message, at most {:.2}",
        claims as f64 / f64::from(MESSAGES),
        most / f64::from(MESSAGES),
    );
    assert!(claims as f64 <= most, "{claims} claims, at most {most}");
}
