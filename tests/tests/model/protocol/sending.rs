//! The steps of a sender.

use super::Protocol;
use crate::design::{Flaw, Herd};
use crate::scope::Part;
use crate::sender::{Isolation, Phase, Sender, SenderStep, Work};
use crate::state::{Consumers, MESSAGES, Senders, State};

impl Protocol {
    pub(super) fn sender_steps(
        self,
        state: &State,
        index: usize,
        possible: &mut dyn FnMut(SenderStep),
    ) {
        let sender = state.senders[index];
        match sender.phase {
            Phase::Idle => {
                possible(SenderStep::Begin(Isolation::ReadCommitted));
                if self.scope.has(Part::HigherIsolation) {
                    possible(SenderStep::Begin(Isolation::Above));
                }
            }
            Phase::Open => {
                let room = state.messages() < MESSAGES;
                if room && sender.work.rows == 0 && sender.since_savepoint.is_none() {
                    possible(SenderStep::Insert);
                }
                if room && sender.since_savepoint.is_none() && self.scope.has(Part::Savepoints) {
                    possible(SenderStep::InsertBehindSavepoint);
                }
                if sender.since_savepoint.is_some() {
                    possible(SenderStep::RollbackToSavepoint);
                }
                if sender.holds_write_lock() {
                    possible(SenderStep::Commit);
                    if self.scope.has(Part::Prepared) {
                        possible(SenderStep::Prepare);
                    }
                }
                possible(SenderStep::Rollback);
            }
            // A cancelled statement or a broken session may come in between.
            Phase::Inserted => {
                self.looks(state, sender, possible);
                possible(SenderStep::Rollback);
            }
            Phase::Prepared => {
                possible(SenderStep::CommitPrepared);
                possible(SenderStep::RollbackPrepared);
            }
            Phase::Visible => possible(SenderStep::ReleaseLocks),
        }
    }

    /// What the trigger may decide to do.
    fn looks(self, state: &State, sender: Sender, possible: &mut dyn FnMut(SenderStep)) {
        let by_snapshot =
            sender.isolation == Isolation::Above && self.design.lease.is_read_by_snapshot();
        if by_snapshot {
            let believes =
                self.design.has(Flaw::NoRuleAboveReadCommitted) && !sender.snapshot_has_lease;
            possible(SenderStep::Look(if believes {
                Consumers::NOBODY
            } else {
                Consumers::EVERYBODY
            }));
        } else if state.leases.is_empty() {
            possible(SenderStep::Look(Consumers::NOBODY));
        } else {
            match self.design.herd {
                Herd::All => possible(SenderStep::Look(Consumers::EVERYBODY)),
                Herd::One => state
                    .leases
                    .iter()
                    .for_each(|one| possible(SenderStep::Look(Consumers::only(one)))),
            }
        }
    }

    pub(super) fn send(self, state: &mut State, index: usize, step: SenderStep) {
        let parked = !state.leases.is_empty();
        let needless = parked
            && state
                .leases
                .iter()
                .all(|consumer| state.consumers[consumer].is_busy());
        let sender = &mut state.senders[index];
        match step {
            SenderStep::Begin(isolation) => {
                *sender = Sender {
                    phase: Phase::Open,
                    isolation,
                    ..Sender::default()
                };
                // Only who believes it needs to know it.
                let believed = isolation == Isolation::Above
                    && self.design.has(Flaw::NoRuleAboveReadCommitted);
                sender.snapshot_has_lease = believed && parked;
            }
            SenderStep::Insert => {
                sender.current_work().rows += 1;
                sender.phase = Phase::Inserted;
            }
            SenderStep::Look(wakes) => {
                let work = sender.current_work();
                work.wakes = work.wakes.with(wakes);
                sender.phase = Phase::Open;
                state.needless_notification |= self.claim.is_about_needless_notifications()
                    && needless
                    && !wakes.is_empty()
                    && sender.isolation == Isolation::ReadCommitted;
            }
            SenderStep::InsertBehindSavepoint => {
                sender.since_savepoint = Some(Work {
                    rows: 1,
                    ..Work::default()
                });
                sender.phase = Phase::Inserted;
            }
            SenderStep::RollbackToSavepoint => {
                sender.since_savepoint = None;
                if !sender.holds_write_lock() {
                    released(state, index);
                }
            }
            SenderStep::Commit => {
                let work = sender.all_work();
                *sender = Sender {
                    phase: Phase::Visible,
                    work: Work {
                        rows: work.rows,
                        ..Work::default()
                    },
                    ..Sender::default()
                };
                state.visible += work.rows;
                state.notify(work.wakes);
            }
            SenderStep::Prepare => {
                let work = sender.all_work();
                if work.wakes.is_empty() {
                    *sender = Sender {
                        phase: Phase::Prepared,
                        work,
                        ..Sender::default()
                    };
                    if self.design.has(Flaw::HoldersByBackend) {
                        released(state, index);
                    }
                } else {
                    // PostgreSQL refuses to prepare a transaction that has executed NOTIFY, and ends it.
                    end(state, index);
                }
            }
            SenderStep::CommitPrepared => {
                sender.phase = Phase::Visible;
                state.visible += sender.work.rows;
            }
            SenderStep::ReleaseLocks | SenderStep::Rollback | SenderStep::RollbackPrepared => {
                end(state, index);
            }
        }
    }
}

pub(super) fn end(state: &mut State, sender: usize) {
    state.senders[sender] = Sender::default();
    released(state, sender);
}

/// Who waits for this transaction waits no longer.
fn released(state: &mut State, sender: usize) {
    for consumer in &mut state.consumers {
        consumer.awaits = consumer.awaits.without(Senders::only(sender));
    }
}
