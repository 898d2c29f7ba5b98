use super::*;

const POLL: Duration = Duration::from_secs(30);
const SECOND: Duration = Duration::from_secs(1);

fn any(_: QueueId, _: Reason) -> bool {
    true
}

const NOTHING: Seen<'_> = Seen {
    messages: &[],
    is_whole: true,
    is_full: false,
    waited: Duration::ZERO,
    due: None,
    taken: None,
    again: None,
    holds: Holds::Nothing,
};
const FULL_BATCH: Seen<'_> = Seen {
    messages: &[1],
    is_full: true,
    again: Some(Reason::FullBatch),
    ..NOTHING
};

fn next(schedule: &mut Schedule) -> Option<(QueueId, Reason)> {
    schedule.next(any).map(|turn| (turn.id, turn.reason))
}

/// Queues that were looked at and found empty.
fn idle(ids: &[QueueId], now: Instant) -> Schedule {
    let mut schedule = Schedule::new(POLL);
    for id in ids {
        schedule.add(*id, now);
        assert_eq!(next(&mut schedule), Some((*id, Reason::Start)));
        schedule.looked(*id, now, &NOTHING, 0.5);
    }
    schedule
}

#[test]
fn queues_take_turns() {
    let now = Instant::now();
    let mut schedule = idle(&[1, 2, 3], now);
    schedule.wake_all(Reason::Event);
    let mut order = Vec::new();
    for _ in 0..6 {
        let (id, _) = next(&mut schedule).unwrap();
        order.push(id);
        schedule.looked(id, now, &FULL_BATCH, 0.5);
    }
    assert_eq!(order[..3], order[3..]);
}

#[test]
fn one_that_may_not_have_its_turn_yet_does_not_hold_up_the_others_and_keeps_its_place() {
    let now = Instant::now();
    let mut schedule = idle(&[1, 2], now);
    schedule.wake(1, Reason::Event);
    schedule.wake(2, Reason::Event);
    let turn = schedule.next(|id, _| id != 1).unwrap();
    assert_eq!((turn.id, turn.reason), (2, Reason::Event));
    schedule.looked(2, now, &FULL_BATCH, 0.5);
    assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
}

#[test]
fn an_event_during_a_look_leads_to_another_look() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    schedule.wake(1, Reason::Start);
    next(&mut schedule).unwrap();
    schedule.told(1, Some(7), now, 0.5);
    assert_eq!(next(&mut schedule), None);
    schedule.looked(1, now, &NOTHING, 0.5);
    assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
}

#[test]
fn it_sleeps_until_the_earliest_due_time() {
    let now = Instant::now();
    let mut schedule = idle(&[1, 2], now);
    schedule.wake(1, Reason::Start);
    next(&mut schedule).unwrap();
    // An event came while the look was under way.
    schedule.due(1, now + 3 * SECOND);
    let seen = Seen {
        due: Some(5 * SECOND),
        ..NOTHING
    };
    schedule.looked(1, now, &seen, 0.5);
    assert_eq!(schedule.next_timer(), Some(now + 3 * SECOND));
    schedule.expire(now + 2 * SECOND, || 0.5);
    assert_eq!(next(&mut schedule), None);
    schedule.expire(now + 3 * SECOND, || 0.5);
    assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
}

#[test]
fn a_look_at_single_messages_keeps_the_due_time_and_the_safety_poll() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    schedule.due(1, now + 3 * SECOND);
    schedule.told(1, Some(7), now, 0.5);
    next(&mut schedule).unwrap();
    schedule.due(1, now + 5 * SECOND);
    let seen = Seen {
        messages: &[7],
        is_whole: false,
        ..NOTHING
    };
    schedule.looked(1, now, &seen, 0.5);
    assert_eq!(schedule.next_timer(), Some(now + 3 * SECOND));
    schedule.expire(now + 3 * SECOND, || 0.5);
    assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
    schedule.looked(1, now, &NOTHING, 0.5);
    assert_eq!(schedule.next_timer(), Some(now + POLL));
}

#[test]
fn what_becomes_due_is_looked_for_though_an_event_came_first() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    schedule.due(1, now + SECOND);
    schedule.told(1, None, now, 0.5);
    schedule.expire(now + SECOND, || 0.5);
    schedule.told(1, None, now, 0.5);
    assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
}

#[test]
fn what_somebody_else_took_is_looked_for_when_his_claim_may_have_ended() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    schedule.told(1, Some(7), now, 0.5);
    next(&mut schedule).unwrap();
    let seen = Seen {
        is_whole: false,
        taken: Some(5 * SECOND),
        ..NOTHING
    };
    schedule.looked(1, now, &seen, 0.5);
    schedule.expire(now + 4 * SECOND, || 0.5);
    assert_eq!(next(&mut schedule), None);
    // Who has lost lets others go first.
    schedule.expire(now + 5 * SECOND, || 0.5);
    schedule.expire(now + 6 * SECOND, || 0.5);
    assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
}

#[test]
fn without_a_due_time_it_sleeps_until_the_safety_poll() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    assert_eq!(schedule.next_timer(), Some(now + POLL));
    schedule.expire(now + POLL, || 0.5);
    assert_eq!(next(&mut schedule), Some((1, Reason::SafetyPoll)));
}

#[test]
fn after_a_failure_nothing_wakes_it_before_its_time() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    schedule.wake(1, Reason::Event);
    next(&mut schedule).unwrap();
    schedule.failed(1, now + SECOND);
    schedule.wake(1, Reason::Event);
    assert_eq!(next(&mut schedule), None);
    schedule.expire(now + SECOND, || 0.5);
    assert_eq!(next(&mut schedule), Some((1, Reason::Failed)));
}

#[test]
fn a_paused_queue_is_not_looked_at_and_forgets_nothing() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    schedule.wake(1, Reason::Event);
    assert!(schedule.pause(1));
    assert_eq!(next(&mut schedule), None);
    schedule.wake(1, Reason::Event);
    schedule.expire(now + POLL, || 0.5);
    assert_eq!(next(&mut schedule), None);
    assert!(schedule.resume(1));
    assert_eq!(next(&mut schedule), Some((1, Reason::SafetyPoll)));
    assert!(!schedule.pause(7));
}

#[test]
fn a_queue_that_has_left_is_not_looked_at() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    schedule.wake(1, Reason::Event);
    schedule.remove(1);
    assert_eq!(next(&mut schedule), None);
    assert_eq!(schedule.next_timer(), None);
    schedule.looked(1, now, &FULL_BATCH, 0.5);
    assert_eq!(next(&mut schedule), None);
}

/// A queue at which others were quicker often enough to wait for 50 milliseconds.
fn losing(now: Instant) -> Schedule {
    let mut schedule = idle(&[1], now);
    for n in 0..6 {
        schedule.told(1, Some(n), now, 0.0);
        schedule.expire(now + millis(50), || 0.0);
        assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
        schedule.looked(1, now, &NOTHING, 0.0);
    }
    schedule
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn who_has_lost_often_lets_others_go_first_and_looks_once_for_many_events() {
    let now = Instant::now();
    let mut schedule = losing(now);
    let now = now + SECOND;
    schedule.told(1, Some(100), now, 0.5);
    schedule.told(1, Some(101), now + millis(1), 0.9);
    assert_eq!(next(&mut schedule), None);
    assert!(!schedule.is_quiet(now));
    assert_eq!(schedule.next_timer(), Some(now + millis(25)));
    schedule.expire(now + millis(25), || 0.5);
    let turn = schedule.next(any).unwrap();
    assert_eq!((turn.reason, turn.has_yielded), (Reason::Event, true));
    schedule.looked(1, now + millis(26), &NOTHING, 0.5);
    assert_eq!(next(&mut schedule), None);
    assert_eq!(schedule.next_timer(), Some(now + millis(26) + POLL));
}

#[test]
fn a_due_time_that_others_know_too_is_left_to_them_first() {
    let now = Instant::now();
    let mut schedule = losing(now);
    schedule.due(1, now + SECOND);
    schedule.expire(now + SECOND, || 0.2);
    assert_eq!(next(&mut schedule), None);
    schedule.expire(now + SECOND + millis(10), || 0.2);
    let turn = schedule.next(any).unwrap();
    assert_eq!((turn.reason, turn.has_yielded), (Reason::Due, true));
}

#[test]
fn what_only_this_consumer_knows_waits_for_nobody() {
    let now = Instant::now();
    let mut schedule = losing(now);
    for reason in [Reason::Reconnected, Reason::Settled, Reason::Start] {
        let now = now + SECOND;
        schedule.told(1, Some(100), now, 1.0);
        assert_eq!(next(&mut schedule), None);
        schedule.wake(1, reason);
        assert_eq!(next(&mut schedule), Some((1, reason)));
        // An event during a look that brings as much as was asked for.
        schedule.told(1, Some(101), now, 1.0);
        schedule.looked(1, now, &FULL_BATCH, 1.0);
        assert_eq!(next(&mut schedule), Some((1, Reason::FullBatch)));
        schedule.looked(1, now, &NOTHING, 1.0);
    }
}

#[test]
fn an_event_of_a_message_that_was_claimed_already_is_no_loss() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    for n in 0..20 {
        schedule.told(1, Some(2 * n), now, 1.0);
        assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
        // The event of the second one comes when it is claimed already.
        schedule.told(1, Some(2 * n + 1), now, 1.0);
        let seen = Seen {
            messages: &[2 * n, 2 * n + 1],
            ..NOTHING
        };
        schedule.looked(1, now, &seen, 1.0);
        assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
        schedule.looked(1, now, &NOTHING, 1.0);
    }
}

#[test]
fn the_due_time_of_an_own_lease_is_no_loss() {
    let now = Instant::now();
    let mut schedule = idle(&[1], now);
    let seen = Seen {
        holds: Holds::Messages,
        ..NOTHING
    };
    for _ in 0..20 {
        schedule.due(1, now);
        schedule.expire(now, || 1.0);
        assert_eq!(next(&mut schedule), Some((1, Reason::Due)));
        schedule.looked(1, now, &seen, 1.0);
    }
}

#[test]
fn a_pause_does_not_end_with_the_yielding() {
    let now = Instant::now();
    let mut schedule = losing(now);
    let now = now + SECOND;
    schedule.told(1, Some(100), now, 1.0);
    assert!(schedule.pause(1));
    schedule.expire(now + millis(50), || 1.0);
    assert_eq!(next(&mut schedule), None);
    assert!(schedule.resume(1));
    assert_eq!(next(&mut schedule), Some((1, Reason::Event)));
}
