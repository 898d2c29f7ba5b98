//! Everything together, and what each sees of the others.

use crate::consumer::{Attention, Consumer, Life, Row};
use crate::sender::{Phase, Sender};

/// Messages at a time, uncommitted ones included; further ones follow when these are claimed. Two, so that one can be
/// left over by a consumer that takes one.
pub(crate) const MESSAGES: u8 = 2;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// Messages that a new snapshot sees and nobody has claimed.
    pub(crate) visible: u8,
    pub(crate) senders: [Sender; 2],
    pub(crate) consumers: [Consumer; 2],
    /// Rows that are committed and not expired.
    pub(crate) rows: Consumers,
    /// The advisory lock of who attends.
    pub(crate) lock: Lock,
    /// A sender has queued a notification although somebody attended when it probed.
    pub(crate) needless_notification: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Lock {
    #[default]
    Free,
    /// Held by the session in which this consumer parks.
    Of(usize),
    /// Held by a session that its consumer has given up, or that of a dead machine, until the server ends it.
    OfLostSession,
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
        Members::such_that(|sender| self.senders[sender].holds_write_lock())
    }

    pub(crate) fn messages(&self) -> u8 {
        let uncommitted = self.senders.iter().map(|sender| sender.uncommitted());
        self.visible + uncommitted.sum::<u8>()
    }

    /// A committed notification goes out to those who listen. The others have missed it.
    pub(crate) fn notify(&mut self, consumers: Consumers) {
        for (index, consumer) in self.consumers.iter_mut().enumerate() {
            let hears = matches!(consumer.life, Life::Runs | Life::Stopped) && consumer.listens;
            consumer.wants |= hears && consumers.has(index);
        }
    }

    /// The lock is free if that consumer's session held it.
    pub(crate) fn unlock(&mut self, consumer: usize) {
        if self.lock == Lock::Of(consumer) {
            self.lock = Lock::Free;
        }
    }

    /// Sleeps, with nothing on the way that would make it look: neither an event, nor a step that it takes by itself.
    /// Who attends is awake.
    pub(crate) fn sleeps_undisturbed(&self, index: usize) -> bool {
        let consumer = self.consumers[index];
        consumer.runs()
            && !consumer.full
            && !consumer.will_be_told()
            && consumer.attention == Attention::No
            && !self.is_about_to_look(consumer)
    }

    /// It has not finished parking, or a transaction that it asks for ends.
    pub(crate) fn is_about_to_look(&self, consumer: Consumer) -> bool {
        let ends = |sender: usize| {
            let sender = self.senders[sender];
            !sender.holds_write_lock() || sender.phase == Phase::Visible
        };
        matches!(consumer.row, Row::Parking(_)) || consumer.awaits.iter().any(ends)
    }

    /// A consumer has the lock, as far as anybody knows, and looks by itself.
    pub(crate) fn is_attended(&self) -> bool {
        self.consumers
            .iter()
            .any(|it| it.runs() && it.attention == Attention::Yes && !it.broken)
    }
}

impl Members {
    pub(crate) const NOBODY: Self = Self(0);
    pub(crate) const EVERYBODY: Self = Self(0b11);

    pub(crate) fn only(index: usize) -> Self {
        Self(1 << index)
    }

    pub(crate) fn such_that(belongs: impl Fn(usize) -> bool) -> Self {
        let members = (0..2).filter(|index| belongs(*index));
        members.fold(Self::NOBODY, |all, index| all.with(Self::only(index)))
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
