//! Rows and locks that cannot be relied on any more.

use super::*;

#[test]
fn after_a_failure_all_is_parked_anew_when_the_outage_is_over() {
    let mut bench = Bench::attending(&[1, 2]);
    bench.after(500 * MS);
    assert_eq!(bench.says(), "renew");
    bench.fails();
    assert_eq!(bench.says(), "nothing");
    assert_eq!(bench.parking.next_timer(), Some(bench.now + 50 * MS));
    bench.after(49 * MS);
    assert_eq!(bench.says(), "nothing");
    bench.after(MS);
    // The locks were those of the session.
    assert_eq!(bench.says(), "park q_1 q_2");
    bench.fails();
    bench.after(50 * MS);
    assert_eq!(bench.says(), "nothing", "the wait doubles");
    bench.after(50 * MS);
    assert_eq!(bench.says(), "park q_1 q_2");
    assert_eq!(bench.holders(&[]), [1, 2]);
    assert_eq!(bench.says(), "attend 1");
}

#[test]
fn a_lost_session_in_which_it_attended_is_outwaited() {
    let mut bench = Bench::attending(&[1]);
    let lost = bench.now;
    bench.fails();
    let mut parked = Vec::new();
    while bench.now < lost + 5 * SECOND {
        let (said, _) = bench.says_next();
        if said.starts_with("park") {
            parked.push(bench.now - lost);
            assert_eq!(bench.holders(&[]), [1], "it is looked at");
        } else if said.starts_with("attend") {
            // The server holds it for the lost session.
            bench.answer(Answer::Attends(false));
        } else {
            bench.answer(Answer::Done);
        }
    }
    assert_eq!(parked, [50 * MS, 3 * SECOND]);
}

#[test]
fn those_that_were_noted_in_a_lost_session_are_noted_anew() {
    let mut bench = Bench::found(&[1]);
    bench.says();
    bench.holders(&[(1, "3/1")]);
    assert_eq!(bench.says_next().0, "ask 3/1");
    bench.fails();
    bench.after(50 * MS);
    assert_eq!(bench.says(), "park q_1");
    assert_eq!(bench.holders(&[(1, "-1/725")]), [1]);
    assert_eq!(bench.says_next().0, "ask -1/725");
}

#[test]
fn a_lock_that_was_tried_in_a_lost_session_is_not_held() {
    let mut bench = Bench::busy(&[1]);
    assert_eq!(bench.says(), "attend 1");
    bench.fails();
    bench.after(50 * MS);
    assert_eq!(bench.says(), "park q_1");
    bench.holders(&[]);
    assert_eq!(bench.says(), "attend 1");
}

#[test]
fn a_queue_that_could_not_be_left_is_left_when_the_outage_is_over() {
    let mut bench = Bench::parked(&[1]);
    bench.parking.starves(1, bench.now);
    bench.after(100 * MS);
    assert_eq!(bench.says(), "leave q_1");
    bench.fails();
    bench.after(50 * MS);
    assert_eq!(bench.says(), "leave q_1");
    bench.holders(&[]);
    assert_eq!(bench.says(), "wake next q_1");
}

#[test]
fn a_wake_up_that_failed_is_repeated() {
    let mut bench = Bench::parked(&[1]);
    bench.parking.pauses(1, bench.now);
    assert_eq!(bench.says(), "leave q_1");
    bench.holders(&[]);
    assert_eq!(bench.says(), "wake next q_1");
    bench.fails();
    assert_eq!(bench.says_next().0, "wake next q_1");
}

#[test]
fn a_row_that_is_being_written_when_a_lost_session_is_over_is_written_again() {
    let mut bench = Bench::attending(&[1]);
    bench.fails();
    bench.after(50 * MS);
    assert_eq!(bench.says(), "park q_1");
    // It takes until the server has noticed, and notes nobody who came after its question.
    bench.after(3 * SECOND);
    assert_eq!(bench.holders(&[]), NOWHERE);
    assert_eq!(bench.says(), "park q_1");
    assert_eq!(bench.holders(&[]), [1]);
}

#[test]
fn who_may_have_missed_events_parks_anew() {
    let mut bench = Bench::attending(&[1]);
    bench.parking.is_lost();
    assert_eq!(bench.says(), "park q_1, unlock 1");
    assert_eq!(bench.holders(&[]), [1]);
    assert_eq!(bench.says(), "attend 1", "it is as busy as before");
}

#[test]
fn a_row_that_was_being_written_then_is_written_again() {
    let mut bench = Bench::found(&[1]);
    assert_eq!(bench.says(), "park q_1");
    bench.parking.is_lost();
    assert_eq!(bench.holders(&[(1, "3/1")]), NOWHERE);
    assert_eq!(bench.says(), "park q_1");
    assert_eq!(bench.holders(&[]), [1]);
    assert_eq!(bench.says_next().0, "refresh q_1");
}

#[test]
fn who_was_stopped_past_its_rows_looks_first_and_then_parks() {
    let mut bench = Bench::parked(&[1, 2]);
    assert_eq!(bench.after(LEASE.saturating_sub(MS)), []);
    let mut wanted = bench.after(MS);
    wanted.sort_unstable_by_key(|it| match it {
        Wanted::Before(id) | Wanted::Attending(id) => *id,
    });
    assert_eq!(wanted, [Wanted::Before(1), Wanted::Before(2)]);
    assert_eq!(bench.says(), "park q_1 q_2");
    assert_eq!(bench.after(MS), [], "once");
    assert_eq!(bench.holders(&[]), [1, 2]);
}

#[test]
fn a_row_counts_from_before_its_statement_was_sent() {
    let mut bench = Bench::found(&[1]);
    bench.says();
    bench.after(LEASE.saturating_sub(SECOND));
    assert_eq!(bench.holders(&[]), [1]);
    assert_eq!(bench.after(SECOND), [Wanted::Before(1)]);

    let mut bench = Bench::parked(&[1]);
    assert_eq!(bench.says_next(), ("refresh q_1".to_owned(), LEASE / 3));
    bench.after(LEASE / 3);
    bench.answer(Answer::Done);
    assert_eq!(bench.after((LEASE / 3 * 2).saturating_sub(MS)), []);
    assert_eq!(bench.after(MS), [Wanted::Before(1)]);
}

#[test]
fn a_later_row_does_not_make_an_earlier_one_newer() {
    let mut bench = Bench::parked(&[1]);
    bench.after(4 * SECOND);
    bench.parking.watch(2, Some(watched(2)));
    assert_eq!(bench.says(), "park q_2");
    assert_eq!(bench.holders(&[]), [2]);
    assert_eq!(bench.says_next(), ("refresh q_1 q_2".to_owned(), SECOND));
}

#[test]
fn a_row_that_is_past_its_time_while_it_is_written_is_written_again() {
    let mut bench = Bench::found(&[1]);
    assert_eq!(bench.says(), "park q_1");
    assert_eq!(bench.after(LEASE), [], "nobody relied on it");
    assert_eq!(bench.holders(&[]), NOWHERE);
    assert_eq!(bench.says(), "park q_1");
}
