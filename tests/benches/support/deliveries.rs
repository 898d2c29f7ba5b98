//! One listening backend, so that notifications are really delivered, and counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use pgmq_notify_tests::eventually;
use sqlx::postgres::PgListener;
use tokio::task::JoinHandle;

use super::{Failure, Queue};

const ARRIVE_WITHIN: Duration = Duration::from_secs(30);

/// What arrives on the channel of a queue.
#[derive(Debug)]
pub(crate) struct Deliveries {
    count: Arc<AtomicU64>,
    reading: JoinHandle<()>,
}

impl Deliveries {
    pub(crate) async fn of(queue: &Queue) -> Result<Self, Failure> {
        let mut listener = PgListener::connect(&queue.database().url()).await?;
        listener.listen(queue.channel()).await?;
        let count = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&count);
        let reading = tokio::spawn(async move {
            // An error ends the counting, and whoever waits for the rest says that it did not arrive.
            while listener.recv().await.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(Self { count, reading })
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until exactly this many have arrived in all.
    ///
    /// # Panics
    /// If they do not within 30 seconds: then the numbers are not of what they claim to be.
    pub(crate) async fn reach(&self, expected: u64) {
        let all = || async {
            let count = self.count();
            if count == expected {
                Ok(())
            } else {
                Err(format!("{count} of {expected} delivered"))
            }
        };
        eventually(ARRIVE_WITHIN, all).await;
    }

    /// Waits until at least this many have arrived in all, and returns how many did.
    ///
    /// # Panics
    /// If they do not within 30 seconds.
    pub(crate) async fn reach_at_least(&self, expected: u64) -> u64 {
        let enough = || async {
            let count = self.count();
            if count >= expected {
                Ok(count)
            } else {
                Err(format!("{count} of {expected} delivered"))
            }
        };
        eventually(ARRIVE_WITHIN, enough).await
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        self.reading.abort();
    }
}
