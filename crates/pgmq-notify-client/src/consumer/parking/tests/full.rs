//! Without a free handler, and on leaving.

use super::*;

fn woken() -> Answer {
    Answer::Others(true)
}

#[test]
fn a_full_claim_wakes_the_next_and_makes_the_queue_busy() {
    let mut bench = Bench::parked(&[1]);
    bench.looked_in_full(1);
    assert_eq!(bench.says(), "attend 1");
    bench.answer(Answer::Attends(true));
    assert_eq!(bench.says(), "wake next q_1");
    bench.answer(woken());
    assert_eq!(bench.says(), "nothing");
}

#[test]
fn full_claims_wake_the_next_every_twenty_milliseconds_at_most() {
    let mut bench = Bench::attending(&[1]);
    let mut woken_at = Vec::new();
    for _ in 0..100 {
        bench.looked_in_full(1);
        if bench.says() == "wake next q_1" {
            woken_at.push(bench.now);
            bench.answer(woken());
        }
        bench.after(MS);
    }
    let gaps: Vec<Duration> = woken_at.windows(2).map(|it| it[1] - it[0]).collect();
    assert_eq!(gaps, [20 * MS; 4]);
}

#[test]
fn a_queue_that_no_handler_is_free_for_is_handed_on_and_left_and_parked_when_one_is() {
    let mut bench = Bench::parked(&[1]);
    bench.parking.starves(1, bench.now);
    let begin = bench.now;
    let mut said = Vec::new();
    while bench.now < begin + 600 * MS {
        let (saying, _) = bench.says_next();
        let at = (bench.now - begin).as_millis();
        bench.answer(if saying == "leave q_1" {
            Answer::Done
        } else {
            woken()
        });
        said.push((saying, at));
        // As the dispatcher does while it lasts.
        bench.parking.starves(1, bench.now);
    }
    let left = said.iter().position(|(said, _)| said == "leave q_1");
    let (before, after) = said.split_at(left.unwrap());
    let wake = |at| ("wake next q_1".to_owned(), at);
    assert_eq!(before, [5, 25, 45, 65, 85].map(wake));
    assert!((100..=120).contains(&after[0].1), "{after:?}");
    // Senders tell others by now. These are for those that had looked before.
    assert!(after.len() > 2, "{after:?}");
    assert!(after[1..].iter().all(|(said, _)| said == "wake next q_1"));
    let mut gaps = after[1..].windows(2).map(|it| it[1].1 - it[0].1);
    assert!(gaps.all(|gap| gap == 200), "{after:?}");
    bench.looked(1, 0);
    assert_eq!(bench.says(), "park q_1");
    assert_eq!(bench.holders(&[]), [1]);
}

#[test]
fn a_handler_that_is_free_in_time_changes_nothing() {
    let mut bench = Bench::parked(&[1]);
    bench.parking.starves(1, bench.now);
    bench.after(4 * MS);
    bench.looked(1, 1);
    assert_eq!(bench.says_next().0, "refresh q_1");
}

#[test]
fn who_was_alone_looks_for_others_more_rarely() {
    let mut bench = Bench::parked(&[1]);
    bench.looked_in_full(1);
    assert_eq!(bench.says(), "attend 1");
    bench.answer(Answer::Attends(true));
    assert_eq!(bench.says(), "wake next q_1");
    bench.answer(Answer::Others(false));
    let begin = bench.now;
    while bench.says() != "wake next q_1" {
        bench.looked_in_full(1);
        bench.after(MS);
    }
    assert_eq!(bench.now - begin, 200 * MS);
}

#[test]
fn who_attends_gives_the_lock_back_when_no_handler_is_free() {
    let mut bench = Bench::attending(&[1]);
    bench.parking.starves(1, bench.now);
    bench.after(100 * MS);
    assert_eq!(bench.says(), "leave q_1, unlock 1");
    bench.answer(Answer::Done);
    // Nor does it want it again while that lasts.
    assert_eq!(bench.says(), "wake next q_1");
    bench.answer(woken());
    assert_eq!(bench.says(), "nothing");
}

#[test]
fn a_queue_is_not_left_before_its_row_is_written() {
    let mut bench = Bench::found(&[1]);
    assert_eq!(bench.says(), "park q_1");
    bench.parking.starves(1, bench.now);
    bench.after(100 * MS);
    assert_eq!(bench.holders(&[]), [1]);
    bench.after(Duration::ZERO);
    assert_eq!(bench.says(), "leave q_1");
}

#[test]
fn a_look_that_begins_before_a_queue_is_left_keeps_it() {
    let mut bench = Bench::parked(&[1]);
    bench.parking.starves(1, bench.now);
    bench.after(100 * MS);
    bench.parking.looks(1);
    assert_eq!(bench.says(), "park q_1");
}

#[test]
fn a_paused_queue_is_left_at_once_and_others_are_woken() {
    let mut bench = Bench::attending(&[1, 2]);
    bench.parking.pauses(1, bench.now);
    assert_eq!(bench.says(), "leave q_1, unlock 1, attends");
    bench.answer(Answer::Done);
    assert_eq!(bench.says(), "wake next q_1");
    bench.answer(woken());
    bench.parking.looks(1);
    assert_eq!(bench.says(), "park q_1, attends");
}

#[test]
fn each_time_that_one_who_was_on_the_way_has_ended_another_is_woken() {
    let mut bench = Bench::parked(&[1]);
    bench.parking.pauses(1, bench.now);
    assert_eq!(bench.says(), "leave q_1");
    bench.holders(&[(1, "3/1"), (1, "4/1")]);
    assert_eq!(bench.says(), "wake next q_1");
    bench.answer(woken());
    bench.after(SECOND);
    assert_eq!(bench.says(), "ask 3/1 4/1");
    bench.holders(&[(1, "3/1"), (1, "4/1")]);
    assert_eq!(bench.says(), "nothing");
    bench.after(SECOND);
    assert_eq!(bench.says(), "ask 3/1 4/1");
    // It is not for this one to look.
    assert_eq!(bench.holders(&[(1, "3/1")]), NOWHERE);
    assert_eq!(bench.says(), "wake next q_1");
    bench.answer(woken());
    bench.after(SECOND);
    assert_eq!(bench.says(), "ask 3/1");
    bench.holders(&[]);
    assert_eq!(bench.says(), "wake next q_1");
    bench.answer(woken());
    bench.after(SECOND);
    assert_eq!(bench.says(), "nothing");
}

#[test]
fn the_end_leaves_all_queues_and_names_those_where_there_was_something_lately() {
    let mut bench = Bench::parked(&[1, 2, 3, 4]);
    bench.looked(1, 1);
    bench.after(MS);
    bench.told(2);
    bench.looked(3, 0);
    bench.after(999 * MS);
    bench.parking.starves(4, bench.now);
    let (job, mut lively) = bench.parking.end(bench.now).unwrap();
    assert_eq!(text(&job), "leave q_1 q_2 q_3 q_4");
    lively.sort_unstable_by_key(|it| it.attention);
    // In the first something was found a second ago.
    assert_eq!(lively, [watched(2), watched(4)]);
}

#[test]
fn the_end_gives_locks_back() {
    let mut bench = Bench::attending(&[1]);
    let (job, lively) = bench.parking.end(bench.now).unwrap();
    assert_eq!(text(&job), "leave q_1, unlock 1");
    assert_eq!(lively, [watched(1)]);
}

#[test]
fn who_has_no_such_queue_has_nothing_to_leave() {
    let mut bench = Bench::found(&[]);
    assert!(bench.parking.end(bench.now).is_none());
    assert_eq!(bench.says(), "nothing");
    assert_eq!(bench.parking.next_timer(), None);
}
