//! What happens without one of the protocol's sentences: each test asks for the shortest counterexample and prints it.
//!
//! ```sh
//! cargo test -p pgmq-notify-tests --test model caught -- --nocapture --test-threads=1
//! ```

use crate::design::{Design, Fence, Flaw, Herd, LeaseStore};
use crate::properties::Claim::{
    LoadedQueueIsSilent, NoMessageWaitsForABusyConsumer, NoMessageWaitsWhileAllSleep,
};
use crate::scope::{Part, Scope};

#[test]
fn without_a_fence_a_sender_that_had_looked_commits_unnoticed() {
    Flaw::NoFence
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_fence_after_the_look_misses_who_commits_between_them() {
    Flaw::FenceAfterLook
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_fence_in_the_statement_of_the_look_is_newer_than_its_snapshot() {
    Flaw::FenceAndLookInOneStatement
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_look_before_the_lease_is_committed_misses_who_sends_between_them() {
    Flaw::LookBeforeLeaseIsCommitted
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn above_read_committed_a_snapshot_hides_the_lease() {
    let scope = Scope::PLAIN.with(Part::HigherIsolation);
    Flaw::NoRuleAboveReadCommitted
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_prepared_transaction_has_no_backend_but_will_commit() {
    let scope = Scope::PLAIN.with(Part::Prepared);
    Flaw::FenceWithoutPrepared
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_lease_that_is_not_refreshed_ends_under_a_sleeper() {
    Flaw::LeaseNotRefreshed
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_consumer_stopped_past_its_lease_must_not_rely_on_it() {
    let scope = Scope::PLAIN.with(Part::Stop);
    Flaw::StoppedConsumerGoesOn
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_listener_that_reconnects_must_say_so() {
    let scope = Scope::PLAIN.with(Part::ConnectionLoss);
    Flaw::ReconnectSaysNothing
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

/// The leases of all are gone, too.
#[test]
fn a_listener_that_reconnects_after_a_crash_of_the_server_must_say_so() {
    let scope = Scope::PLAIN.with(Part::ServerCrash);
    Flaw::ReconnectSaysNothing
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_busy_consumer_that_stays_parked_makes_senders_notify() {
    Flaw::BusyConsumerStaysParked
        .within(Scope::PLAIN)
        .assert_violates(LoadedQueueIsSilent);
}

#[test]
fn a_consumer_must_not_unpark_others() {
    Flaw::BusyConsumerUnparksEverybody
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsForABusyConsumer);
}

#[test]
fn a_transaction_that_is_being_prepared_is_still_the_same_holder() {
    let design = Design {
        fence: Fence::Holders,
        ..Design::default()
    }
    .with(Flaw::HoldersByBackend);
    design
        .within(Scope::PLAIN.with(Part::Prepared))
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

/// With one number for all, lowering it unparks everybody, and not lowering it keeps a loaded queue notifying.
#[test]
fn a_sequence_cannot_be_lowered_and_cannot_be_left() {
    let sequence = Design {
        lease: LeaseStore::Sequence,
        ..Design::default()
    };
    let lowered = sequence.with(Flaw::BusyConsumerUnparksEverybody);
    lowered
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsForABusyConsumer);
    let left = sequence.with(Flaw::BusyConsumerStaysParked);
    left.within(Scope::PLAIN)
        .assert_violates(LoadedQueueIsSilent);
}

#[test]
fn one_woken_by_name_must_wake_the_next_if_a_message_is_left() {
    let design = Design {
        herd: Herd::One,
        ..Design::default()
    }
    .with(Flaw::NothingIsPassedOn);
    design
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsForABusyConsumer);
}

#[test]
fn one_woken_by_name_while_busy_must_hand_the_wake_up_on() {
    let design = Design {
        herd: Herd::One,
        ..Design::default()
    }
    .with(Flaw::FullConsumerKeepsWakeUp);
    design
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsForABusyConsumer);
}

/// The price of waking one: its wake-up dies with it. The others' safety poll finds the message.
#[test]
fn one_woken_by_name_that_dies_or_is_stopped_leaves_the_message_to_a_safety_poll() {
    let design = Design {
        herd: Herd::One,
        ..Design::default()
    };
    for fault in [Part::ConsumerCrash, Part::Stop] {
        design
            .within(Scope::PLAIN.with(fault))
            .assert_violates(NoMessageWaitsWhileAllSleep);
    }
}
