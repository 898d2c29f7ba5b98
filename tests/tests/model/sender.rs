//! A sender: one transaction after the other that inserts into the queue table.
//!
//! PostgreSQL's rules that matter here, in its own order:
//!
//! 1. An insert takes `RowExclusiveLock` on the queue table *before* the statement's snapshot, and holds it until the
//!    transaction ends.
//! 2. The trigger looks after the insert, in two steps. It probes the lock of who attends, which knows no snapshots;
//!    then it looks for rows, at READ COMMITTED in a new snapshot.
//! 3. A commit makes the rows visible, then releases the locks, then signals the listeners. Listeners may read the
//!    notification from the moment the rows are visible.
//! 4. Back to a savepoint means: rows, locks and notifications since then are gone. The transaction is the same.
//! 5. `PREPARE TRANSACTION` fails after NOTIFY. A prepared transaction keeps its locks, without a backend.

use crate::state::Consumers;

/// What a sender is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) phase: Phase,
    pub(crate) isolation: Isolation,
    /// Whether the transaction's snapshot holds a row. Used above READ COMMITTED only, and there only by a trigger
    /// that believes it.
    pub(crate) snapshot_has_row: bool,
    /// Whom it would notify if nobody attends: of a trigger that looks for rows first.
    pub(crate) found: Consumers,
    /// It took the queue for unattended although a consumer attended to it.
    pub(crate) misjudged: bool,
    pub(crate) work: Work,
    /// What happened since the savepoint, if there is one.
    pub(crate) since_savepoint: Option<Work>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    #[default]
    Idle,
    /// In a transaction, between statements.
    Open,
    /// The message is inserted, its lock held, and the trigger has not looked at anything yet.
    Inserted,
    /// The trigger has made the first of its two looks.
    Between,
    /// Prepared: whoever did it is gone, the locks are not.
    Prepared,
    /// Commit is half done: messages are visible, locks still held.
    Visible,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    #[default]
    ReadCommitted,
    /// REPEATABLE READ and SERIALIZABLE: one snapshot, taken at the first statement.
    Above,
}

/// Messages inserted and consumers to notify at commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) messages: u8,
    pub(crate) wakes: Consumers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenderStep {
    /// Takes a snapshot, of which the trigger may make something.
    Begin,
    /// The first statement of its transaction, unless it has begun.
    Insert(Isolation),
    /// Sets a savepoint, then inserts.
    InsertBehindSavepoint,
    /// The trigger tries the lock of who attends, shared, and gives it back.
    Probe,
    /// The trigger looks for rows and chooses these, or everybody, or nobody.
    LookForRows(Consumers),
    RollbackToSavepoint,
    Commit,
    ReleaseLocks,
    Rollback,
    Prepare,
    CommitPrepared,
    RollbackPrepared,
}

impl Sender {
    /// Whether `pg_locks` shows a write lock of this transaction on the queue table.
    pub(crate) fn holds_write_lock(self) -> bool {
        self.all_work().messages > 0
    }

    /// Messages that a commit would make visible.
    pub(crate) fn uncommitted(self) -> u8 {
        if self.phase == Phase::Visible {
            0
        } else {
            self.all_work().messages
        }
    }

    pub(crate) fn all_work(self) -> Work {
        let since = self.since_savepoint.unwrap_or_default();
        Work {
            messages: self.work.messages + since.messages,
            wakes: self.work.wakes.with(since.wakes),
        }
    }

    /// The part of the work that the next statement adds to.
    pub(crate) fn current_work(&mut self) -> &mut Work {
        self.since_savepoint.as_mut().unwrap_or(&mut self.work)
    }
}
