use std::sync::Arc;

use super::pace::Pace;
use crate::consumer::Order;
use crate::consumer::handler::Handle;
use crate::consumer::source::Source;

/// A source with its handler.
pub(crate) struct Route {
    pub(crate) source: Source,
    pub(crate) handler: Arc<dyn Handle>,
    /// Messages that are handled, one of each group.
    pub(super) running: usize,
    /// With those that are being claimed, or are claimed and wait for a handler.
    pub(super) outstanding: usize,
    pub(super) pace: Pace,
}

impl Route {
    pub(crate) fn new(source: Source, handler: Arc<dyn Handle>) -> Self {
        Self {
            source,
            handler,
            running: 0,
            outstanding: 0,
            pace: Pace::default(),
        }
    }

    /// Of all handlers, those that it may use.
    pub(super) fn most(&self, concurrency: usize) -> usize {
        self.source
            .concurrency
            .unwrap_or(usize::MAX)
            .min(concurrency)
    }

    /// How many messages more than there are free handlers may be claimed: by the time of the answer so
    /// many handlers will have ended. None where they take much longer than a claim.
    pub(super) fn ahead(&self, concurrency: usize) -> usize {
        match self.source.order {
            Order::Unordered => self
                .pace
                .ahead(self.most(concurrency), self.source.batch_size),
            Order::FifoGroups => 0,
        }
    }
}
