//! `eventually`, which every test of something asynchronous waits with.

use std::{cell::Cell, time::Duration};

use pgmq_notify_tests::eventually;

const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_condition_is_looked_at_until_it_is_met() {
    let looks = Cell::new(0);
    let met = eventually(LONG, || async {
        looks.set(looks.get() + 1);
        (looks.get() == 3).then_some("met")
    });
    assert_eq!(met.await, "met");
}

#[tokio::test]
#[should_panic(expected = "last seen: \"two messages\"")]
async fn a_deadline_panics_with_what_was_seen_last() {
    eventually(SHORT, || async { Err::<(), _>("two messages") }).await;
}

#[tokio::test]
#[should_panic(expected = "waiting.rs:")]
async fn a_deadline_panics_with_the_place_that_waited() {
    eventually(SHORT, || async { false }).await;
}

#[tokio::test]
#[should_panic(expected = "the first look did not return")]
async fn a_look_that_hangs_does_not_outlast_the_deadline() {
    eventually(SHORT, std::future::pending::<Option<()>>).await;
}
