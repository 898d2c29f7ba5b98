//! A sender: one transaction after the other that inserts into the queue table.
//!
//! PostgreSQL's rules that matter here, in its own order:
//!
//! 1. An insert takes `RowExclusiveLock` on the queue table *before* the statement's snapshot, and holds it until the
//!    transaction ends.
//! 2. The trigger's query runs under a new snapshot at READ COMMITTED, and under the transaction's first one above.
//! 3. A commit makes the rows visible, then releases the locks, then signals the listeners. Listeners may read the
//!    notification from the moment the rows are visible.
//! 4. Back to a savepoint means: rows, locks and notifications since then are gone.
//! 5. `PREPARE TRANSACTION` fails after NOTIFY. A prepared transaction keeps its locks, without a backend.

use crate::state::Consumers;

/// What a sender is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sender {
    pub(crate) phase: Phase,
    pub(crate) isolation: Isolation,
    /// Whether the transaction's snapshot holds a lease. Used above READ COMMITTED only, and there only by a trigger
    /// that believes it.
    pub(crate) snapshot_has_lease: bool,
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
    /// The row is inserted, its lock held, and the trigger has not looked for leases yet.
    Inserted,
    /// Prepared: whoever did it is gone, the locks are not.
    Prepared,
    /// Commit is half done: rows are visible, locks still held.
    Visible,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    #[default]
    ReadCommitted,
    /// REPEATABLE READ and SERIALIZABLE: one snapshot, taken at the first statement.
    Above,
}

/// Rows inserted and consumers to notify at commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) rows: u8,
    pub(crate) wakes: Consumers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenderStep {
    Begin(Isolation),
    Insert,
    /// Sets a savepoint, then inserts.
    InsertBehindSavepoint,
    /// The trigger looks for leases and queues a notification for these: all, one, or nobody.
    Look(Consumers),
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
        self.all_work().rows > 0
    }

    /// Rows that a commit would make visible.
    pub(crate) fn uncommitted_rows(self) -> u8 {
        if self.phase == Phase::Visible {
            0
        } else {
            self.all_work().rows
        }
    }

    pub(crate) fn all_work(self) -> Work {
        let since = self.since_savepoint.unwrap_or_default();
        Work {
            rows: self.work.rows + since.rows,
            wakes: self.work.wakes.with(since.wakes),
        }
    }

    /// The part of the work that the next statement adds to.
    pub(crate) fn current_work(&mut self) -> &mut Work {
        self.since_savepoint.as_mut().unwrap_or(&mut self.work)
    }
}
