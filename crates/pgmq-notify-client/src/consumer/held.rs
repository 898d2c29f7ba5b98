use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::claim::Claimed;
use super::queue::{Queue, QueueId};

/// One claim: a read of a message by this process.
///
/// `read_count` is what tells it from every other claim of the message, because each adds one. Giving a
/// claim back unstarted takes that one away again, but only its own: whoever claims later still finds a
/// greater number than any claim before it that was not given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) queue: QueueId,
    pub(crate) msg_id: i64,
    pub(crate) read_count: u32,
    /// Unique in this process: a message that was given back may be claimed again with the same count
    /// before the first claim is forgotten.
    pub(crate) serial: u64,
}

/// The claims of this process that are not settled: their leases are extended.
#[derive(Debug, Default)]
pub(crate) struct Held {
    leases: Mutex<HashMap<Key, Lease>>,
    /// That there is something to extend again.
    filled: Notify,
}

#[derive(Debug)]
struct Lease {
    claim: Arc<Claimed>,
    /// By this process's clock, counted from before the statement was sent: never later than the
    /// server thinks.
    ends: Instant,
}

/// What is to be extended in one queue.
pub(crate) struct Extension {
    pub(crate) queue: Arc<Queue>,
    pub(crate) claims: Vec<Arc<Claimed>>,
}

impl Held {
    fn leases(&self) -> MutexGuard<'_, HashMap<Key, Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.leases().len()
    }

    pub(crate) fn insert(&self, claims: impl IntoIterator<Item = Arc<Claimed>>, ends: Instant) {
        let mut leases = self.leases();
        let was_empty = leases.is_empty();
        for claim in claims {
            leases.insert(claim.key, Lease { claim, ends });
        }
        if was_empty && !leases.is_empty() {
            self.filled.notify_one();
        }
    }

    pub(crate) fn holds(&self, key: Key) -> bool {
        self.leases().contains_key(&key)
    }

    /// Settled: no more extensions. Whether it was there.
    pub(crate) fn remove(&self, key: Key) -> bool {
        self.leases().remove(&key).is_some()
    }

    /// Another claim has it, or it is gone: the handler is told. One that is being settled is not
    /// lost: that it was not found may be its settlement.
    pub(crate) fn lose(&self, keys: impl IntoIterator<Item = Key>) -> Vec<Key> {
        let mut leases = self.leases();
        let lost = keys.into_iter().filter(|key| match leases.get(key) {
            Some(lease) if lease.claim.is_open() => {
                lease.claim.lost.cancel();
                leases.remove(key);
                true
            }
            _ => false,
        });
        lost.collect()
    }

    /// All that the process holds, for giving it back.
    pub(crate) fn snapshot(&self) -> Vec<Arc<Claimed>> {
        self.leases()
            .values()
            .map(|it| Arc::clone(&it.claim))
            .collect()
    }

    /// The claims whose lease ends within two thirds of its length, and none that a handler is about
    /// to settle in a transaction of its own: the row is locked by that.
    pub(crate) fn to_extend(&self, now: Instant) -> Vec<Extension> {
        let mut extensions: BTreeMap<QueueId, Extension> = BTreeMap::new();
        for (key, lease) in &*self.leases() {
            let timeout = lease.claim.queue.visibility_timeout;
            if lease.claim.wants_extension() && lease.ends < now + timeout * 2 / 3 {
                extensions
                    .entry(key.queue)
                    .or_insert_with(|| Extension {
                        queue: Arc::clone(&lease.claim.queue),
                        claims: Vec::new(),
                    })
                    .claims
                    .push(Arc::clone(&lease.claim));
            }
        }
        extensions.into_values().collect()
    }

    pub(crate) fn extended(&self, keys: impl IntoIterator<Item = Key>, ends: Instant) {
        let mut leases = self.leases();
        for key in keys {
            if let Some(lease) = leases.get_mut(&key) {
                lease.ends = lease.ends.max(ends);
            }
        }
    }

    /// Tells the handlers whose lease has ended unextended that somebody else may have the message.
    /// The claims stay: whether it is so, the server knows. Returns those that were not told before.
    pub(crate) fn warn_expired(&self, now: Instant) -> Vec<Key> {
        let leases = self.leases();
        let expired = leases.iter().filter(|(_, it)| {
            it.ends <= now && it.claim.is_open() && !it.claim.lost.is_cancelled()
        });
        expired
            .map(|(key, lease)| {
                lease.claim.lost.cancel();
                *key
            })
            .collect()
    }

    /// Waits until there is a claim.
    pub(crate) async fn filled(&self) {
        while self.leases().is_empty() {
            self.filled.notified().await;
        }
    }
}

/// The tokens of claims are made here, so that there is one place that cancels them.
pub(crate) fn token() -> CancellationToken {
    CancellationToken::new()
}

/// How often leases are looked at: four times within the shortest third of one.
pub(crate) fn tick(shortest: Duration) -> Duration {
    (shortest / 12).max(Duration::from_millis(50))
}
