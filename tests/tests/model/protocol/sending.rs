//! The steps of a sender.

use super::Protocol;
use crate::design::{Flaw, Names};
use crate::scope::Part;
use crate::sender::{Isolation, Phase, Sender, SenderStep, Work};
use crate::state::{Consumers, Lock, MESSAGES, Senders, State};

impl Protocol {
    pub(super) fn sender_steps(
        self,
        state: &State,
        index: usize,
        possible: &mut dyn FnMut(SenderStep),
    ) {
        let sender = state.senders[index];
        let has_room = state.messages() < MESSAGES;
        match sender.phase {
            Phase::Idle => {
                // Between begin and first insert nothing happens that matters, but for a snapshot that is believed.
                if self.scope.has(Part::HigherIsolation) {
                    if self.design.has(Flaw::NoRuleAboveReadCommitted) {
                        possible(SenderStep::Begin);
                    } else if has_room {
                        possible(SenderStep::Insert(Isolation::Above));
                    }
                }
                if has_room {
                    possible(SenderStep::Insert(Isolation::ReadCommitted));
                }
            }
            Phase::Open => self.open_steps(sender, has_room, possible),
            // A cancelled statement or a broken session may come in between.
            Phase::Inserted | Phase::Between => {
                let probes = self.looks_first() != (sender.phase == Phase::Inserted);
                if probes {
                    possible(SenderStep::Probe);
                } else {
                    self.look_for_rows(state, sender, possible);
                }
                possible(SenderStep::Rollback);
            }
            Phase::Prepared => {
                possible(SenderStep::CommitPrepared);
                possible(SenderStep::RollbackPrepared);
            }
            Phase::Visible => possible(SenderStep::ReleaseLocks),
        }
    }

    fn open_steps(self, sender: Sender, has_room: bool, possible: &mut dyn FnMut(SenderStep)) {
        if has_room && sender.since_savepoint.is_none() {
            if sender.work.messages == 0 {
                possible(SenderStep::Insert(sender.isolation));
            }
            if self.scope.has(Part::Savepoints) {
                possible(SenderStep::InsertBehindSavepoint);
            }
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

    fn looks_first(self) -> bool {
        self.design.has(Flaw::RowsBeforeProbe)
    }

    /// What the trigger may decide to do.
    fn look_for_rows(self, state: &State, sender: Sender, possible: &mut dyn FnMut(SenderStep)) {
        if sender.isolation == Isolation::Above {
            let believes =
                self.design.has(Flaw::NoRuleAboveReadCommitted) && !sender.snapshot_has_row;
            possible(SenderStep::LookForRows(if believes {
                Consumers::NOBODY
            } else {
                Consumers::EVERYBODY
            }));
        } else if state.rows.is_empty() || self.design.names == Names::Two {
            possible(SenderStep::LookForRows(state.rows));
        } else {
            let rows = state.rows.iter();
            rows.for_each(|row| possible(SenderStep::LookForRows(Consumers::only(row))));
        }
    }

    pub(super) fn send(self, state: &mut State, index: usize, step: SenderStep) {
        let snapshot_has_row = !state.rows.is_empty();
        let is_locked = state.lock != Lock::Free;
        // Only for whom it is claimed that this never happens.
        let misjudged =
            !is_locked && state.is_attended() && self.claim.is_about_needless_notifications();
        let sender = &mut state.senders[index];
        match step {
            SenderStep::Begin => {
                *sender = Sender {
                    phase: Phase::Open,
                    isolation: Isolation::Above,
                    snapshot_has_row,
                    ..Sender::default()
                };
            }
            SenderStep::Insert(isolation) => {
                sender.isolation = isolation;
                sender.work.messages += 1;
                sender.phase = Phase::Inserted;
            }
            SenderStep::InsertBehindSavepoint => {
                sender.since_savepoint = Some(Work {
                    messages: 1,
                    ..Work::default()
                });
                sender.phase = Phase::Inserted;
            }
            SenderStep::Probe => {
                sender.misjudged = misjudged;
                sender.phase = Phase::Between;
                let found = sender.found;
                if is_locked || self.looks_first() {
                    let wakes = if is_locked { Consumers::NOBODY } else { found };
                    decide(state, index, wakes);
                }
            }
            SenderStep::LookForRows(found) if sender.phase == Phase::Inserted => {
                sender.found = found;
                sender.phase = Phase::Between;
            }
            SenderStep::LookForRows(wakes) => decide(state, index, wakes),
            SenderStep::RollbackToSavepoint => sender.since_savepoint = None,
            SenderStep::Commit => {
                let work = sender.all_work();
                *sender = visible(work);
                state.visible += work.messages;
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
                    let flaws = [Flaw::FenceWithoutPrepared, Flaw::HoldersByBackend];
                    if flaws.iter().any(|flaw| self.design.has(*flaw)) {
                        self.released(state, index);
                    }
                } else {
                    // PostgreSQL refuses to prepare a transaction that has executed NOTIFY, and ends it.
                    self.end(state, index);
                }
            }
            SenderStep::CommitPrepared => {
                let work = sender.work;
                *sender = visible(work);
                state.visible += work.messages;
            }
            SenderStep::ReleaseLocks | SenderStep::Rollback | SenderStep::RollbackPrepared => {
                self.end(state, index);
            }
        }
    }

    pub(super) fn end(self, state: &mut State, sender: usize) {
        state.senders[sender] = Sender::default();
        self.released(state, sender);
    }

    /// Who awaits this transaction will see that it has ended.
    fn released(self, state: &mut State, sender: usize) {
        for consumer in &mut state.consumers {
            if consumer.awaits.has(sender) {
                consumer.awaits = consumer.awaits.without(Senders::only(sender));
                consumer.wants |= consumer.runs() && !self.design.has(Flaw::NoLookAfterFence);
            }
        }
    }
}

/// The trigger has looked twice.
fn decide(state: &mut State, sender: usize, wakes: Consumers) {
    let sender = &mut state.senders[sender];
    state.needless_notification |= sender.misjudged && !wakes.is_empty();
    sender.misjudged = false;
    sender.found = Consumers::NOBODY;
    sender.phase = Phase::Open;
    let work = sender.current_work();
    work.wakes = work.wakes.with(wakes);
}

fn visible(work: Work) -> Sender {
    Sender {
        phase: Phase::Visible,
        work: Work {
            messages: work.messages,
            ..Work::default()
        },
        ..Sender::default()
    }
}
