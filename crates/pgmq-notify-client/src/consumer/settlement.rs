//! What is to become of messages, on its way from the dispatcher to the settler and back.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::changes::{Change, Item};
use super::claim::Claimed;
use super::queue::QueueId;

/// What is to become of a message.
#[derive(Debug)]
pub(crate) enum End {
    Acknowledge,
    Retry {
        delay: Duration,
        error: String,
    },
    Dead {
        reason: DeadReason,
        error: String,
    },
    /// Never started.
    GiveBack,
    /// Started, and ended by the shutdown.
    Return,
}

/// That something was settled in a queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    pub(crate) queue: QueueId,
    /// When a message of it is visible again.
    pub(crate) due: Option<Instant>,
}

/// Why a message became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeadReason {
    Attempts,
    Fatal,
    Undecodable,
}

impl DeadReason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Fatal => "fatal",
            Self::Undecodable => "undecodable",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Settlement {
    pub(crate) claimed: Arc<Claimed>,
    pub(crate) end: End,
    /// A statement for it has got no answer: that it is not found then may be its own doing.
    pub(super) is_uncertain: bool,
}

impl Settlement {
    pub(crate) fn new(claimed: Arc<Claimed>, end: End) -> Self {
        match end {
            End::Acknowledge | End::Dead { .. } => claimed.leaves(),
            End::Retry { .. } | End::GiveBack | End::Return => claimed.stays(),
        }
        Self {
            claimed,
            end,
            is_uncertain: false,
        }
    }

    pub(super) fn change(&self) -> Option<Change> {
        Some(match &self.end {
            End::Acknowledge => Change::of(self.claimed.queue.acknowledgement),
            End::Retry { .. } => Change::Retry,
            End::GiveBack => Change::Release,
            End::Return => Change::Return,
            End::Dead { .. } => return None,
        })
    }

    pub(super) fn item(&self) -> Item {
        let item = Item::new(self.claimed.key);
        match &self.end {
            End::Retry { delay, error } => Item {
                delay: *delay,
                error: Some(error.clone()),
                ..item
            },
            _ => item,
        }
    }
}
