//! The model can do what makes the protocol necessary. A model that cannot would prove anything.

use crate::design::Design;
use crate::properties::Example;
use crate::scope::{Part, Scope};

#[test]
fn everybody_can_sleep_while_a_transaction_with_an_insert_is_open() {
    Scope::PLAIN.assert_reaches(Example::EverybodySleepsBesideAnOpenTransaction);
}

#[test]
fn a_transaction_can_commit_without_telling_anybody() {
    Scope::PLAIN.assert_reaches(Example::TransactionCommitsUnnoticed);
}

#[test]
fn a_consumer_can_attend_while_another_sleeps() {
    Scope::PLAIN.assert_reaches(Example::ConsumerAttendsWhileAnotherSleeps);
}

#[test]
fn a_full_consumer_can_be_away_while_another_sleeps() {
    Scope::PLAIN.assert_reaches(Example::FullConsumerIsAwayWhileAnotherSleeps);
}

#[test]
fn a_consumer_can_be_fenced_by_a_prepared_transaction() {
    let scope = Scope::PLAIN.with(Part::Prepared);
    scope.assert_reaches(Example::ConsumerIsFencedByAPreparedTransaction);
}

#[test]
fn a_consumer_can_be_stopped_until_row_and_lock_are_gone() {
    let scope = Scope::PLAIN.with(Part::Stop);
    scope.assert_reaches(Example::StoppedConsumerHasLostRowAndLock);
}

#[test]
fn a_consumer_can_believe_that_it_attends() {
    let scope = Scope::PLAIN.with(Part::ParkingLoss);
    scope.assert_reaches(Example::ConsumerAttendsWithoutLock);
}

#[test]
fn a_lost_session_can_hold_the_lock() {
    let scope = Scope::PLAIN.with(Part::SessionOutlives);
    scope.assert_reaches(Example::LostSessionHoldsTheLock);
}

#[test]
fn a_message_can_outlive_every_consumer() {
    let scope = Scope::PLAIN.with(Part::Crash);
    scope.assert_reaches(Example::MessageOutlivesEveryConsumer);
}

impl Scope {
    #[track_caller]
    fn assert_reaches(self, example: Example) {
        Design::default().within(self).assert_reaches(example);
    }
}
