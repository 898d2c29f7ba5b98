use std::sync::Arc;

use super::held::Held;
use super::stats::{ConsumerStats, Count, Counters};
use crate::PgmqNotifyClient;

/// What the tasks of a consumer share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) client: PgmqNotifyClient,
    pub(crate) held: Arc<Held>,
    pub(crate) counters: Counters,
}

impl Engine {
    pub(crate) fn new(client: PgmqNotifyClient) -> Self {
        Self {
            client,
            held: Arc::new(Held::default()),
            counters: Counters::new(),
        }
    }

    pub(crate) fn counted(&self, count: impl FnOnce(&Counters) -> &Count) {
        count(&self.counters).add(1);
    }

    pub(crate) fn stats(&self) -> ConsumerStats {
        self.counters.stats(self.held.len())
    }
}
