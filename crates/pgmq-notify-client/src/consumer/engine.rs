use std::sync::Arc;

use tokio::sync::Mutex;

use super::ConsumerStats;
use super::counters::{Count, Counters};
use super::held::Held;
use crate::PgmqNotifyClient;

/// What the tasks of a consumer share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) client: PgmqNotifyClient,
    pub(crate) held: Arc<Held>,
    pub(crate) counters: Counters,
    /// Held while leases are extended: the statement may come after one that makes a message visible,
    /// if that does not wait for it.
    pub(crate) extending: Mutex<()>,
}

impl Engine {
    pub(crate) fn new(client: PgmqNotifyClient) -> Self {
        Self {
            client,
            held: Arc::new(Held::default()),
            counters: Counters::new(),
            extending: Mutex::const_new(()),
        }
    }

    pub(crate) fn counted(&self, count: impl FnOnce(&Counters) -> &Count) {
        count(&self.counters).add(1);
    }

    pub(crate) fn stats(&self) -> ConsumerStats {
        self.counters.stats(self.held.len())
    }
}
