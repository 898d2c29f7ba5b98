//! What a consumer tells the senders: it has to be told, it looks by itself, it has no room.

use super::Protocol;
use super::consuming::others;
use crate::consumer::{Attention, Consumer, ConsumerStep, Life, ParkingStep, Row};
use crate::design::Flaw;
use crate::scope::Part;
use crate::sender::Phase;
use crate::state::{Consumers, Lock, Senders, State};

impl Protocol {
    /// Each is a statement in the session that parks.
    pub(super) fn parking_steps(
        self,
        state: &State,
        index: usize,
        possible: &mut dyn FnMut(ConsumerStep),
    ) {
        let consumer = state.consumers[index];
        let may_rest = match consumer.attention {
            Attention::No => false,
            Attention::Yes => !(consumer.broken && self.design.has(Flaw::AttendsForEver)),
            Attention::Lost => state.lock != Lock::OfLostSession,
        };
        if may_rest && consumer.row == Row::Valid {
            possible(ConsumerStep::Rest);
        }
        if consumer.broken {
            return;
        }
        match consumer.row {
            Row::Parking(number) => {
                possible(ConsumerStep::Park(
                    self.design.parking()[usize::from(number)],
                ));
            }
            Row::Valid => {
                if !unlocked(state, index).is_empty() {
                    possible(ConsumerStep::Ask);
                }
                if consumer.attention == Attention::No && state.lock == Lock::Free {
                    possible(ConsumerStep::Attend);
                }
                if consumer.full {
                    possible(ConsumerStep::GoAway);
                }
            }
            Row::Leaving => possible(ConsumerStep::DeleteRow),
            Row::Away => {}
        }
        if self.scope.has(Part::Leaving) {
            possible(ConsumerStep::Leave);
        }
    }

    pub(super) fn park(self, state: &mut State, index: usize, step: ConsumerStep) {
        let own = Consumers::only(index);
        let unlocked = unlocked(state, index);
        let holders = self.seen_holders(state);
        let consumer = &mut state.consumers[index];
        match step {
            ConsumerStep::Park(step) => self.take(state, index, step),
            ConsumerStep::Ask => {
                consumer.awaits = consumer.awaits.without(unlocked);
                consumer.wants |= !self.design.has(Flaw::NoLookAfterFence);
            }
            ConsumerStep::Attend => {
                consumer.attention = Attention::Yes;
                if !self.design.has(Flaw::BusyDoesNotAttend) {
                    state.lock = Lock::Of(index);
                }
            }
            ConsumerStep::Rest if self.design.has(Flaw::AttentionLapses) => {
                consumer.attention = Attention::No;
            }
            ConsumerStep::Rest => {
                consumer.loses_row();
                self.fails(consumer);
            }
            ConsumerStep::GoAway => {
                consumer.loses_row();
                consumer.row = Row::Leaving;
                consumer.attends_no_more();
                state.unlock(index);
            }
            ConsumerStep::DeleteRow => {
                consumer.row = Row::Away;
                state.rows = state.rows.without(own);
            }
            ConsumerStep::Leave => {
                *consumer = Consumer {
                    life: Life::Leaves,
                    ..Consumer::GONE
                };
                state.unlock(index);
                state.rows = state.rows.without(own);
            }
            ConsumerStep::NoteBeforeLeaving => {
                consumer.life = Life::LeavesAfter;
                if !self.design.has(Flaw::LeavesAtOnce) {
                    consumer.awaits = holders;
                }
            }
            _ => self.befall(state, index, step),
        }
    }

    /// One step on the way to a row that can be relied on.
    fn take(self, state: &mut State, index: usize, step: ParkingStep) {
        let holders = self.seen_holders(state);
        let is_visible = state.visible > 0;
        let is_held_elsewhere = state.lock == Lock::OfLostSession;
        let consumer = &mut state.consumers[index];
        match step {
            ParkingStep::CommitRow => state.rows = state.rows.with(Consumers::only(index)),
            // What a lost session holds it cannot give back.
            ParkingStep::Unlock if is_held_elsewhere => consumer.attends_no_more(),
            ParkingStep::Unlock => consumer.attention = Attention::No,
            ParkingStep::Note => consumer.awaits = holders,
            // Without a free handler it looks when there is one, and wakes others until then.
            ParkingStep::Look => consumer.wants |= is_visible || consumer.full,
            ParkingStep::Snapshot => consumer.saw_message = is_visible,
            ParkingStep::NoteInSnapshot => {
                consumer.awaits = holders;
                consumer.wants |= consumer.saw_message || consumer.full;
                consumer.saw_message = false;
            }
        }
        let attends = consumer.attention != Attention::No;
        if let Row::Parking(number) = &mut consumer.row {
            let steps = self.design.parking();
            *number += 1;
            // There may be nothing to give back.
            if !attends && steps.get(usize::from(*number)) == Some(&ParkingStep::Unlock) {
                *number += 1;
            }
            if usize::from(*number) == steps.len() {
                consumer.row = Row::Valid;
            }
        }
        if step == ParkingStep::Unlock {
            state.unlock(index);
        }
    }

    /// Who holds a write lock, as the fence sees it.
    fn seen_holders(self, state: &State) -> Senders {
        let holders = state.lock_holders();
        let is_seen = |sender: usize| {
            holders.has(sender)
                && !(self.design.has(Flaw::FenceWithoutPrepared)
                    && state.senders[sender].phase == Phase::Prepared)
        };
        Senders::such_that(is_seen)
    }
}

/// Whoever leaves waits for those that may have counted on it.
pub(super) fn leaving_steps(state: &State, index: usize, possible: &mut dyn FnMut(ConsumerStep)) {
    let consumer = state.consumers[index];
    if consumer.life == Life::Leaves {
        possible(ConsumerStep::NoteBeforeLeaving);
    } else if unlocked(state, index) == consumer.awaits {
        others(state, index, true, &mut |next| {
            possible(ConsumerStep::Left(next));
        });
    }
}

/// Those that a consumer awaits, and would not see any more if it asked.
fn unlocked(state: &State, index: usize) -> Senders {
    state.consumers[index].awaits.without(state.lock_holders())
}
