//! What a consumer counts, for [`ConsumerStats`] and, with the feature `metrics`, for the recorder of the
//! crate of that name.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

use super::reason::Reason;
use super::{ConsumerStats, WakeUps};

const CLAIMS: &str = "pgmq_notify_consumer_claims_total";
const EMPTY_CLAIMS: &str = "pgmq_notify_consumer_empty_claims_total";
const CLAIMED: &str = "pgmq_notify_consumer_claimed_total";
const DONE: &str = "pgmq_notify_consumer_done_total";
const RETRIED: &str = "pgmq_notify_consumer_retried_total";
const DEAD: &str = "pgmq_notify_consumer_dead_total";
const RELEASED: &str = "pgmq_notify_consumer_released_total";
const UNDECODABLE: &str = "pgmq_notify_consumer_undecodable_total";
const PANICKED: &str = "pgmq_notify_consumer_panicked_total";
const LOST_LEASES: &str = "pgmq_notify_consumer_lost_leases_total";
const EXPIRED_LEASES: &str = "pgmq_notify_consumer_expired_leases_total";
const UNSETTLED: &str = "pgmq_notify_consumer_unsettled_total";
const PARKING: &str = "pgmq_notify_consumer_parking_total";
const WAKE_UPS: &str = "pgmq_notify_consumer_wake_ups_total";
#[cfg(feature = "metrics")]
const WAIT: &str = "pgmq_notify_consumer_wait_seconds";

/// One number, and its meter.
#[derive(Debug)]
pub(crate) struct Count {
    value: AtomicU64,
    #[cfg(feature = "metrics")]
    meter: Counter,
}

impl Count {
    /// With the recorder that is in effect now.
    #[cfg(feature = "metrics")]
    fn new(name: &'static str) -> Self {
        Self {
            value: AtomicU64::new(0),
            meter: counter!(name),
        }
    }

    #[cfg(not(feature = "metrics"))]
    fn new(_: &'static str) -> Self {
        Self {
            value: AtomicU64::new(0),
        }
    }

    /// The one of [`WAKE_UPS`] with this label.
    #[cfg(feature = "metrics")]
    fn woken_by(reason: Reason) -> Self {
        Self {
            value: AtomicU64::new(0),
            meter: counter!(WAKE_UPS, "reason" => reason.as_str()),
        }
    }

    #[cfg(not(feature = "metrics"))]
    fn woken_by(_: Reason) -> Self {
        Self::new(WAKE_UPS)
    }

    pub(crate) fn add(&self, n: u64) {
        self.value.fetch_add(n, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.meter.increment(n);
    }

    fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) claims: Count,
    pub(crate) empty_claims: Count,
    pub(crate) claimed: Count,
    pub(crate) done: Count,
    pub(crate) retried: Count,
    pub(crate) dead: Count,
    pub(crate) released: Count,
    pub(crate) undecodable: Count,
    pub(crate) panicked: Count,
    pub(crate) lost: Count,
    pub(crate) expired: Count,
    pub(crate) unsettled: Count,
    pub(crate) parking: Count,
    wake_ups: [Count; Reason::ALL.len()],
    waited_micros: AtomicU64,
    longest_micros: AtomicU64,
    #[cfg(feature = "metrics")]
    waits: Histogram,
}

impl Counters {
    pub(crate) fn new() -> Self {
        #[cfg(feature = "metrics")]
        describe();
        Self {
            claims: Count::new(CLAIMS),
            empty_claims: Count::new(EMPTY_CLAIMS),
            claimed: Count::new(CLAIMED),
            done: Count::new(DONE),
            retried: Count::new(RETRIED),
            dead: Count::new(DEAD),
            released: Count::new(RELEASED),
            undecodable: Count::new(UNDECODABLE),
            panicked: Count::new(PANICKED),
            lost: Count::new(LOST_LEASES),
            expired: Count::new(EXPIRED_LEASES),
            unsettled: Count::new(UNSETTLED),
            parking: Count::new(PARKING),
            wake_ups: Reason::ALL.map(Count::woken_by),
            waited_micros: AtomicU64::new(0),
            longest_micros: AtomicU64::new(0),
            #[cfg(feature = "metrics")]
            waits: histogram!(WAIT),
        }
    }

    pub(crate) fn woken(&self, reason: Reason) {
        self.wake_ups[reason as usize].add(1);
    }

    /// A handler begins, so long after its message became visible.
    pub(crate) fn started(&self, waited: Duration) {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        self.waited_micros.fetch_add(micros, Ordering::Relaxed);
        self.longest_micros.fetch_max(micros, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        self.waits.record(waited.as_secs_f64());
    }

    pub(crate) fn stats(&self, in_flight: usize) -> ConsumerStats {
        let woken = |reason: Reason| self.wake_ups[reason as usize].value();
        ConsumerStats {
            claims: self.claims.value(),
            empty_claims: self.empty_claims.value(),
            claimed: self.claimed.value(),
            done: self.done.value(),
            retried: self.retried.value(),
            dead: self.dead.value(),
            released: self.released.value(),
            undecodable: self.undecodable.value(),
            panicked: self.panicked.value(),
            lost: self.lost.value(),
            expired: self.expired.value(),
            unsettled: self.unsettled.value(),
            parking: self.parking.value(),
            in_flight: in_flight as u64,
            waited: Duration::from_micros(self.waited_micros.load(Ordering::Relaxed)),
            longest_wait: Duration::from_micros(self.longest_micros.load(Ordering::Relaxed)),
            wake_ups: WakeUps {
                start: woken(Reason::Start),
                event: woken(Reason::Event),
                due: woken(Reason::Due),
                reconnected: woken(Reason::Reconnected),
                full_batch: woken(Reason::FullBatch),
                settled: woken(Reason::Settled),
                failed: woken(Reason::Failed),
                attending: woken(Reason::Attending),
                parking: woken(Reason::Parking),
                safety_poll: woken(Reason::SafetyPoll),
            },
        }
    }
}

#[cfg(feature = "metrics")]
fn describe() {
    for (name, description) in [
        (CLAIMS, "Statements that looked for messages."),
        (EMPTY_CLAIMS, "Those of them that found none."),
        (CLAIMED, "Messages that were claimed."),
        (DONE, "Messages that were handled and acknowledged."),
        (RETRIED, "Failures after which a message is tried again."),
        (DEAD, "Messages that became dead letters."),
        (RELEASED, "Messages that were given back."),
        (UNDECODABLE, "Bodies that did not decode."),
        (PANICKED, "Handlers that panicked."),
        (LOST_LEASES, "Claims that somebody else took over."),
        (EXPIRED_LEASES, "Leases that could not be extended in time."),
        (UNSETTLED, "Messages that could not be settled."),
        (PARKING, "What was said to senders, and asked about them."),
        (WAKE_UPS, "Why queues were looked at."),
    ] {
        describe_counter!(name, Unit::Count, description);
    }
    let waits = "From a message's visibility to its handler's start.";
    describe_histogram!(WAIT, Unit::Seconds, waits);
}
