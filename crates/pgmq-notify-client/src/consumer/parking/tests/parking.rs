//! From the first row to sleep, and what is said in it.

use super::*;

#[test]
fn a_queue_is_parked_first_and_looked_at_when_the_holders_are_noted() {
    let mut bench = Bench::found(&[1]);
    assert_eq!(bench.says(), "park q_1");
    // One at a time.
    assert_eq!(bench.says(), "nothing");
    assert_eq!(bench.holders(&[]), [1]);
    assert_eq!(bench.says(), "nothing");
}

#[test]
fn all_queues_are_parked_in_one_job() {
    let mut bench = Bench::found(&[1, 2, 3]);
    assert_eq!(bench.says(), "park q_1 q_2 q_3");
    assert_eq!(bench.holders(&[]), [1, 2, 3]);
}

#[test]
fn those_that_were_noted_are_asked_for_and_no_others_until_each_has_ended() {
    let mut bench = Bench::found(&[1]);
    bench.says();
    assert_eq!(bench.holders(&[(1, "3/1"), (1, "4/2")]), [1]);
    assert_eq!(bench.says_next().0, "ask 3/1 4/2");
    // Who comes later finds the row.
    assert_eq!(
        bench.holders(&[(1, "3/1"), (1, "4/2"), (1, "5/1")]),
        NOWHERE
    );
    assert_eq!(bench.says_next().0, "ask 3/1 4/2");
    // It has ended, and may have left a message.
    assert_eq!(bench.holders(&[(1, "4/2")]), [1]);
    assert_eq!(bench.says_next().0, "ask 4/2");
    assert_eq!(bench.holders(&[]), [1]);
    let (said, _) = bench.says_next();
    assert_eq!(said, "refresh q_1", "nobody is asked for any more");
}

#[test]
fn the_pause_between_two_questions_doubles_up_to_thirty_milliseconds() {
    let mut bench = Bench::found(&[1]);
    bench.says();
    bench.holders(&[(1, "3/1")]);
    for millis in [1, 2, 4, 8, 16, 30, 30, 30] {
        let asked = ("ask 3/1".to_owned(), millis * MS);
        assert_eq!(bench.says_next(), asked);
        assert_eq!(bench.holders(&[(1, "3/1")]), NOWHERE);
    }
}

#[test]
fn a_queue_waits_for_its_own_holders_only() {
    let mut bench = Bench::found(&[1, 2]);
    bench.says();
    assert_eq!(bench.holders(&[(2, "3/1")]), [1, 2]);
    assert_eq!(bench.says_next().0, "ask 3/1");
    assert_eq!(bench.holders(&[]), [2]);
}

#[test]
fn the_questions_of_several_queues_are_one_job() {
    let mut bench = Bench::found(&[1, 2]);
    bench.says();
    bench.holders(&[(1, "3/1"), (2, "3/1"), (2, "4/1")]);
    assert_eq!(bench.says_next().0, "ask 3/1 3/1 4/1");
    // The same transaction, gone from one of them: back to a savepoint.
    assert_eq!(bench.holders(&[(2, "3/1"), (2, "4/1")]), [1]);
    assert_eq!(bench.says_next().0, "ask 3/1 4/1");
}

#[test]
fn who_waits_for_a_holder_is_told_like_any_other() {
    let mut bench = Bench::found(&[1]);
    bench.says();
    bench.holders(&[(1, "3/1")]);
    bench.told(1);
    bench.looked(1, 1);
    assert_eq!(bench.says_next().0, "ask 3/1");
}

#[test]
fn rows_are_refreshed_in_a_third_of_their_time_all_in_one_statement() {
    let mut bench = Bench::parked(&[1, 2]);
    for _ in 0..3 {
        let refreshed = ("refresh q_1 q_2".to_owned(), LEASE / 3);
        assert_eq!(bench.says_next(), refreshed);
        assert_eq!(bench.answer(Answer::Done), NOWHERE);
    }
}

#[test]
fn where_polls_come_often_rows_are_no_longer_than_that_and_at_least_three_seconds() {
    for (poll, lease) in [(30, 15), (15, 15), (9, 9), (3, 3), (1, 3)] {
        let mut bench = Bench::polling(poll * SECOND, &[1]);
        assert_eq!(bench.parking.lease(), lease * SECOND);
        bench.says();
        bench.holders(&[]);
        let refreshed = ("refresh q_1".to_owned(), lease * SECOND / 3);
        assert_eq!(bench.says_next(), refreshed);
    }
}

#[test]
fn a_message_for_others_is_one_that_names_others_only() {
    let bench = Bench::found(&[1]);
    let is_for_others = |wakes: &[i64]| bench.parking.is_for_others(1, wakes);
    assert!(is_for_others(&[8]) && is_for_others(&[8, 9]));
    assert!(!is_for_others(&[]), "all are told");
    assert!(!is_for_others(&[8, CONSUMER]));
    // Of a queue whose messages are all published nobody knows who sleeps.
    assert!(!bench.parking.is_for_others(2, &[8]));
}

#[test]
fn while_it_is_told_it_looks_at_the_whole_queue_every_five_seconds() {
    let mut bench = Bench::parked(&[1]);
    let sight = Sight {
        messages: 1,
        is_full: false,
        claimed: None,
    };
    let told = |bench: &mut Bench, time| {
        bench.after(time);
        bench.parking.looked(1, sight, false, bench.now)
    };
    assert!(!told(&mut bench, 4 * SECOND));
    assert!(told(&mut bench, SECOND));
    bench.looked(1, 0);
    assert!(!told(&mut bench, 4 * SECOND));
}

#[test]
fn a_queue_that_is_gone_is_left() {
    let mut bench = Bench::parked(&[1, 2]);
    bench.parking.forget(1);
    assert_eq!(bench.says(), "leave q_1");
    bench.answer(Answer::Done);
    assert_eq!(bench.says_next().0, "refresh q_2");
}

#[test]
fn a_queue_whose_messages_are_all_published_again_is_left() {
    let mut bench = Bench::parked(&[1]);
    bench.parking.watch(1, Some(watched(1)));
    assert_eq!(bench.says(), "nothing", "it is as it was");
    bench.parking.watch(1, None);
    assert_eq!(bench.says(), "leave q_1");
    bench.answer(Answer::Done);
    assert_eq!(bench.parking.next_timer(), None);
}

#[test]
fn a_queue_that_is_found_otherwise_is_left_before_it_is_parked_anew() {
    let mut bench = Bench::parked(&[1]);
    let other = Watched {
        channel: "other".to_owned(),
        ..watched(1)
    };
    bench.parking.watch(1, Some(other));
    assert_eq!(bench.says(), "leave q_1");
    bench.answer(Answer::Done);
    assert_eq!(bench.says(), "park q_1");
}
