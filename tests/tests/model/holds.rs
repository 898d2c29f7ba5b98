//! What the protocol guarantees, in every reachable state.

use crate::design::{Design, Fence, Flaw, Herd, LeaseStore};
use crate::properties::Claim;
use crate::protocol::Protocol;
use crate::scope::{Part, Scope};

#[test]
fn the_protocol_loses_no_wake_up_whatever_happens() {
    Design::default().in_any_case().assert_holds();
}

/// Waiting for those who held a lock, instead of for a moment without any, ends under constant traffic too.
#[test]
fn waiting_for_the_holders_of_one_moment_is_enough() {
    let design = Design {
        fence: Fence::Holders,
        ..Design::default()
    };
    design
        .within(Scope::EVERYTHING.without(Part::Savepoints))
        .assert_holds();
    design.within(Scope::ALL_SENDERS).assert_holds();
}

#[test]
fn one_consumer_may_be_woken_by_name_if_what_it_cannot_take_is_passed_on() {
    let scope = Scope::EVERYTHING
        .without(Part::ConsumerCrash)
        .without(Part::Stop);
    Design {
        herd: Herd::One,
        ..Design::default()
    }
    .within(scope)
    .assert_holds();
}

/// No snapshot hides it, so no rule is needed above READ COMMITTED.
#[test]
fn an_advisory_lock_needs_no_rule_for_higher_isolation() {
    Design {
        lease: LeaseStore::AdvisoryLock,
        ..Design::default()
    }
    .in_any_case()
    .assert_holds();
}

/// Nobody may lower it while another may be parked, so a loaded queue goes on notifying until its time is over: see
/// [`caught`](crate::caught).
#[test]
fn a_sequence_that_is_never_lowered_loses_no_wake_up() {
    let design = Design {
        lease: LeaseStore::Sequence,
        ..Design::default()
    }
    .with(Flaw::BusyConsumerStaysParked);
    let scope = Scope::EVERYTHING
        .without(Part::Savepoints)
        .without(Part::Prepared);
    Protocol {
        claim: Claim::NoMessageWaits,
        ..design.within(scope)
    }
    .assert_holds();
}
