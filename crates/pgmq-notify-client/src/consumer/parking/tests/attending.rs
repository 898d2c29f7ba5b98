//! Of a queue whose messages come close.

use super::*;

#[test]
fn a_busy_queue_is_attended_to() {
    let mut bench = Bench::parked(&[1]);
    for _ in 0..5 {
        bench.after(MS);
        bench.looked(1, 1);
    }
    assert_eq!(bench.says(), "nothing");
    let mut bench = Bench::busy(&[1]);
    assert_eq!(bench.says(), "attend 1");
    assert_eq!(bench.answer(Answer::Attends(true)), NOWHERE);
    assert_eq!(bench.says(), "nothing");
}

#[test]
fn who_attends_looks_by_itself() {
    let mut bench = Bench::attending(&[1]);
    bench.looked(1, 1);
    let wanted = bench.after(2 * MS);
    assert_eq!(wanted, [Wanted::Attending(1)]);
    // Until that look has ended nobody wants another one.
    assert_eq!(bench.after(2 * MS), []);
    bench.looked(1, 0);
    assert_eq!(bench.after(2 * MS), [Wanted::Attending(1)]);
}

#[test]
fn a_sender_may_be_in_the_way_three_times_and_then_it_is_somebody_who_attends() {
    let mut bench = Bench::busy(&[1]);
    for _ in 0..3 {
        assert_eq!(bench.says(), "attend 1");
        bench.answer(Answer::Attends(false));
        assert_eq!(bench.says(), "nothing");
        bench.after(MS);
    }
    assert_eq!(bench.says(), "attend 1");
    bench.answer(Answer::Attends(false));
    bench.after(249 * MS);
    assert_eq!(bench.says(), "nothing");
    bench.after(MS);
    // And four times again.
    for _ in 0..4 {
        assert_eq!(bench.says(), "attend 1");
        bench.answer(Answer::Attends(false));
        bench.after(MS);
    }
    assert_eq!(bench.says(), "nothing");
}

#[test]
fn who_does_not_get_the_lock_looks_by_itself_too() {
    let mut bench = Bench::busy(&[1]);
    bench.says();
    bench.answer(Answer::Attends(false));
    bench.looked(1, 1);
    assert!(bench.after(2 * MS).contains(&Wanted::Attending(1)));
}

#[test]
fn who_rests_writes_its_row_and_gives_the_lock_back_in_one_job_and_looks_again() {
    let mut bench = Bench::attending(&[1]);
    bench.after(30 * MS);
    bench.looked(1, 0);
    assert_eq!(bench.says(), "park q_1, unlock 1");
    assert_eq!(bench.holders(&[(1, "3/1")]), [1]);
    // Whoever found it attending may not have committed yet.
    assert_eq!(bench.says_next().0, "ask 3/1");
    assert_eq!(bench.holders(&[]), [1]);
    assert_eq!(bench.says_next().0, "refresh q_1");
}

#[test]
fn who_was_busy_and_did_not_attend_has_nothing_to_give_back() {
    let mut bench = Bench::busy(&[1]);
    bench.says();
    bench.answer(Answer::Attends(false));
    bench.after(30 * MS);
    bench.looked(1, 0);
    assert_eq!(bench.says_next().0, "refresh q_1");
}

#[test]
fn a_lock_that_comes_when_the_queue_is_quiet_again_is_given_back() {
    let mut bench = Bench::busy(&[1]);
    assert_eq!(bench.says(), "attend 1");
    bench.after(30 * MS);
    bench.looked(1, 0);
    assert_eq!(bench.says(), "nothing");
    bench.answer(Answer::Attends(true));
    assert_eq!(bench.says(), "park q_1, unlock 1");
}

#[test]
fn of_two_queues_one_may_rest() {
    let mut bench = Bench::attending(&[1, 2]);
    bench.after(30 * MS);
    bench.looked(1, 0);
    bench.looked(2, 1);
    assert_eq!(bench.says(), "park q_1, unlock 1, attends");
    assert_eq!(bench.holders(&[]), [1]);
    bench.after(30 * MS);
    bench.looked(2, 0);
    assert_eq!(bench.says(), "park q_2, unlock 2");
}

#[test]
fn who_attends_says_so_every_half_second_and_goes_on_refreshing() {
    let mut bench = Bench::attending(&[1]);
    let mut said = Vec::new();
    let begin = bench.now;
    while bench.now < begin + LEASE {
        // The queue goes on being busy, whatever is said.
        bench.looked(1, 1);
        bench.after(MS);
        let saying = bench.says();
        if saying != "nothing" {
            said.push((saying, bench.now));
            bench.answer(Answer::Done);
        }
    }
    let gaps = said.windows(2).map(|it| it[1].1 - it[0].1);
    assert_eq!(gaps.max(), Some(500 * MS));
    let refreshed = said.iter().filter(|(said, _)| said == "refresh q_1");
    assert!((2..=3).contains(&refreshed.count()), "{said:?}");
    assert!(said.iter().any(|(said, _)| said == "renew"));
}

#[test]
fn who_attends_to_nothing_may_be_silent() {
    let mut bench = Bench::parked(&[1]);
    assert_eq!(bench.says_next(), ("refresh q_1".to_owned(), LEASE / 3));
}

#[test]
fn a_lock_of_a_queue_that_is_gone_is_given_back() {
    let mut bench = Bench::attending(&[1]);
    bench.parking.forget(1);
    assert_eq!(bench.says(), "leave q_1, unlock 1");
    // Also one that comes later.
    let mut bench = Bench::busy(&[1]);
    assert_eq!(bench.says(), "attend 1");
    bench.parking.forget(1);
    bench.answer(Answer::Attends(true));
    assert_eq!(bench.says(), "leave q_1, unlock 1");
}
