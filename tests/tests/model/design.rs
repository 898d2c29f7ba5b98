//! The protocol's choices, and its flaws: what goes wrong when one of its sentences is left out.

use crate::consumer::ParkingStep;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Design {
    pub(crate) names: Names,
    pub(crate) lost_session: LostSession,
    pub(crate) flaw: Option<Flaw>,
}

/// Whom a sender's event names, of those that have a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Names {
    /// One, whichever. It is the hardest case: who has been named and cannot look has to wake the next.
    #[default]
    One,
    /// Two, which are all that there are here.
    Two,
}

/// What a consumer does that gives up the session in which it attended, or in which it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LostSession {
    /// Parks in a new one, and sleeps.
    Forgets,
    /// And parks once more when the server has ended the old one, which it does after two seconds.
    #[default]
    Outwaits,
}

/// One sentence of the protocol, left out or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nobody asks for write locks.
    NoFence,
    /// The look comes first, then it is noted who holds a write lock.
    LookBeforeNote,
    /// Who holds a write lock is noted and waited for, and nobody looks again afterwards.
    NoLookAfterFence,
    /// Note and look are one statement, so the look's snapshot is older than what is noted.
    NoteAndLookInOneStatement,
    /// Note and look come before the row's transaction commits.
    LookBeforeRowIsCommitted,
    /// Who holds a write lock is noted before the lock of who attends is given back.
    NoteBeforeUnlock,
    /// The lock of who attends is given back before the row is committed.
    UnlockBeforeRow,
    /// The fence knows only write locks of running backends (`pid is not null`).
    FenceWithoutPrepared,
    /// A transaction that holds a lock is known by its backend, and PREPARE TRANSACTION leaves it without one.
    HoldersByBackend,
    /// Above READ COMMITTED the trigger believes its snapshot.
    NoRuleAboveReadCommitted,
    /// The trigger looks for rows first, then whether somebody attends.
    RowsBeforeProbe,
    /// A sleeping consumer does not refresh its row.
    RowNotRefreshed,
    /// A consumer that was stopped past its row goes on where it was.
    StoppedConsumerGoesOn,
    /// A listener that made a new session does not say so.
    ReconnectSaysNothing,
    /// A busy consumer does not take the lock.
    BusyDoesNotAttend,
    /// A consumer that attends takes that for over, and its session still holds the lock.
    AttentionLapses,
    /// A consumer that attended never notices that it has lost the lock.
    AttendsForEver,
    /// A consumer that took what it can does not tell others that more may be there.
    NothingIsPassedOn,
    /// An event that reaches a consumer without a free handler waits until there is one.
    FullConsumerKeepsWakeUp,
    /// A consumer without a free handler deletes its row, and wakes nobody.
    AwayWithoutWakeNext,
    /// A consumer that ends wakes another one at once, without waiting for who may have counted on it.
    LeavesAtOnce,
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

    /// What a consumer does until its row can be relied on.
    pub(crate) fn parking(self) -> &'static [ParkingStep] {
        use ParkingStep::{CommitRow, Look, Note, NoteInSnapshot, Snapshot, Unlock};
        match self.flaw {
            Some(Flaw::NoFence) => &[CommitRow, Unlock, Look],
            Some(Flaw::LookBeforeNote) => &[CommitRow, Unlock, Look, Note],
            Some(Flaw::NoteAndLookInOneStatement) => &[CommitRow, Unlock, Snapshot, NoteInSnapshot],
            Some(Flaw::LookBeforeRowIsCommitted) => &[Unlock, Note, Look, CommitRow],
            Some(Flaw::NoteBeforeUnlock) => &[CommitRow, Note, Unlock, Look],
            Some(Flaw::UnlockBeforeRow) => &[Unlock, CommitRow, Note, Look],
            _ => &[CommitRow, Unlock, Note, Look],
        }
    }
}
