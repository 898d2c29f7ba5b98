use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pgmq_notify_core::{PgmqNotifyEvent, QueueName};
use tokio::time::{Instant, Sleep, sleep_until};

/// Further away is as good as never, and no timer can keep it.
const FURTHEST: Duration = Duration::from_hours(365 * 24);

/// Events of messages that nobody can read yet.
///
/// Bounded: of more, those that are due first are held. Of the others it is remembered when the first
/// is due; what the application then gets is a look into the tables.
#[derive(Debug)]
pub(crate) struct Held {
    capacity: usize,
    /// By the time at which they are due, and in the order in which they came.
    events: BTreeMap<(Instant, u64), PgmqNotifyEvent>,
    came: u64,
    /// Those of the events that were held over a gap: whatever is said of their messages later
    /// replaces them.
    kept: HashMap<(QueueName, i64), (Instant, u64)>,
    spilled: Option<Spilled>,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug)]
struct Spilled {
    since: Instant,
    due: Instant,
}

/// What is due.
#[derive(Debug)]
pub(crate) enum Due {
    Event(PgmqNotifyEvent),
    /// Some event that was not held for lack of room; for so long there has been one.
    Spilled(Duration),
}

impl Held {
    /// `capacity` is not 0.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            events: BTreeMap::new(),
            came: 0,
            kept: HashMap::new(),
            spilled: None,
            timer: None,
        }
    }

    /// Returns the event when its message is visible already.
    ///
    /// It waits for as long as the message had to when its event was made, from now on: the server's
    /// clock and ours need not agree, and nothing comes too early.
    pub(crate) fn hold(&mut self, event: PgmqNotifyEvent) -> Option<PgmqNotifyEvent> {
        self.replace(&event);
        let Some(wait) = delay(&event) else {
            return Some(event);
        };
        let now = Instant::now();
        self.came += 1;
        self.events
            .insert((now + wait.min(FURTHEST), self.came), event);
        if self.events.len() > self.capacity
            && let Some(((due, _), _)) = self.events.pop_last()
        {
            let spilled = self.spilled.get_or_insert(Spilled { since: now, due });
            spilled.due = spilled.due.min(due);
        }
        None
    }

    /// Forgets what a look into the tables finds again.
    ///
    /// A message that is to be retried was read before and is invisible, like one that somebody holds:
    /// nobody finds it, so its event stays. It has no body, as that of a message that was sent may have
    /// none either; the look then finds that one, and replaces it.
    pub(crate) fn expect_a_look(&mut self) {
        self.spilled = None;
        self.timer = None;
        self.kept.clear();
        let kept = &mut self.kept;
        self.events.retain(|place, event| {
            let PgmqNotifyEvent::MessageReady(event) = event else {
                return false;
            };
            kept.insert((event.queue_name.clone(), event.msg_id), *place);
            true
        });
    }

    fn replace(&mut self, event: &PgmqNotifyEvent) {
        if self.kept.is_empty() {
            return;
        }
        let msg_ids = match event {
            PgmqNotifyEvent::MessageReady(event) => std::slice::from_ref(&event.msg_id),
            PgmqNotifyEvent::MessageWithPayload(event) => std::slice::from_ref(&event.msg_id),
            PgmqNotifyEvent::BatchReady(event) => &event.msg_ids,
            _ => return,
        };
        let Some(queue) = event.queue_name() else {
            return;
        };
        for msg_id in msg_ids {
            if let Some(place) = self.kept.remove(&(queue.clone(), *msg_id)) {
                self.events.remove(&place);
            }
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.events.clear();
        self.kept.clear();
        self.spilled = None;
        self.timer = None;
    }

    /// What is due now.
    pub(crate) fn pop(&mut self) -> Option<Due> {
        let next = self.next()?;
        if next > Instant::now() {
            return None;
        }
        match self.events.first_key_value() {
            Some(((due, _), _)) if *due == next => {
                self.events.pop_first().map(|(_, event)| Due::Event(event))
            }
            _ => self
                .spilled
                .take()
                .map(|it| Due::Spilled(it.since.elapsed())),
        }
    }

    /// Ready when something is due. Never, when nothing is held.
    ///
    /// # Panics
    ///
    /// Outside of a runtime with a timer.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(next) = self.next() else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(next)));
        if timer.deadline() != next {
            timer.as_mut().reset(next);
        }
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(())
    }

    fn next(&self) -> Option<Instant> {
        let event = self.events.first_key_value().map(|((due, _), _)| *due);
        let spilled = self.spilled.map(|spilled| spilled.due);
        event.into_iter().chain(spilled).min()
    }
}

/// How long the message of an event was invisible when the event was made; `None` when it was not.
fn delay(event: &PgmqNotifyEvent) -> Option<Duration> {
    let (ready_at, visible_at) = match event {
        PgmqNotifyEvent::MessageReady(event) => (event.ready_at, event.visible_at),
        PgmqNotifyEvent::MessageWithPayload(event) => (event.ready_at, event.visible_at),
        PgmqNotifyEvent::BatchReady(event) => (event.ready_at, event.visible_at),
        _ => return None,
    };
    let delay = visible_at.duration_since(ready_at).ok()?;
    (!delay.is_zero()).then_some(delay)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::SystemTime;

    use pgmq_notify_core::{MessageReadyEvent, Namespace, QueueName};

    use super::*;

    fn message(msg_id: i64, delay: u64) -> PgmqNotifyEvent {
        let ready_at = SystemTime::UNIX_EPOCH;
        PgmqNotifyEvent::MessageReady(MessageReadyEvent {
            queue_name: QueueName::new("q").unwrap(),
            namespace: Namespace::default(),
            msg_id,
            ready_at,
            visible_at: ready_at + Duration::from_secs(delay),
            wakes: Vec::new(),
        })
    }

    async fn next(held: &mut Held) -> Option<i64> {
        poll_fn(|cx| held.poll_due(cx)).await;
        match held.pop().unwrap() {
            Due::Event(PgmqNotifyEvent::MessageReady(event)) => Some(event.msg_id),
            Due::Event(other) => panic!("{other:?}"),
            Due::Spilled(_) => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_delayed_comes_in_time_and_in_order() {
        let mut held = Held::new(10);
        assert!(held.hold(message(1, 0)).is_some());
        let start = Instant::now();
        for (msg_id, delay) in [(2, 20), (3, 10), (4, 20), (5, 1)] {
            assert!(held.hold(message(msg_id, delay)).is_none());
        }
        assert!(held.pop().is_none());
        for (msg_id, delay) in [(5, 1), (3, 10), (2, 20), (4, 20)] {
            assert_eq!(next(&mut held).await, Some(msg_id));
            assert_eq!(start.elapsed().as_secs(), delay);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_bound_the_first_are_held_and_the_others_come_due_together() {
        let mut held = Held::new(2);
        for (msg_id, delay) in [(1, 40), (2, 30), (3, 20), (4, 10)] {
            held.hold(message(msg_id, delay));
        }
        let start = Instant::now();
        assert_eq!(next(&mut held).await, Some(4));
        assert_eq!(next(&mut held).await, Some(3));
        assert_eq!(next(&mut held).await, None);
        assert_eq!(start.elapsed().as_secs(), 30);
        assert!(held.pop().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn over_a_gap_stays_what_no_look_finds_and_what_it_finds_comes_once() {
        let mut held = Held::new(10);
        for (msg_id, delay) in [(1, 10), (2, 20), (3, 30), (4, 40)] {
            held.hold(message(msg_id, delay));
        }
        let PgmqNotifyEvent::MessageReady(one) = message(5, 5) else {
            unreachable!("it is of one message");
        };
        let batch = |msg_ids: Vec<i64>, delay| {
            PgmqNotifyEvent::BatchReady(pgmq_notify_core::BatchReadyEvent {
                queue_name: one.queue_name.clone(),
                namespace: one.namespace.clone(),
                message_count: msg_ids.len() as u64,
                msg_ids,
                ready_at: one.ready_at,
                visible_at: one.ready_at + Duration::from_secs(delay),
                wakes: Vec::new(),
            })
        };
        held.hold(batch(vec![5, 6], 1));
        held.expect_a_look();
        // The look: 2 waits longer now, 3 and 4 are visible.
        assert!(held.hold(message(2, 50)).is_none());
        assert!(held.hold(batch(vec![3, 4], 0)).is_some());
        let start = Instant::now();
        for (msg_id, seconds) in [(1, 10), (2, 50)] {
            assert_eq!(next(&mut held).await, Some(msg_id));
            assert_eq!(start.elapsed().as_secs(), seconds);
        }
        assert!(held.next().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_that_no_timer_can_keep_is_far_away() {
        let mut held = Held::new(1);
        assert!(held.hold(message(1, u64::from(u32::MAX) * 50)).is_none());
        held.hold(message(2, 5));
        assert_eq!(next(&mut held).await, Some(2));
        held.clear();
        assert!(held.pop().is_none());
    }
}
