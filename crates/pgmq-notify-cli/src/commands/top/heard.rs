//! What was heard between two looks.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use pgmq_notify_core::PgmqNotifyEvent;

/// Latencies of a queue that are kept, the latest ones.
const KEPT: usize = 256;

/// Events by queue, as its name is in the events.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(BTreeMap<String, OfQueue>);

/// The events of a queue.
#[derive(Clone, Debug, Default)]
pub(super) struct OfQueue {
    pub(super) events: u64,
    /// Seconds from the trigger to here, by two clocks.
    latencies: Vec<f64>,
}

impl Heard {
    pub(super) fn count(&mut self, event: &PgmqNotifyEvent, now: SystemTime) {
        let ready_at = match event {
            PgmqNotifyEvent::MessageReady(event) => event.ready_at,
            PgmqNotifyEvent::MessageWithPayload(event) => event.ready_at,
            PgmqNotifyEvent::BatchReady(event) => event.ready_at,
            _ => return,
        };
        let Some(name) = event.queue_name() else {
            return;
        };
        if !self.0.contains_key(name.as_str()) {
            self.0.insert(name.as_str().to_owned(), OfQueue::default());
        }
        if let Some(queue) = self.0.get_mut(name.as_str()) {
            let latency = seconds(now) - seconds(ready_at);
            let at = usize::try_from(queue.events).unwrap_or(0) % KEPT;
            match queue.latencies.get_mut(at) {
                Some(place) => *place = latency,
                None => queue.latencies.push(latency),
            }
            queue.events += 1;
        }
    }

    pub(super) fn of(&self, queue: &str) -> Option<&OfQueue> {
        self.0.get(queue)
    }

    pub(super) fn events(&self) -> u64 {
        self.0.values().map(|queue| queue.events).sum()
    }

    /// The median of all queues, in seconds, by two clocks.
    pub(super) fn latency(&self) -> Option<f64> {
        median(self.0.values().flat_map(|queue| &queue.latencies))
    }
}

impl OfQueue {
    /// The median, in seconds, by two clocks.
    pub(super) fn latency(&self) -> Option<f64> {
        median(&self.latencies)
    }
}

fn median<'a>(values: impl IntoIterator<Item = &'a f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().copied().collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn seconds(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn event(queue: &str) -> PgmqNotifyEvent {
        let json = format!(
            r#"{{"event_type":"message_ready","queue_name":"{queue}","namespace":"n","msg_id":1,"ready_at":"1970-01-01T00:01:00Z","visible_at":"1970-01-01T00:01:00Z"}}"#
        );
        PgmqNotifyEvent::from_json(&json).unwrap()
    }

    #[test]
    fn events_are_counted_by_queue_and_latencies_are_the_latest() {
        let mut heard = Heard::default();
        for n in 0..1000 {
            let at = UNIX_EPOCH + Duration::from_mins(1) + Duration::from_millis(n);
            heard.count(&event("a"), at);
        }
        heard.count(&event("b"), UNIX_EPOCH + Duration::from_secs(61));
        let a = heard.of("a").unwrap();
        assert_eq!((a.events, a.latencies.len()), (1000, KEPT));
        // Of 744 to 999 milliseconds.
        assert!((a.latency().unwrap() - 0.872).abs() < 1e-6, "{a:?}");
        assert!((heard.of("b").unwrap().latency().unwrap() - 1.0).abs() < 1e-6);
        assert_eq!(heard.events(), 1001);
        assert!(Heard::default().latency().is_none());
    }
}
