//! A consumer: claims until nothing is left, parks, makes sure that it missed nothing, sleeps.
//!
//! It has two sessions. One runs its statements, the other one listens; a task of its own reads the listening one,
//! whatever the rest does, and only remembers that there was a wake-up ([`Ear::Told`]).
//!
//! The last of its questions decides: no message, and no lock when it asked, and it sleeps. Otherwise it pauses and asks
//! again, also for messages: others may have committed meanwhile, and a transaction can stay open for hours.

use crate::state::Senders;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Consumer {
    pub(crate) activity: Activity,
    pub(crate) ear: Ear,
    /// It was stopped (SIGSTOP, a paused virtual machine, a laptop's lid) for so long that its lease has expired, and
    /// is not continued yet. A shorter stop needs nothing: between any two steps as much time may pass as likes.
    pub(crate) stopped: bool,
    /// Somebody held a write lock when it asked.
    pub(crate) fenced: bool,
    /// Whether a message is in the snapshot of a statement that still runs.
    pub(crate) saw_message: bool,
    /// Transactions that held a write lock when it parked, and that it waits for. Used by
    /// [`Fence::Holders`](crate::design::Fence) only.
    pub(crate) awaits: Senders,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Activity {
    /// Awake, about to claim.
    #[default]
    Claiming,
    /// Has claimed as much as it can take, and looks whether somebody else is needed.
    Passing,
    /// All its handlers run; it claims nothing.
    Full,
    /// Found nothing, and is at this step of [`Design::parking`](crate::design::Design::parking).
    Parking(u8),
    /// Sleeps until it is woken, until its safety poll, or for ever.
    Asleep,
    /// Its process is dead.
    Gone,
}

/// The listening session, and what it has to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ear {
    /// LISTEN is committed, nothing is under way.
    #[default]
    Quiet,
    /// A notification is under way or has been read since the last claim began. A second one would change nothing.
    Told,
    /// The session is broken. The listener will notice and make a new one.
    Lost,
}

/// What a consumer does between "nothing left" and sleep, one statement each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParkingStep {
    /// The lease is written in a transaction of its own, and that is committed.
    CommitLease,
    /// Is any other transaction holding a write lock on the queue table?
    Fence,
    /// Remembers which transactions hold a write lock on the queue table.
    NoteHolders,
    /// Is any of those still there, whatever others have begun since?
    CheckHolders,
    /// Is a message visible? If so, claim.
    Look,
    /// A statement begins: its snapshot is taken, and nothing that becomes visible later is in it.
    Snapshot,
    /// That statement reads `pg_locks`, which knows no snapshots, and answers both questions.
    LocksAndSnapshot,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerStep {
    /// Claims. What its listener has told before is used up.
    Claim,
    /// Claims, while a notification is under way that is read afterwards.
    ClaimUntold,
    /// Wakes one more of the parked consumers, or nobody.
    PassOn(Option<usize>),
    /// A handler is done, so there is room to claim.
    Finish,
    Park(ParkingStep),
    /// Asleep, and woken by what its listener remembered.
    Wake,
    /// The safety poll, which also refreshes the lease.
    Poll,
    /// The listener has a new session, LISTEN is committed, and it says so: something may have been missed.
    Relisten,
    LoseConnection,
    LeaseExpires,
    Continue,
    Crash,
    Restart,
}

impl Consumer {
    pub(crate) fn runs(self) -> bool {
        self.activity != Activity::Gone && !self.stopped
    }

    /// Works on what it has claimed.
    pub(crate) fn is_busy(self) -> bool {
        self.runs() && matches!(self.activity, Activity::Full | Activity::Passing)
    }

    /// Sleeps, with nothing on the way that would wake it.
    pub(crate) fn sleeps_undisturbed(self) -> bool {
        self.activity == Activity::Asleep && !self.will_be_told()
    }

    /// Its listener has, or will have, something to tell.
    pub(crate) fn will_be_told(self) -> bool {
        self.ear != Ear::Quiet
    }
}
