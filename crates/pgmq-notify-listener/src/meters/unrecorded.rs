#![expect(
    clippy::unused_self,
    reason = "the methods are those of the type that records"
)]

use std::time::Duration;

use pgmq_notify_core::{PgmqNotifyEvent, ResumeReason};

use crate::handlers::Outcome;

/// Nothing, at no cost.
#[derive(Debug)]
pub(crate) struct Meters;

impl Meters {
    pub(crate) fn register() -> Self {
        Self
    }

    pub(crate) fn event(&self, _: &PgmqNotifyEvent) {}

    pub(crate) fn gap(&self, _: ResumeReason) {}

    pub(crate) fn reconnected(&self) {}

    pub(crate) fn overflowed(&self, _events: u64) {}

    pub(crate) fn unreadable(&self, _is_unknown_type: bool) {}

    pub(crate) fn catch_up(&self) {}

    pub(crate) fn caught_up(&self) {}

    pub(crate) fn handled(&self, _: Outcome) {}

    pub(crate) fn answered(&self, _: Duration) {}

    pub(crate) fn connected(&self, _: bool) {}
}
