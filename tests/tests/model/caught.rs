//! What happens without one of the protocol's sentences: each test asks for the shortest counterexample and prints it.
//!
//! ```sh
//! cargo test -p pgmq-notify-tests --test model caught -- --nocapture --test-threads=1
//! ```

use crate::design::{Design, Flaw, LostSession};
use crate::properties::Claim::{
    LoadedQueueIsSilent, NoMessageWaitsForAFullConsumer, NoMessageWaitsWhileAllSleep,
};
use crate::scope::{Part, Scope};

#[test]
fn without_a_fence_a_sender_that_had_looked_commits_unnoticed() {
    Flaw::NoFence
        .within(Scope::RACE)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_look_before_the_note_misses_who_commits_between_them() {
    Flaw::LookBeforeNote
        .within(Scope::RACE)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_fence_after_the_look_finds_out_that_a_sender_has_ended_and_not_what_it_left() {
    Flaw::NoLookAfterFence
        .within(Scope::RACE)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_note_in_the_statement_of_the_look_is_newer_than_its_snapshot() {
    Flaw::NoteAndLookInOneStatement
        .within(Scope::RACE)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn note_and_look_before_the_row_is_committed_miss_who_sends_after_them() {
    Flaw::LookBeforeRowIsCommitted
        .within(Scope::RACE)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_note_before_the_unlock_misses_who_probes_between_them() {
    Flaw::NoteBeforeUnlock
        .within(Scope::RACE)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn above_read_committed_a_snapshot_hides_the_row() {
    let scope = Scope::RACE.with(Part::HigherIsolation);
    Flaw::NoRuleAboveReadCommitted
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_prepared_transaction_has_no_backend_but_will_commit() {
    let scope = Scope::RACE.with(Part::Prepared);
    Flaw::FenceWithoutPrepared
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_transaction_that_is_being_prepared_is_still_the_same_holder() {
    let scope = Scope::RACE.with(Part::Prepared);
    Flaw::HoldersByBackend
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_row_that_is_not_refreshed_ends_under_a_sleeper() {
    Flaw::RowNotRefreshed
        .within(Scope::RACE)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_consumer_stopped_past_its_row_must_not_rely_on_it() {
    let scope = Scope::RACE.with(Part::Stop);
    Flaw::StoppedConsumerGoesOn
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_listener_that_reconnects_must_say_so() {
    let scope = Scope::RACE.with(Part::ListenerLoss);
    Flaw::ReconnectSaysNothing
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

/// The rows of all are gone, too.
#[test]
fn a_listener_that_reconnects_after_a_crash_of_the_server_must_say_so() {
    let scope = Scope::RACE.with(Part::ServerCrash);
    Flaw::ReconnectSaysNothing
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_busy_consumer_that_does_not_attend_makes_senders_notify() {
    Flaw::BusyDoesNotAttend
        .within(Scope::RACE)
        .assert_violates(LoadedQueueIsSilent);
}

#[test]
fn a_lock_that_is_held_although_its_consumer_sleeps_silences_everybody() {
    Flaw::AttentionLapses
        .within(Scope::RACE)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

#[test]
fn a_consumer_that_took_what_it_can_must_wake_the_next() {
    Flaw::NothingIsPassedOn
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsForAFullConsumer);
}

#[test]
fn a_full_consumer_must_hand_on_what_it_is_told() {
    Flaw::FullConsumerKeepsWakeUp
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsForAFullConsumer);
}

#[test]
fn a_consumer_that_is_away_must_wake_others() {
    Flaw::AwayWithoutWakeNext
        .within(Scope::PLAIN)
        .assert_violates(NoMessageWaitsForAFullConsumer);
}

#[test]
fn a_consumer_that_leaves_must_wait_for_who_has_counted_on_it() {
    let scope = Scope::PLAIN.with(Part::Leaving);
    Flaw::LeavesAtOnce
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}

/// It parks in a new session and sleeps, while the server still holds the lock for the old one.
#[test]
fn a_consumer_that_forgets_the_session_it_has_lost_misses_what_is_sent_until_that_ends() {
    let design = Design {
        lost_session: LostSession::Forgets,
        ..Design::default()
    };
    design
        .within(Scope::RACE.with(Part::SessionOutlives))
        .assert_violates(NoMessageWaitsWhileAllSleep);
}
