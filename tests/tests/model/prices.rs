//! What the protocol does not promise, and what is lost where the promise ends: until a safety poll. Each test asks for
//! the shortest way there and prints it.

use crate::design::{Design, Flaw, Names};
use crate::properties::Claim::{NoMessageWaitsWhileAllSleep, NoMessageWaitsWhileTheOthersSleep};
use crate::scope::{Part, Scope};

/// Of more than two the chance is that both that were named are dead.
#[test]
fn a_message_waits_whose_only_named_consumer_dies_or_is_stopped() {
    for fault in [Part::Crash, Part::Stop] {
        Flaw::BusyDoesNotAttend
            .within(Scope::PLAIN.with(fault).with_one_sender())
            .assert_violates(NoMessageWaitsWhileTheOthersSleep);
    }
}

#[test]
fn a_message_waits_that_was_left_to_an_attending_consumer_which_dies_or_is_stopped() {
    let design = Design {
        names: Names::Two,
        ..Design::default()
    };
    for fault in [Part::Crash, Part::Stop] {
        design
            .within(Scope::PLAIN.with(fault).with_one_sender())
            .assert_violates(NoMessageWaitsWhileTheOthersSleep);
    }
}

/// A consumer that ends waits for these, but not for ever.
#[test]
fn a_message_waits_that_is_on_its_way_for_longer_than_a_consumer_that_ends() {
    let scope = Scope::PLAIN.with(Part::Leaving).with_one_sender();
    Flaw::LeavesAtOnce
        .within(scope)
        .assert_violates(NoMessageWaitsWhileAllSleep);
}
