//! Which faults, and which kinds of senders, take part.
//!
//! What a test leaves out, its name says. A flaw is hunted with as little as is needed to show it, so that its trace is
//! about nothing else.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    parts: u16,
    pub(crate) senders: usize,
    pub(crate) consumers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Part {
    /// Senders at REPEATABLE READ or SERIALIZABLE.
    HigherIsolation = 1,
    /// `PREPARE TRANSACTION`.
    Prepared = 2,
    Savepoints = 4,
    /// A consumer dies, and perhaps comes back when its row has expired.
    Crash = 8,
    /// A consumer is stopped until its row has expired, and perhaps continued.
    Stop = 16,
    /// A consumer loses its listening session.
    ListenerLoss = 32,
    /// The server ends a session in which a consumer parks, and the consumer notices that some time.
    ParkingLoss = 64,
    /// A consumer gives up the session in which it parks, and the server ends that some time.
    SessionOutlives = 128,
    /// The server crashes and comes back.
    ServerCrash = 256,
    /// A consumer ends in order.
    Leaving = 512,
}

impl Scope {
    /// Senders at READ COMMITTED that commit or roll back, and no faults.
    pub(crate) const PLAIN: Self = Self {
        parts: 0,
        senders: 2,
        consumers: 2,
    };
    /// One of those, and one consumer: enough for a race.
    pub(crate) const RACE: Self = Self {
        senders: 1,
        consumers: 1,
        ..Self::PLAIN
    };
    /// Every kind of transaction, and no faults.
    pub(crate) const ALL_SENDERS: Self = Self::PLAIN
        .with(Part::HigherIsolation)
        .with(Part::Prepared)
        .with(Part::Savepoints);
    /// Everything that may befall a consumer or the server, with the plainest senders.
    pub(crate) const ALL_FAULTS: Self = Self::PLAIN
        .with(Part::Crash)
        .with(Part::Stop)
        .with(Part::ListenerLoss)
        .with(Part::ParkingLoss)
        .with(Part::ServerCrash);
    pub(crate) const EVERYTHING: Self = Self {
        parts: Self::ALL_SENDERS.parts | Self::ALL_FAULTS.parts,
        ..Self::PLAIN
    };

    pub(crate) const fn with(self, part: Part) -> Self {
        Self {
            parts: self.parts | part as u16,
            ..self
        }
    }

    pub(crate) const fn has(self, part: Part) -> bool {
        self.parts & part as u16 != 0
    }

    pub(crate) const fn with_one_sender(self) -> Self {
        Self { senders: 1, ..self }
    }

    pub(crate) const fn with_one_consumer(self) -> Self {
        Self {
            consumers: 1,
            ..self
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            Part::HigherIsolation,
            Part::Prepared,
            Part::Savepoints,
            Part::Crash,
            Part::Stop,
            Part::ListenerLoss,
            Part::ParkingLoss,
            Part::SessionOutlives,
            Part::ServerCrash,
            Part::Leaving,
        ];
        let parts: Vec<_> = parts.into_iter().filter(|part| self.has(*part)).collect();
        let (senders, consumers) = (self.senders, self.consumers);
        write!(f, "{senders} senders, {consumers} consumers, {parts:?}")
    }
}
