//! What the protocol guarantees, in every reachable state.
//!
//! Two of everything at once are too many states for a test that runs with every change. So there are two senders and two
//! consumers where nothing fails, and one of either where everything does; the last test is for an evening.

use crate::design::{Design, Flaw, Names};
use crate::properties::Claim;
use crate::protocol::Protocol;
use crate::scope::{Part, Scope};

#[test]
fn no_wake_up_is_lost_whatever_senders_do() {
    Design::default().within(Scope::ALL_SENDERS).assert_holds();
    let design = Design {
        names: Names::Two,
        ..Design::default()
    };
    design.within(Scope::PLAIN).assert_holds();
}

#[test]
fn no_wake_up_is_lost_whatever_befalls_consumers_and_the_server() {
    let scope = Scope::ALL_FAULTS.with(Part::Prepared).with_one_sender();
    Design::default().within(scope).assert_holds();
}

#[test]
fn a_consumer_that_is_alone_finds_everything_whatever_happens() {
    Design::default()
        .within(Scope::EVERYTHING.with_one_consumer())
        .assert_holds();
}

#[test]
fn a_consumer_that_leaves_takes_nothing_with_it() {
    Design::default()
        .within(Scope::PLAIN.with(Part::Leaving))
        .assert_holds();
}

#[test]
fn a_consumer_that_outwaits_the_session_it_has_lost_misses_nothing() {
    let scope = Scope::PLAIN
        .with(Part::SessionOutlives)
        .with(Part::ParkingLoss);
    Design::default()
        .within(scope.with_one_sender())
        .assert_holds();
}

/// The other one is told as well, while nobody attends.
#[test]
fn of_two_that_are_named_one_may_die_or_be_stopped() {
    let design = Design {
        names: Names::Two,
        ..Design::default()
    };
    let scope = Scope::PLAIN.with(Part::Crash).with(Part::Stop);
    Protocol {
        claim: Claim::NoMessageWaitsWhileTheOthersSleep,
        ..design.with(Flaw::BusyDoesNotAttend).within(scope)
    }
    .assert_holds();
}

/// Who is noted after both had not ended when either was done. So neither order matters, and there are two fewer
/// things to get wrong.
#[test]
fn the_order_of_row_and_lock_does_not_matter_on_either_side() {
    for flaw in [Flaw::UnlockBeforeRow, Flaw::RowsBeforeProbe] {
        flaw.within(Scope::PLAIN).assert_holds();
        flaw.within(Scope::EVERYTHING.with_one_consumer())
            .assert_holds();
    }
}

/// It looks by itself, needed or not. What it costs is its looks, and that senders notify.
#[test]
fn a_consumer_that_never_notices_that_it_lost_the_lock_loses_no_wake_up() {
    let scope = Scope::PLAIN.with(Part::ParkingLoss);
    Flaw::AttendsForEver.within(scope).assert_holds();
}
