use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pgmq_notify_core::ChannelName;
use tokio::sync::watch;

/// The channels that the application wants, in versions, and the version that the server knows.
///
/// A state instead of a queue of commands: the reading task may look late, after several changes or
/// after a reconnect, and still does the right thing, once.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// A copy of the version below, to be looked at for every notification.
    version: AtomicU64,
    channels: Mutex<(u64, Arc<BTreeSet<ChannelName>>)>,
    in_effect: watch::Sender<u64>,
}

impl Wanted {
    pub(crate) fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            channels: Mutex::default(),
            in_effect: watch::Sender::new(0),
        }
    }

    /// Replaces the channels, and returns their version.
    pub(crate) fn replace(&self, channels: BTreeSet<ChannelName>) -> u64 {
        let mut current = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if *current.1 != channels {
            *current = (current.0 + 1, Arc::new(channels));
            self.version.store(current.0, Ordering::Release);
        }
        current.0
    }

    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn current(&self) -> (u64, Arc<BTreeSet<ChannelName>>) {
        self.channels
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The present session listens to the channels of this version.
    pub(crate) fn took_effect(&self, version: u64) {
        self.in_effect.send_replace(version);
    }

    pub(crate) fn in_effect(&self) -> watch::Receiver<u64> {
        self.in_effect.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channels(names: &[&str]) -> BTreeSet<ChannelName> {
        let names = names.iter();
        names.map(|name| ChannelName::new(*name).unwrap()).collect()
    }

    #[test]
    fn only_a_change_makes_a_version() {
        let wanted = Wanted::new();
        assert_eq!(wanted.replace(channels(&[])), 0);
        assert_eq!(wanted.replace(channels(&["a"])), 1);
        assert_eq!(wanted.replace(channels(&["a"])), 1);
        assert_eq!(wanted.replace(channels(&["a", "b"])), 2);
        assert_eq!(wanted.version(), 2);
        assert_eq!(*wanted.current().1, channels(&["a", "b"]));
    }
}
