//! The protocol's choices, and its flaws: what goes wrong when one of its sentences is left out.

use crate::consumer::ParkingStep;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Design {
    pub(crate) lease: LeaseStore,
    pub(crate) fence: Fence,
    pub(crate) herd: Herd,
    pub(crate) flaw: Option<Flaw>,
}

/// What holds a parked consumer's lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LeaseStore {
    /// A row for each consumer: read by snapshot, ends with its time, emptied by a crash of the server.
    #[default]
    UnloggedTable,
    /// One number for the queue, the time until which anybody is parked: read as it is, ends with its time.
    Sequence,
    /// A shared session lock: read as it is, ends with the session, never with time.
    AdvisoryLock,
}

/// How a consumer that has parked waits for the senders that cannot know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Until nobody holds a write lock on the queue table.
    #[default]
    Anybody,
    /// Until those who held one when it parked have ended. Senders that begin later see the lease.
    Holders,
}

/// Whom a sender's notification wakes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Herd {
    /// Every consumer that listens.
    #[default]
    All,
    /// One of the parked, by name. A consumer that finds more than it can take wakes the next.
    One,
}

/// One sentence of the protocol, left out or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nobody asks for write locks.
    NoFence,
    /// The fence is asked after the look.
    FenceAfterLook,
    /// Fence and look are one statement, so the look's snapshot is older than the fence's answer.
    FenceAndLookInOneStatement,
    /// Fence and look come before the lease's transaction commits.
    LookBeforeLeaseIsCommitted,
    /// The fence knows only write locks of running backends (`pid is not null`).
    FenceWithoutPrepared,
    /// A transaction that holds a lock is known by its backend, and PREPARE TRANSACTION leaves it without one.
    HoldersByBackend,
    /// Above READ COMMITTED the trigger believes its snapshot.
    NoRuleAboveReadCommitted,
    /// A sleeping consumer does not refresh its lease.
    LeaseNotRefreshed,
    /// A consumer that was stopped past its lease goes on where it was.
    StoppedConsumerGoesOn,
    /// A listener that made a new session does not say so.
    ReconnectSaysNothing,
    /// A consumer that found work keeps its lease.
    BusyConsumerStaysParked,
    /// A consumer that found work ends the leases of all. Only so could a lease that is one number be ended early.
    BusyConsumerUnparksEverybody,
    /// A consumer that took what it can does not look whether more is there.
    NothingIsPassedOn,
    /// A wake-up that reaches a consumer with all handlers running waits until one of them is done.
    FullConsumerKeepsWakeUp,
}

impl Design {
    pub(crate) fn with(self, flaw: Flaw) -> Self {
        Self {
            flaw: Some(flaw),
            ..self
        }
    }

    pub(crate) fn has(self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    /// What a consumer does after a claim that found nothing.
    pub(crate) fn parking(self) -> &'static [ParkingStep] {
        use ParkingStep::{
            CheckHolders, CommitLease, Fence as AskFence, LocksAndSnapshot, Look, NoteHolders,
            Snapshot,
        };
        match self.flaw {
            Some(Flaw::NoFence) => &[CommitLease, Look],
            Some(Flaw::FenceAfterLook) => &[CommitLease, Look, AskFence],
            Some(Flaw::FenceAndLookInOneStatement) => &[CommitLease, Snapshot, LocksAndSnapshot],
            Some(Flaw::LookBeforeLeaseIsCommitted) => &[AskFence, Look, CommitLease],
            _ => match self.fence {
                Fence::Anybody => &[CommitLease, AskFence, Look],
                Fence::Holders => &[CommitLease, NoteHolders, CheckHolders, Look],
            },
        }
    }

    /// The step with which a consumer starts again that could not sleep.
    pub(crate) fn repeats_from(self) -> u8 {
        let first = |step| matches!(step, ParkingStep::CommitLease | ParkingStep::NoteHolders);
        u8::try_from(
            self.parking()
                .iter()
                .take_while(|step| first(**step))
                .count(),
        )
        .unwrap()
    }
}

impl LeaseStore {
    /// Whether a sender's snapshot decides which leases it sees.
    pub(crate) fn is_read_by_snapshot(self) -> bool {
        self == Self::UnloggedTable
    }

    /// Whether it is the session's and gone with it, instead of ending by itself when its time is over.
    pub(crate) fn belongs_to_the_session(self) -> bool {
        self == Self::AdvisoryLock
    }
}
