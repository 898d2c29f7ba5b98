//! How many claims are not settled, as the gauge of the crate `metrics` shows it. It is not set but moved,
//! because consumers of one process share it.

#[cfg(feature = "metrics")]
use metrics::{Gauge, Unit, describe_gauge, gauge};

#[cfg(feature = "metrics")]
const IN_FLIGHT: &str = "pgmq_notify_consumer_in_flight";

/// Moves with the number of claims it is told of, and back by all of them when it is dropped.
#[derive(Debug)]
#[cfg_attr(not(feature = "metrics"), derive(Default))]
pub(crate) struct InFlight {
    #[cfg(feature = "metrics")]
    claims: u32,
    #[cfg(feature = "metrics")]
    gauge: Gauge,
}

#[cfg(feature = "metrics")]
impl Default for InFlight {
    /// Of the recorder that is in effect now.
    fn default() -> Self {
        let claims = "Messages that are claimed and not settled.";
        describe_gauge!(IN_FLIGHT, Unit::Count, claims);
        Self {
            claims: 0,
            gauge: gauge!(IN_FLIGHT),
        }
    }
}

#[cfg(feature = "metrics")]
impl InFlight {
    pub(crate) fn are(&mut self, claims: usize) {
        let claims = u32::try_from(claims).unwrap_or(u32::MAX);
        match claims.checked_sub(self.claims) {
            Some(0) => {}
            Some(more) => self.gauge.increment(f64::from(more)),
            None => self.gauge.decrement(f64::from(self.claims - claims)),
        }
        self.claims = claims;
    }
}

#[cfg(feature = "metrics")]
impl Drop for InFlight {
    fn drop(&mut self) {
        self.are(0);
    }
}

#[cfg(not(feature = "metrics"))]
impl InFlight {
    #[expect(
        clippy::unused_self,
        reason = "the method is that of the type that records"
    )]
    pub(crate) fn are(&mut self, _: usize) {}
}
