use super::*;

/// The application's side, as the listener does it.
struct Application<'a> {
    buffer: &'a Buffer,
    taken: Batch,
}

/// What one look brought: a notification, a gap, an end.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Notification(u32),
    Gap(ResumeReason),
    Nothing,
    End,
}

impl<'a> Application<'a> {
    fn of(buffer: &'a Buffer) -> Self {
        let taken = Batch::default();
        Self { buffer, taken }
    }

    fn next(&mut self) -> Seen {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.taken.next() {
                Some(Entry::Notification { payload, .. }) => {
                    self.buffer.consumed();
                    return Seen::Notification(payload.parse().unwrap());
                }
                Some(Entry::Resumed(resumed)) => return Seen::Gap(resumed.reason),
                None => match self.buffer.poll_take(&mut cx, &mut self.taken) {
                    Poll::Ready(Take::Entries) => {}
                    Poll::Ready(Take::Overflow(resumed)) => return Seen::Gap(resumed.reason),
                    Poll::Ready(Take::Ended) => return Seen::End,
                    Poll::Pending => return Seen::Nothing,
                },
            }
        }
    }

    fn all(&mut self) -> Vec<Seen> {
        let mut all = vec![self.next()];
        while !matches!(all.last(), Some(Seen::Nothing | Seen::End)) {
            all.push(self.next());
        }
        all
    }
}

fn open(capacity: usize) -> Buffer {
    let buffer = Buffer::new(capacity);
    buffer.open();
    buffer
}

fn push(buffer: &Buffer, numbers: impl IntoIterator<Item = u32>) -> Pushed {
    let mut batch = Batch::default();
    for number in numbers {
        batch.push("a channel", &number.to_string());
    }
    let pushed = buffer.push(&mut batch);
    assert!(batch.is_empty());
    pushed
}

/// All of it found room.
const STORED: Pushed = Pushed {
    dropped: 0,
    overflows: false,
    woke: false,
};

#[test]
fn an_overflow_is_one_gap_behind_everything_that_was_stored() {
    let whole = open(3);
    push(&whole, 1..=10);
    let one_by_one = open(3);
    for number in 1..=10 {
        push(&one_by_one, [number]);
    }
    for buffer in [whole, one_by_one] {
        let mut application = Application::of(&buffer);
        assert_eq!(application.next(), Seen::Notification(1));
        // There would be room again, but this one must not come before the gap.
        let pushed = push(&buffer, [11]);
        assert_eq!((pushed.dropped, pushed.overflows), (1, false));
        let rest = [
            Seen::Notification(2),
            Seen::Notification(3),
            Seen::Gap(ResumeReason::Overflow),
            Seen::Nothing,
        ];
        assert_eq!(application.all(), rest);
        assert_eq!(buffer.overflows(), (1, 8));
        push(&buffer, [12]);
        assert_eq!(application.all(), [Seen::Notification(12), Seen::Nothing]);
    }
}

#[test]
fn what_was_taken_and_not_consumed_still_needs_its_room() {
    let buffer = open(4);
    let mut application = Application::of(&buffer);
    push(&buffer, 1..=4);
    for number in 1..=2 {
        assert_eq!(application.next(), Seen::Notification(number));
    }
    // Two are taken and not consumed.
    assert_eq!(push(&buffer, [5]), STORED);
    let pushed = push(&buffer, [6, 7]);
    assert_eq!((pushed.dropped, pushed.overflows), (1, true));
    let pushed = push(&buffer, [8, 9]);
    assert_eq!((pushed.dropped, pushed.overflows), (2, false));
    let all = [
        Seen::Notification(3),
        Seen::Notification(4),
        Seen::Notification(5),
        Seen::Notification(6),
        Seen::Gap(ResumeReason::Overflow),
        Seen::Nothing,
    ];
    assert_eq!(application.all(), all);
}

#[test]
fn a_buffer_of_one_lets_one_after_the_other_through() {
    let buffer = open(1);
    let mut application = Application::of(&buffer);
    for number in 1..=3 {
        assert_eq!(push(&buffer, [number]), STORED);
        assert_eq!(application.next(), Seen::Notification(number));
    }
    assert_eq!(buffer.overflows(), (0, 0));
}

#[test]
fn gaps_in_a_row_are_one_and_take_no_room() {
    let buffer = open(1);
    let mut application = Application::of(&buffer);
    let second = Duration::from_secs(1);
    for _ in 0..100 {
        buffer.push_resumed(ResumeReason::Reconnected, second);
    }
    assert_eq!(push(&buffer, [1]), STORED);
    let mut taken = Batch::default();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(buffer.poll_take(&mut cx, &mut taken).is_ready());
    let (reason, gap) = (ResumeReason::Reconnected, 100 * second);
    let resumed = ResumedEvent { reason, gap };
    assert_eq!(taken.next(), Some(Entry::Resumed(resumed)));
    application.taken = taken;
    assert_eq!(application.all(), [Seen::Notification(1), Seen::Nothing]);
}

#[test]
fn a_gap_within_an_overflow_is_covered_by_its_mark() {
    let buffer = open(1);
    let mut application = Application::of(&buffer);
    push(&buffer, [1, 2]);
    buffer.push_resumed(ResumeReason::Reconnected, Duration::from_secs(1));
    let all = [
        Seen::Notification(1),
        Seen::Gap(ResumeReason::Overflow),
        Seen::Nothing,
    ];
    assert_eq!(application.all(), all);
}

#[test]
fn only_an_application_that_waits_is_woken_and_only_once() {
    let buffer = open(10);
    let mut application = Application::of(&buffer);
    assert!(!push(&buffer, [1]).woke);
    application.all();
    assert!(push(&buffer, [2]).woke);
    assert!(!push(&buffer, [3]).woke);
}

#[test]
fn a_batch_behind_others_keeps_its_place() {
    let buffer = open(100);
    let mut application = Application::of(&buffer);
    push(&buffer, 1..=2);
    push(&buffer, [3]);
    buffer.push_resumed(ResumeReason::Reconnected, Duration::from_secs(1));
    push(&buffer, 4..=5);
    assert_eq!(application.next(), Seen::Notification(1));
    push(&buffer, [6]);
    let all = [
        Seen::Notification(2),
        Seen::Notification(3),
        Seen::Gap(ResumeReason::Reconnected),
        Seen::Notification(4),
        Seen::Notification(5),
        Seen::Notification(6),
        Seen::Nothing,
    ];
    assert_eq!(application.all(), all);
}

#[test]
fn what_was_stored_outlives_the_reader() {
    let buffer = open(10);
    let mut application = Application::of(&buffer);
    push(&buffer, [1]);
    buffer.end();
    assert_eq!(application.all(), [Seen::Notification(1), Seen::End]);
    buffer.open();
    assert_eq!(application.next(), Seen::Nothing);
}

#[test]
fn a_reader_takes_turns_before_it_has_filled_the_buffer() {
    for (capacity, turn) in [(1, 1), (2, 1), (10, 5), (1000, 128), (usize::MAX, 128)] {
        assert_eq!(open(capacity).turn(), turn, "{capacity}");
    }
}
