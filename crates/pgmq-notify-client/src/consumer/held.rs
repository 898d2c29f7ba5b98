use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::claim::Claimed;
use super::in_flight::InFlight;
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

impl Key {
    /// `read_count` as the column has it.
    pub(crate) fn read_ct(self) -> i32 {
        i32::try_from(self.read_count).unwrap_or(i32::MAX)
    }
}

/// The claims of this process that are not settled: their leases are extended.
#[derive(Debug, Default)]
pub(crate) struct Held {
    leases: Mutex<Leases>,
    /// That there is something to extend again.
    filled: Notify,
}

#[derive(Debug, Default)]
struct Leases {
    by_key: HashMap<Key, Lease>,
    in_flight: InFlight,
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
    fn leases(&self) -> MutexGuard<'_, Leases> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn len(&self) -> usize {
        self.leases().by_key.len()
    }

    pub(crate) fn insert(&self, claims: impl IntoIterator<Item = Arc<Claimed>>, ends: Instant) {
        let mut leases = self.leases();
        let was_empty = leases.by_key.is_empty();
        for claim in claims {
            leases.by_key.insert(claim.key, Lease { claim, ends });
        }
        leases.counted();
        if was_empty && !leases.by_key.is_empty() {
            self.filled.notify_one();
        }
    }

    pub(crate) fn holds(&self, key: Key) -> bool {
        self.leases().by_key.contains_key(&key)
    }

    /// Settled: no more extensions. Whether it was there.
    pub(crate) fn remove(&self, key: Key) -> bool {
        let mut leases = self.leases();
        let was_there = leases.by_key.remove(&key).is_some();
        leases.counted();
        was_there
    }

    /// Another claim has it, or it is gone: the handler is told. One that is being settled is not
    /// lost: that it was not found may be its settlement.
    pub(crate) fn lose(&self, keys: impl IntoIterator<Item = Key>) -> Vec<Key> {
        let mut leases = self.leases();
        let lost = keys
            .into_iter()
            .filter(|key| match leases.by_key.get(key) {
                Some(lease) if lease.claim.is_open() => {
                    lease.claim.lost.cancel();
                    leases.by_key.remove(key);
                    true
                }
                _ => false,
            })
            .collect();
        leases.counted();
        lost
    }

    /// All that the process holds, for giving it back.
    pub(crate) fn snapshot(&self) -> Vec<Arc<Claimed>> {
        self.leases()
            .by_key
            .values()
            .map(|it| Arc::clone(&it.claim))
            .collect()
    }

    /// The claims whose lease ends within two thirds of its length, and none that a handler is about
    /// to settle in a transaction of its own: the row is locked by that.
    pub(crate) fn to_extend(&self, now: Instant) -> Vec<Extension> {
        let mut extensions: BTreeMap<QueueId, Extension> = BTreeMap::new();
        for (key, lease) in &self.leases().by_key {
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
            if let Some(lease) = leases.by_key.get_mut(&key) {
                lease.ends = lease.ends.max(ends);
            }
        }
    }

    /// Tells the handlers whose lease has ended unextended that somebody else may have the message.
    /// The claims stay: whether it is so, the server knows. Returns those that were not told before.
    pub(crate) fn warn_expired(&self, now: Instant) -> Vec<Arc<Claimed>> {
        let leases = self.leases();
        let expired = leases
            .by_key
            .values()
            .filter(|it| it.ends <= now && it.claim.is_open() && !it.claim.lost.is_cancelled());
        expired
            .map(|lease| {
                lease.claim.lost.cancel();
                Arc::clone(&lease.claim)
            })
            .collect()
    }

    /// Waits until there is a claim.
    pub(crate) async fn filled(&self) {
        while self.leases().by_key.is_empty() {
            self.filled.notified().await;
        }
    }
}

impl Leases {
    fn counted(&mut self) {
        self.in_flight.are(self.by_key.len());
    }
}

/// How often leases are looked at: four times within the shortest third of one.
pub(crate) fn tick(shortest: Duration) -> Duration {
    (shortest / 12).max(Duration::from_millis(50))
}
