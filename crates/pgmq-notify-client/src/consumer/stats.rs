use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

#[cfg(feature = "metrics")]
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::schedule::Reason;

/// What a consumer has done since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStats {
    /// Statements that looked for messages.
    pub claims: u64,
    /// Those of them that found none.
    pub empty_claims: u64,
    /// Messages that were claimed.
    pub claimed: u64,
    /// Messages whose handler succeeded and that are acknowledged.
    pub done: u64,
    /// Failures after which a message is tried again.
    pub retried: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Messages that were given back: by their handler, or unstarted.
    pub released: u64,
    /// Bodies that did not decode; they are among the dead.
    pub undecodable: u64,
    /// Handlers that panicked; they are among the retried and the dead.
    pub panicked: u64,
    /// Claims that another process took over, or whose message was deleted meanwhile.
    pub lost: u64,
    /// Leases that could not be extended in time, whether or not somebody took the message.
    pub expired: u64,
    /// Messages that could not be settled, and come back when their visibility timeout ends.
    pub unsettled: u64,
    /// Messages that are claimed and not settled now.
    pub in_flight: u64,
    /// From a message's visibility to its handler's start: the sum, and the longest.
    pub waited: Duration,
    /// The longest of them.
    pub longest_wait: Duration,
    /// Why it looked for messages.
    pub wake_ups: WakeUps,
}

/// How often each reason made a consumer look for messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WakeUps {
    /// A queue was new to it, or was resumed.
    pub start: u64,
    /// An event of the queue.
    pub event: u64,
    /// The time at which a delayed message or an expired claim becomes visible.
    pub due: u64,
    /// Events may have been missed.
    pub reconnected: u64,
    /// The claim before had brought as many as were asked for.
    pub full_batch: u64,
    /// A group may have become free.
    pub settled: u64,
    /// The claim before had failed.
    pub failed: u64,
    /// Nothing else for the time of the safety poll.
    pub safety_poll: u64,
}

/// One number, and its meter.
#[derive(Debug)]
pub(crate) struct Count {
    value: AtomicU64,
    #[cfg(feature = "metrics")]
    meter: Counter,
}

impl Count {
    /// `meter` is called only where it is used: with the recorder in effect now.
    #[cfg(feature = "metrics")]
    fn new(meter: impl FnOnce() -> Counter) -> Self {
        Self {
            value: AtomicU64::new(0),
            meter: meter(),
        }
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

/// A counter of this name, with a label if it has one.
macro_rules! count {
    ($name:literal $(, $label:literal => $value:expr)?) => {{
        #[cfg(feature = "metrics")]
        {
            Count::new(|| counter!($name $(, $label => $value)?))
        }
        #[cfg(not(feature = "metrics"))]
        {
            $(let _: &'static str = $value;)?
            Count { value: AtomicU64::new(0) }
        }
    }};
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
    wake_ups: [Count; Reason::ALL.len()],
    waited_micros: AtomicU64,
    longest_micros: AtomicU64,
    #[cfg(feature = "metrics")]
    waits: Histogram,
    #[cfg(feature = "metrics")]
    in_flight: Gauge,
}

impl Counters {
    pub(crate) fn new() -> Self {
        Self {
            claims: count!("pgmq_notify_consumer_claims_total"),
            empty_claims: count!("pgmq_notify_consumer_empty_claims_total"),
            claimed: count!("pgmq_notify_consumer_claimed_total"),
            done: count!("pgmq_notify_consumer_done_total"),
            retried: count!("pgmq_notify_consumer_retried_total"),
            dead: count!("pgmq_notify_consumer_dead_total"),
            released: count!("pgmq_notify_consumer_released_total"),
            undecodable: count!("pgmq_notify_consumer_undecodable_total"),
            panicked: count!("pgmq_notify_consumer_panicked_total"),
            lost: count!("pgmq_notify_consumer_lost_leases_total"),
            expired: count!("pgmq_notify_consumer_expired_leases_total"),
            unsettled: count!("pgmq_notify_consumer_unsettled_total"),
            wake_ups: Reason::ALL.map(
                |reason| count!("pgmq_notify_consumer_wake_ups_total", "reason" => reason.as_str()),
            ),
            waited_micros: AtomicU64::new(0),
            longest_micros: AtomicU64::new(0),
            #[cfg(feature = "metrics")]
            waits: histogram!("pgmq_notify_consumer_wait_seconds"),
            #[cfg(feature = "metrics")]
            in_flight: gauge!("pgmq_notify_consumer_in_flight"),
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

    /// As the gauge shows it.
    #[cfg(feature = "metrics")]
    pub(crate) fn in_flight(&self, messages: usize) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        self.in_flight.set(f64::from(messages));
    }

    /// As the gauge would show it.
    #[cfg(not(feature = "metrics"))]
    #[expect(
        clippy::unused_self,
        reason = "the method is that of the type that records"
    )]
    pub(crate) fn in_flight(&self, _: usize) {}

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
                safety_poll: woken(Reason::SafetyPoll),
            },
        }
    }
}
