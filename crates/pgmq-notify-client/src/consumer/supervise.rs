use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::connection::OwnConnection;
use super::dispatcher::{Deadline, Dispatcher};
use super::engine::Engine;
use super::keeper::keep;
use super::settler::Settler;
use super::stats::ConsumerStats;

/// What a shutdown left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Handlers that were ended because the deadline came. Their messages are visible at once; but one
    /// that blocks its thread cannot be ended, and its message is among the unsettled.
    pub aborted: usize,
    /// Messages that could not be settled in time. They come back when their visibility timeout ends.
    pub unsettled: usize,
    /// What the consumer has done until its end, the shutdown included.
    pub stats: ConsumerStats,
}

/// The tasks of a consumer, before they begin.
pub(crate) struct Tasks {
    pub(crate) engine: Arc<Engine>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) settler: Settler,
    pub(crate) keeping: OwnConnection,
    pub(crate) shortest: Duration,
}

/// Ends a task with its owner.
struct Owned(JoinHandle<()>);

impl Drop for Owned {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tasks {
    /// Until the dispatcher ends and all is settled, or the deadline comes.
    pub(crate) async fn run(mut self) -> ShutdownReport {
        let keeper = keep(Arc::clone(&self.engine), self.keeping, self.shortest);
        let keeper = Owned(tokio::spawn(keeper));
        let mut settler = Owned(tokio::spawn(self.settler.work()));
        let deadline = self.dispatcher.run().await.unwrap_or_else(|| {
            let soon = Instant::now() + Duration::from_secs(5);
            Deadline {
                handlers: soon,
                all: soon,
            }
        });
        let aborted = self.dispatcher.stop(deadline.handlers).await;
        // It says itself what it could not do.
        let _ = timeout_at(deadline.all, &mut settler.0).await;
        drop(keeper);
        let unsettled = self.engine.held.len();
        tracing::info!(aborted, unsettled, "the consumer has stopped");
        ShutdownReport {
            aborted,
            unsettled,
            stats: self.engine.stats(),
        }
    }
}
