//! The model can do what makes the protocol necessary. A model that cannot would prove anything.

use crate::design::Design;
use crate::properties::Example;

#[test]
fn everybody_can_sleep_while_a_transaction_with_an_insert_is_open() {
    Design::default()
        .in_any_case()
        .assert_reaches(Example::EverybodySleepsBesideAnOpenTransaction);
}

#[test]
fn a_transaction_can_commit_without_telling_anybody() {
    Design::default()
        .in_any_case()
        .assert_reaches(Example::TransactionCommitsUnnoticed);
}

#[test]
fn a_consumer_can_be_kept_awake_by_a_prepared_transaction() {
    Design::default()
        .in_any_case()
        .assert_reaches(Example::ConsumerIsFencedByAPreparedTransaction);
}

#[test]
fn a_consumer_can_be_stopped_past_its_lease() {
    Design::default()
        .in_any_case()
        .assert_reaches(Example::StoppedConsumerLosesItsLease);
}

#[test]
fn a_message_can_outlive_every_consumer() {
    Design::default()
        .in_any_case()
        .assert_reaches(Example::MessageOutlivesEveryConsumer);
}
