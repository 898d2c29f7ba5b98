//! What a recorder of the crate `metrics` gets.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::Unit;
use pgmq_notify_core::{PgmqNotifyConfig, ResumeReason};
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_tests::{TestDatabase, eventually};

use super::{SOON, create, gap, next, next_message, send, terminate};
use crate::observed::Recorded;

pub(super) const PREFIX: &str = "pgmq_notify_listener_";
const ROUND_TRIP: &str = "pgmq_notify_listener_round_trip_seconds";

pub(super) async fn listener(database: &TestDatabase, recorded: &Recorded) -> PgmqNotifyListener {
    // The listener keeps what it registers; only the making needs the recorder.
    let _recorder = metrics::set_default_local_recorder(recorded);
    PgmqNotifyListener::new(database.pool().clone(), PgmqNotifyConfig::new(), 10)
        .await
        .expect("a valid configuration")
}

fn expected<const N: usize>(values: [(&str, f64); N]) -> BTreeMap<String, f64> {
    values.map(|(name, sum)| (name.to_owned(), sum)).into()
}

#[tokio::test]
async fn a_recorder_gets_every_number_under_its_documented_name() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    let recorded = Recorded::default();
    let mut listener = listener(&database, &recorded).await;
    assert_eq!(recorded.sums(PREFIX), expected([]));
    listener.listen_queue_created().await.unwrap();
    listener.listen_queue_dropped().await.unwrap();
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    assert_eq!(recorded.sums(PREFIX), expected([("connected", 1.0)]));

    create(&database, "orders_queue").await;
    create(&database, "other_queue").await;
    send(&database, "orders_queue").await;
    database
        .run(
            "select pgmq.drop_queue('other_queue');
             select pgmq.send_batch('orders_queue', array['1', '2']::jsonb[]);
             notify pgmq_queue_created, 'nonsense';
             notify pgmq_queue_created, '{\"event_type\":\"queue_paused\"}'",
        )
        .await
        .unwrap();
    for _ in 0..5 {
        next(&mut listener).await;
    }
    terminate(&database).await;
    assert_eq!(gap(&mut listener).await.0, ResumeReason::Reconnected);
    // The three messages that still wait.
    next(&mut listener).await;
    let id = send(&database, "orders_queue").await;
    while next_message(&mut listener).await.1 != id {}
    let now = expected([
        ("catch_ups_total", 1.0),
        ("caught_up_events_total", 1.0),
        ("connected", 1.0),
        ("events_total{kind=batch_ready}", 2.0),
        ("events_total{kind=message_with_payload}", 2.0),
        ("events_total{kind=queue_created}", 2.0),
        ("events_total{kind=queue_dropped}", 1.0),
        ("events_total{kind=resumed}", 1.0),
        ("gaps_total{reason=reconnected}", 1.0),
        ("reconnects_total", 1.0),
        ("unreadable_total{reason=invalid_payload}", 1.0),
        ("unreadable_total{reason=unknown_event_type}", 1.0),
    ]);
    assert_eq!(recorded.sums(PREFIX), now);

    database
        .run("do $$ begin for i in 1..15 loop perform pgmq.send('orders_queue', '{}'); end loop; end $$")
        .await
        .unwrap();
    let overflow = expected([
        ("gaps_total{reason=overflow}", 1.0),
        ("overflowed_events_total", 5.0),
    ]);
    let expected_sums: BTreeMap<_, _> = now.into_iter().chain(overflow).collect();
    eventually(SOON, || async {
        let sums = recorded.sums(PREFIX);
        if sums == expected_sums {
            Ok(())
        } else {
            Err(sums)
        }
    })
    .await;

    listener.disconnect().await;
    assert!(!recorded.sums(PREFIX).contains_key("connected"));
}

#[tokio::test]
async fn listeners_of_one_process_add_up_and_a_dropped_one_is_not_connected() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    let recorded = Recorded::default();
    let mut first = listener(&database, &recorded).await;
    let mut second = listener(&database, &recorded).await;
    first.connect().await.unwrap();
    second.connect().await.unwrap();
    assert_eq!(recorded.sums(PREFIX), expected([("connected", 2.0)]));
    drop(first);
    eventually(SOON, || async {
        let sums = recorded.sums(PREFIX);
        if sums == expected([("connected", 1.0)]) {
            Ok(())
        } else {
            Err(sums)
        }
    })
    .await;
    second.disconnect().await;
    assert_eq!(recorded.sums(PREFIX), expected([]));
}

#[tokio::test]
async fn the_answer_to_a_heartbeat_is_recorded_in_seconds() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    let recorded = Recorded::default();
    let mut listener = listener(&database, &recorded)
        .await
        .with_heartbeat(Duration::from_millis(50), SOON);
    listener.connect().await.unwrap();
    eventually(SOON, || async {
        let (sum, count) = recorded.of(ROUND_TRIP);
        if count >= 3 { Ok(sum) } else { Err(count) }
    })
    .await;
    let sum = recorded.sums(PREFIX)["round_trip_seconds"];
    assert!(sum > 0.0 && sum < SOON.as_secs_f64(), "{sum}");
    assert_eq!(recorded.unit(ROUND_TRIP), Some(Unit::Seconds));
    let documentation = include_str!("../../../../crates/pgmq-notify-listener/src/lib.rs");
    recorded.check(PREFIX, documentation);
}
