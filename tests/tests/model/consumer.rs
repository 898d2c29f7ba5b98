//! A consumer: looks into the queue, works on what it finds, and tells the senders whether it has to be told.
//!
//! It has three sessions. One claims. One listens, read by a task of its own that only remembers that there was an
//! event. One *parks*: writes the consumer's row, holds the lock of who attends, asks `pg_locks`; one job after the
//! other. What the three do is interleaved in any order.

use crate::state::Senders;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is true or not whatever the others are"
)]
pub(crate) struct Consumer {
    pub(crate) life: Life,
    /// LISTEN is committed, and the session lives.
    pub(crate) listens: bool,
    /// It is going to look into the queue: an event is under way to it or was read, one that it awaited has ended, it
    /// took as much as it could and there may be more. A second reason would change nothing.
    pub(crate) wants: bool,
    /// No handler is free, so it does not look.
    pub(crate) full: bool,
    pub(crate) row: Row,
    /// Transactions that may have looked for its row too early, as it has noted them. It asks for them again and
    /// again: when one has ended, it [wants](Self::wants) to look.
    pub(crate) awaits: Senders,
    pub(crate) attention: Attention,
    /// The server has ended the session that parks, and the consumer has not noticed.
    pub(crate) broken: bool,
    /// Whether a message is in the snapshot of a statement that still runs.
    pub(crate) saw_message: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Life {
    #[default]
    Runs,
    /// It was stopped (SIGSTOP, a paused virtual machine, a laptop's lid) for so long that its row has expired, and
    /// is not continued yet. A shorter stop needs nothing: between any two steps as much time may pass as likes.
    Stopped,
    /// It ends in order: row and lock are given up.
    Leaves,
    /// And it has noted who may have counted on it.
    LeavesAfter,
    Gone,
}

/// What the consumer believes of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// It is before this step of [`Design::parking`](crate::design::Design::parking). Before the first there is no
    /// row, or none to rely on.
    Parking(u8),
    /// Whoever looks finds it, but for those whom the consumer awaits.
    Valid,
    /// About to be deleted: there is no free handler.
    Leaving,
    /// Deleted.
    Away,
}

/// Whether the consumer believes that senders leave the queue to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Attention {
    #[default]
    No,
    Yes,
    /// The session that had the lock is lost, and the server may not know that yet.
    Lost,
}

/// What a consumer does until it may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParkingStep {
    /// The row is written, in a transaction of its own, and that is committed.
    CommitRow,
    /// Gives the lock back, if it attended.
    Unlock,
    /// Notes which transactions hold a write lock on the queue table.
    Note,
    /// Is a message visible? If so, it is claimed.
    Look,
    /// A statement begins: its snapshot is taken, and nothing that becomes visible later is in it.
    Snapshot,
    /// That statement reads `pg_locks`, which knows no snapshots, and answers both questions.
    NoteInSnapshot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerStep {
    /// Looks, and claims a message if there is one. What it was told before is used up.
    Look,
    /// The same by itself: because it attends, or by its safety poll; or while an event is on its way.
    LookByItself,
    /// A handler is done, so there is room to look.
    Finish,
    /// Wakes one more of those that have a row, or nobody.
    WakeNext(Option<usize>),
    Park(ParkingStep),
    /// Sees that one of those it awaits has no lock any more, and may have one again later: back to a savepoint.
    Ask,
    /// Tries the lock, and gets it.
    Attend,
    /// Is not busy any more: parks again, which gives the lock back on the way.
    Rest,
    /// No handler is free for long: gives the lock back.
    GoAway,
    /// And deletes its row.
    DeleteRow,
    /// Ends in order: gives back the lock, deletes the row.
    Leave,
    /// Notes who may have looked before that.
    NoteBeforeLeaving,
    /// Those have ended: wakes one of the others, or nobody, and is gone.
    Left(Option<usize>),
    LoseListener,
    /// The listener has a new session, LISTEN is committed, and it says so: something may have been missed.
    Relisten,
    /// The server ends the session that parks.
    SessionEnds,
    /// The consumer notices that, and makes a new one.
    Notice,
    /// The consumer gives the session up that parks and makes a new one; the server has not ended the old one yet.
    GiveUpSession,
    RowExpires,
    Continue,
    Crash,
    Restart,
}

impl Default for Consumer {
    /// A new process: it listens before it does anything else.
    fn default() -> Self {
        Self {
            life: Life::Runs,
            listens: true,
            wants: false,
            full: false,
            row: Row::NONE,
            awaits: Senders::NOBODY,
            attention: Attention::No,
            broken: false,
            saw_message: false,
        }
    }
}

impl Row {
    pub(crate) const NONE: Self = Self::Parking(0);
}

impl Consumer {
    pub(crate) const GONE: Self = Self {
        life: Life::Gone,
        listens: false,
        wants: false,
        full: false,
        row: Row::NONE,
        awaits: Senders::NOBODY,
        attention: Attention::No,
        broken: false,
        saw_message: false,
    };

    /// It does not attend any more, but for a lock that it could not give back.
    pub(crate) fn attends_no_more(&mut self) {
        if self.attention == Attention::Yes {
            self.attention = Attention::No;
        }
    }

    pub(crate) fn runs(self) -> bool {
        self.life == Life::Runs
    }

    pub(crate) fn leaves(self) -> bool {
        matches!(self.life, Life::Leaves | Life::LeavesAfter)
    }

    /// It cannot rely on its row, and writes it anew.
    pub(crate) fn loses_row(&mut self) {
        if !matches!(self.row, Row::Leaving | Row::Away) {
            self.row = Row::NONE;
            self.awaits = Senders::NOBODY;
            self.saw_message = false;
        }
    }

    /// Its listener has, or will have, something to tell.
    pub(crate) fn will_be_told(self) -> bool {
        self.wants || !self.listens
    }
}
