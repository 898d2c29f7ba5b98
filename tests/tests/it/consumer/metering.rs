//! What a recorder of the crate `metrics` gets.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics::Unit;
use pgmq_notify_client::{HandlerError, Message, RetryPolicy, Source};
use tokio::sync::Semaphore;

use super::*;
use crate::observed::Recorded;

const PREFIX: &str = "pgmq_notify_consumer_";
const WAIT: &str = "pgmq_notify_consumer_wait_seconds";

/// 1 fails once, 2 panics once, 3 gives its message back once; those above 9 wait for a permit.
async fn handle(
    message: Message<u32>,
    claim: Claim,
    gate: Arc<Semaphore>,
) -> Result<(), HandlerError> {
    let is_first = claim.attempt() == 1;
    match message.body {
        1 if is_first => return Err("once".into()),
        2 => assert!(!is_first, "once"),
        3 if !gate.is_closed() => {
            gate.close();
            claim.release(Duration::ZERO).await?;
        }
        10.. => gate.acquire().await?.forget(),
        _ => {}
    }
    Ok(())
}

/// A consumer whose numbers go there, and what its waiting handlers wait for.
async fn recorded_by(recorded: &Recorded, client: &PgmqNotifyClient) -> (Consumer, Arc<Semaphore>) {
    // The consumer keeps what it registers; only the start needs the recorder.
    let _recorder = metrics::set_default_local_recorder(recorded);
    let gate = Arc::new(Semaphore::new(0));
    let handed = Arc::clone(&gate);
    let retry = RetryPolicy::new().with_initial_delay(Duration::from_millis(10));
    let source = Source::queue("orders_queue").with_retry(retry);
    let consumer = Consumer::builder(client.clone())
        .source(source, move |message: Message<u32>, claim: Claim| {
            handle(message, claim, Arc::clone(&handed))
        })
        .start()
        .await
        .unwrap();
    (consumer, gate)
}

/// What the recorder has to show for these numbers, but for the time waited.
fn expected(stats: &ConsumerStats) -> BTreeMap<String, f64> {
    let wake_ups = &stats.wake_ups;
    let all = [
        ("claims_total", stats.claims),
        ("empty_claims_total", stats.empty_claims),
        ("claimed_total", stats.claimed),
        ("done_total", stats.done),
        ("retried_total", stats.retried),
        ("dead_total", stats.dead),
        ("released_total", stats.released),
        ("undecodable_total", stats.undecodable),
        ("panicked_total", stats.panicked),
        ("lost_leases_total", stats.lost),
        ("expired_leases_total", stats.expired),
        ("unsettled_total", stats.unsettled),
        ("in_flight", stats.in_flight),
        ("wake_ups_total{reason=start}", wake_ups.start),
        ("wake_ups_total{reason=event}", wake_ups.event),
        ("wake_ups_total{reason=due}", wake_ups.due),
        ("wake_ups_total{reason=reconnected}", wake_ups.reconnected),
        ("wake_ups_total{reason=full_batch}", wake_ups.full_batch),
        ("wake_ups_total{reason=settled}", wake_ups.settled),
        ("wake_ups_total{reason=failed}", wake_ups.failed),
        ("wake_ups_total{reason=safety_poll}", wake_ups.safety_poll),
    ];
    all.into_iter()
        .filter(|(_, n)| *n != 0)
        .map(|(name, n)| (name.to_owned(), f64::from(u32::try_from(n).unwrap())))
        .collect()
}

#[tokio::test]
async fn a_recorder_gets_every_number_of_the_stats_under_its_documented_name() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let recorded = Recorded::default();
    let (consumer, _gate) = recorded_by(&recorded, &client).await;
    client.send_batch("orders_queue", 0..=3).await.unwrap();
    client.send("orders_queue", &"undecodable").await.unwrap();
    until(&consumer, |it| {
        it.done == 4 && it.dead == 1 && it.in_flight == 0
    })
    .await;
    let stats = consumer.stats();
    assert_eq!(
        (stats.claimed, stats.retried, stats.panicked, stats.released),
        (8, 2, 1, 1),
        "{stats:?}"
    );
    // Nothing happens any more but for a look that is under way.
    eventually(SOON, || async {
        let stats = consumer.stats();
        let mut sums = recorded.sums(PREFIX);
        sums.remove("wait_seconds");
        if sums == expected(&stats) {
            Ok(())
        } else {
            Err((sums, stats))
        }
    })
    .await;
    let (sum, count) = recorded.of(WAIT);
    // Each is cut to microseconds in the stats.
    let less = sum - consumer.stats().waited.as_secs_f64();
    assert_eq!(count, 8);
    assert!((0.0..8e-6).contains(&less), "{less}");
    assert_eq!(recorded.unit(WAIT), Some(Unit::Seconds));
    recorded.check(
        PREFIX,
        include_str!("../../../../crates/pgmq-notify-client/src/lib.rs"),
    );
    consumer.shutdown().await;
    // The numbers of its listener come with them.
    let listener = recorded.sums("pgmq_notify_listener_");
    assert!(
        listener["events_total{kind=message_with_payload}"] >= 1.0,
        "{listener:?}"
    );
}

#[tokio::test]
async fn consumers_of_one_process_add_up_and_a_dropped_one_has_nothing_in_flight() {
    let (_database, client) = migrated().await;
    client.create_queue("orders_queue").await.unwrap();
    let recorded = Recorded::default();
    let in_flight = |wanted: f64| {
        let recorded = recorded.clone();
        eventually(SOON, move || {
            let sum = recorded.sums(PREFIX).get("in_flight").copied();
            let is_so = sum.unwrap_or(0.0).to_bits() == wanted.to_bits();
            async move { if is_so { Ok(()) } else { Err(sum) } }
        })
    };
    let (first, _gate) = recorded_by(&recorded, &client).await;
    client.send_batch("orders_queue", 10..13).await.unwrap();
    until(&first, |it| it.in_flight == 3).await;
    let (second, gate) = recorded_by(&recorded, &client).await;
    first.pause("orders_queue").await.unwrap();
    client.send_batch("orders_queue", 20..22).await.unwrap();
    until(&second, |it| it.in_flight == 2).await;
    in_flight(5.0).await;
    drop(first);
    in_flight(2.0).await;
    gate.add_permits(2);
    in_flight(0.0).await;
    second.shutdown().await;
}
