use super::*;

/// The application's side, as the listener does it.
struct Application<'a> {
    buffer: &'a Buffer<u32>,
    taken: VecDeque<Entry<u32>>,
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
    fn of(buffer: &'a Buffer<u32>) -> Self {
        let taken = VecDeque::new();
        Self { buffer, taken }
    }

    fn next(&mut self) -> Seen {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            match self.taken.pop_front() {
                Some(Entry::Notification(number)) => {
                    self.buffer.consumed();
                    return Seen::Notification(number);
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

fn open(capacity: usize) -> Buffer<u32> {
    let buffer = Buffer::new(capacity);
    buffer.open();
    buffer
}

#[test]
fn an_overflow_is_one_gap_behind_everything_that_was_stored() {
    let buffer = open(3);
    let mut application = Application::of(&buffer);
    for number in 1..=10 {
        buffer.push(number);
    }
    assert_eq!(application.next(), Seen::Notification(1));
    // There would be room again, but this one must not come before the gap.
    assert_eq!(buffer.push(11), Push::Overflowed);
    let rest = [
        Seen::Notification(2),
        Seen::Notification(3),
        Seen::Gap(ResumeReason::Overflow),
        Seen::Nothing,
    ];
    assert_eq!(application.all(), rest);
    assert_eq!(buffer.overflows(), (1, 8));
    buffer.push(12);
    assert_eq!(application.all(), [Seen::Notification(12), Seen::Nothing]);
}

#[test]
fn what_was_taken_and_not_consumed_still_needs_its_room() {
    let buffer = open(4);
    let mut application = Application::of(&buffer);
    for number in 1..=4 {
        buffer.push(number);
    }
    for number in 1..=2 {
        assert_eq!(application.next(), Seen::Notification(number));
    }
    // Two are taken and not consumed.
    assert_eq!(buffer.push(5), Push::Stored);
    assert_eq!(buffer.push(6), Push::Stored);
    assert_eq!(buffer.push(7), Push::Full);
    assert_eq!(buffer.push(8), Push::Overflowed);
}

#[test]
fn a_buffer_of_one_lets_one_after_the_other_through() {
    let buffer = open(1);
    let mut application = Application::of(&buffer);
    for number in 1..=3 {
        assert_eq!(buffer.push(number), Push::Stored);
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
    assert_eq!(buffer.push(1), Push::Stored);
    let gap = |state: &State<u32>| match &state.entries[0] {
        Entry::Resumed(resumed) => resumed.gap,
        Entry::Notification(_) => panic!("the gap comes first"),
    };
    assert_eq!(gap(&buffer.state()), 100 * second);
    let all = [
        Seen::Gap(ResumeReason::Reconnected),
        Seen::Notification(1),
        Seen::Nothing,
    ];
    assert_eq!(application.all(), all);
}

#[test]
fn a_gap_within_an_overflow_is_covered_by_its_mark() {
    let buffer = open(1);
    let mut application = Application::of(&buffer);
    buffer.push(1);
    buffer.push(2);
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
    buffer.push(1);
    assert!(!buffer.wake());
    application.all();
    buffer.push(2);
    assert!(buffer.wake());
    buffer.push(3);
    assert!(!buffer.wake());
}

#[test]
fn what_was_stored_outlives_the_reader() {
    let buffer = open(10);
    let mut application = Application::of(&buffer);
    buffer.push(1);
    buffer.end();
    assert_eq!(application.all(), [Seen::Notification(1), Seen::End]);
    buffer.open();
    assert_eq!(application.next(), Seen::Nothing);
}

#[test]
fn a_reader_takes_turns_before_it_has_filled_the_buffer() {
    for (capacity, turn) in [(1, 1), (2, 1), (10, 5), (1000, 64), (usize::MAX, 64)] {
        assert_eq!(open(capacity).turn(), turn, "{capacity}");
    }
}
