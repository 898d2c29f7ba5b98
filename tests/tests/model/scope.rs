//! Which faults, and which kinds of senders, take part.
//!
//! What a test leaves out, its name says. A flaw is hunted with as little as is needed to show it, so that its trace is
//! about nothing else.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    parts: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Part {
    /// Senders at REPEATABLE READ or SERIALIZABLE.
    HigherIsolation = 1,
    /// `PREPARE TRANSACTION`.
    Prepared = 2,
    Savepoints = 4,
    /// A consumer dies, and perhaps comes back.
    ConsumerCrash = 8,
    /// A consumer is stopped for longer than its lease, and perhaps continued.
    Stop = 16,
    /// A consumer loses its listening session.
    ConnectionLoss = 32,
    /// The server crashes and comes back.
    ServerCrash = 64,
}

impl Scope {
    /// Senders at READ COMMITTED that commit or roll back, and no faults.
    pub(crate) const PLAIN: Self = Self { parts: 0 };
    /// Every kind of transaction, and no faults.
    pub(crate) const ALL_SENDERS: Self = Self::PLAIN
        .with(Part::HigherIsolation)
        .with(Part::Prepared)
        .with(Part::Savepoints);
    pub(crate) const EVERYTHING: Self = Self { parts: 0b111_1111 };

    pub(crate) const fn with(self, part: Part) -> Self {
        Self {
            parts: self.parts | part as u8,
        }
    }

    pub(crate) const fn without(self, part: Part) -> Self {
        Self {
            parts: self.parts & !(part as u8),
        }
    }

    pub(crate) const fn has(self, part: Part) -> bool {
        self.parts & part as u8 != 0
    }
}
