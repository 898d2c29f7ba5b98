use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use pgmq_notify_core::{PgmqNotifyEvent, ResumeReason};

use crate::handlers::Outcome;

const EVENTS: &str = "pgmq_notify_listener_events_total";
const GAPS: &str = "pgmq_notify_listener_gaps_total";
const RECONNECTS: &str = "pgmq_notify_listener_reconnects_total";
const OVERFLOWED_EVENTS: &str = "pgmq_notify_listener_overflowed_events_total";
const UNREADABLE: &str = "pgmq_notify_listener_unreadable_total";
const CATCH_UPS: &str = "pgmq_notify_listener_catch_ups_total";
const CAUGHT_UP_EVENTS: &str = "pgmq_notify_listener_caught_up_events_total";
const HANDLED: &str = "pgmq_notify_listener_handled_total";
const ROUND_TRIP: &str = "pgmq_notify_listener_round_trip_seconds";
const CONNECTED: &str = "pgmq_notify_listener_connected";

/// Handles of the recorder, asked for once: by name each would cost a look into a table.
#[derive(Debug)]
pub(crate) struct Meters {
    queue_created: Counter,
    queue_dropped: Counter,
    message_ready: Counter,
    message_with_payload: Counter,
    batch_ready: Counter,
    resumed: Counter,
    lost_sessions: Counter,
    overflows: Counter,
    reconnects: Counter,
    overflowed_events: Counter,
    unknown_event_types: Counter,
    invalid_payloads: Counter,
    catch_ups: Counter,
    caught_up_events: Counter,
    handled: Counter,
    failed: Counter,
    panicked: Counter,
    round_trip: Histogram,
    connected: Gauge,
}

impl Meters {
    /// Of the recorder that is in effect now.
    pub(crate) fn register() -> Self {
        describe();
        let events = |kind: &'static str| counter!(EVENTS, "kind" => kind);
        let gaps = |reason: ResumeReason| counter!(GAPS, "reason" => reason.as_str());
        Self {
            queue_created: events("queue_created"),
            queue_dropped: events("queue_dropped"),
            message_ready: events("message_ready"),
            message_with_payload: events("message_with_payload"),
            batch_ready: events("batch_ready"),
            resumed: events("resumed"),
            lost_sessions: gaps(ResumeReason::Reconnected),
            overflows: gaps(ResumeReason::Overflow),
            reconnects: counter!(RECONNECTS),
            overflowed_events: counter!(OVERFLOWED_EVENTS),
            unknown_event_types: counter!(UNREADABLE, "reason" => "unknown_event_type"),
            invalid_payloads: counter!(UNREADABLE, "reason" => "invalid_payload"),
            catch_ups: counter!(CATCH_UPS),
            caught_up_events: counter!(CAUGHT_UP_EVENTS),
            handled: counter!(HANDLED, "outcome" => "ok"),
            failed: counter!(HANDLED, "outcome" => "error"),
            panicked: counter!(HANDLED, "outcome" => "panic"),
            round_trip: histogram!(ROUND_TRIP),
            connected: gauge!(CONNECTED),
        }
    }

    pub(crate) fn event(&self, event: &PgmqNotifyEvent) {
        let counter = match event {
            PgmqNotifyEvent::QueueCreated(_) => &self.queue_created,
            PgmqNotifyEvent::QueueDropped(_) => &self.queue_dropped,
            PgmqNotifyEvent::MessageReady(_) => &self.message_ready,
            PgmqNotifyEvent::MessageWithPayload(_) => &self.message_with_payload,
            PgmqNotifyEvent::BatchReady(_) => &self.batch_ready,
            PgmqNotifyEvent::Resumed(_) => &self.resumed,
            // An event of a newer core, which this version of the decoder does not make.
            _ => return,
        };
        counter.increment(1);
    }

    pub(crate) fn gap(&self, reason: ResumeReason) {
        match reason {
            ResumeReason::Overflow => self.overflows.increment(1),
            // The listener gives no third reason.
            _ => self.lost_sessions.increment(1),
        }
    }

    pub(crate) fn reconnected(&self) {
        self.reconnects.increment(1);
    }

    pub(crate) fn overflowed(&self, events: u64) {
        self.overflowed_events.increment(events);
    }

    pub(crate) fn unreadable(&self, is_unknown_type: bool) {
        if is_unknown_type {
            self.unknown_event_types.increment(1);
        } else {
            self.invalid_payloads.increment(1);
        }
    }

    pub(crate) fn catch_up(&self) {
        self.catch_ups.increment(1);
    }

    pub(crate) fn caught_up(&self) {
        self.caught_up_events.increment(1);
    }

    pub(crate) fn handled(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Handled => &self.handled,
            Outcome::Failed => &self.failed,
            Outcome::Panicked => &self.panicked,
        };
        counter.increment(1);
    }

    pub(crate) fn answered(&self, round_trip: Duration) {
        self.round_trip.record(round_trip);
    }

    /// Called when it changes. The gauge is not set: listeners of one process share it.
    pub(crate) fn connected(&self, is_connected: bool) {
        if is_connected {
            self.connected.increment(1.0);
        } else {
            self.connected.decrement(1.0);
        }
    }
}

fn describe() {
    for (name, description) in [
        (EVENTS, "Events that the application took."),
        (GAPS, "Times that events may have been missed."),
        (RECONNECTS, "Sessions made after a lost one."),
        (
            OVERFLOWED_EVENTS,
            "Notifications that a full buffer did not take.",
        ),
        (UNREADABLE, "Notifications that are no event."),
        (CATCH_UPS, "Catch-ups that came to their end."),
        (CAUGHT_UP_EVENTS, "Events that a catch-up found."),
        (HANDLED, "Events whose handler ended."),
    ] {
        describe_counter!(name, Unit::Count, description);
    }
    let answers = "Time until a silent server answers.";
    describe_histogram!(ROUND_TRIP, Unit::Seconds, answers);
    describe_gauge!(CONNECTED, Unit::Count, "Listeners that have a session.");
}
