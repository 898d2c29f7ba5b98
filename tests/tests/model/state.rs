//! Everything together, and what each sees of the others.

use crate::consumer::{Consumer, Ear};
use crate::sender::Sender;

/// Messages at a time, uncommitted ones included; further ones follow when these are claimed. Two, so that one can be
/// left over by a consumer that takes one.
pub(crate) const MESSAGES: u8 = 2;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Messages that a new snapshot sees and nobody has claimed.
    pub(crate) visible: u8,
    pub(crate) senders: [Sender; 2],
    pub(crate) consumers: [Consumer; 2],
    /// Leases that are committed and not expired.
    pub(crate) leases: Consumers,
    /// A sender at READ COMMITTED has queued a notification although nobody was parked who could have used it.
    pub(crate) needless_notification: bool,
}

pub(crate) type Consumers = Members;
pub(crate) type Senders = Members;

/// Some of the consumers, or some of the senders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members(u8);

impl State {
    /// Who holds a write lock on the queue table. Consumers hold one as well while they claim, which can make a fence
    /// wait but never pass, so it is left out.
    pub(crate) fn lock_holders(&self) -> Senders {
        let holders = self
            .senders
            .iter()
            .enumerate()
            .filter(|(_, sender)| sender.holds_write_lock());
        holders.fold(Senders::NOBODY, |all, (index, _)| {
            all.with(Senders::only(index))
        })
    }

    pub(crate) fn messages(&self) -> u8 {
        self.visible
            + self
                .senders
                .iter()
                .map(|sender| sender.uncommitted_rows())
                .sum::<u8>()
    }

    /// A committed notification goes out to those who listen. The others have missed it.
    pub(crate) fn notify(&mut self, consumers: Consumers) {
        for (index, consumer) in self.consumers.iter_mut().enumerate() {
            if consumers.has(index) && consumer.ear == Ear::Quiet {
                consumer.ear = Ear::Told;
            }
        }
    }
}

impl Members {
    pub(crate) const NOBODY: Self = Self(0);
    pub(crate) const EVERYBODY: Self = Self(0b11);

    pub(crate) fn only(index: usize) -> Self {
        Self(1 << index)
    }

    pub(crate) fn has(self, index: usize) -> bool {
        self.0 & (1 << index) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self == Self::NOBODY
    }

    pub(crate) fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub(crate) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = usize> {
        (0..2).filter(move |index| self.has(*index))
    }

    pub(crate) fn bits(self) -> u8 {
        self.0
    }

    /// The same members after the first and the second have changed places.
    pub(crate) fn swapped(self) -> Self {
        Self((self.0 >> 1 | self.0 << 1) & 0b11)
    }
}
