//! What a consumer does with messages, and with other consumers when it has no room for them.

use super::Protocol;
use super::parking::leaving_steps;
use crate::consumer::{Attention, Consumer, ConsumerStep, Life, Row};
use crate::design::Flaw;
use crate::state::{Consumers, State};

impl Protocol {
    pub(super) fn consumer_steps(
        self,
        state: &State,
        index: usize,
        possible: &mut dyn FnMut(ConsumerStep),
    ) {
        let consumer = state.consumers[index];
        match consumer.life {
            Life::Runs => {
                if consumer.full {
                    possible(ConsumerStep::Finish);
                    if self.wakes_next(consumer) {
                        others(state, index, consumer.wants, &mut |next| {
                            possible(ConsumerStep::WakeNext(next));
                        });
                    }
                } else {
                    if consumer.wants {
                        possible(ConsumerStep::Look);
                    }
                    // Where there is nothing this changes nothing.
                    if state.visible > 0 {
                        possible(ConsumerStep::LookByItself);
                    }
                }
                self.parking_steps(state, index, possible);
            }
            Life::Leaves | Life::LeavesAfter => leaving_steps(state, index, possible),
            Life::Stopped | Life::Gone => {}
        }
    }

    /// Without a free handler it wakes others: once for what it left over or was told of; and again and again while
    /// senders leave the queue to it, or it has told them to tell others.
    pub(crate) fn wakes_next(self, consumer: Consumer) -> bool {
        if !consumer.runs() || !consumer.full {
            return false;
        }
        match consumer.row {
            Row::Leaving | Row::Away if self.design.has(Flaw::AwayWithoutWakeNext) => false,
            Row::Leaving | Row::Away => true,
            _ => {
                let keeps = self.design.has(Flaw::FullConsumerKeepsWakeUp);
                consumer.attention != Attention::No || consumer.wants && !keeps
            }
        }
    }

    pub(super) fn consume(self, state: &mut State, index: usize, step: ConsumerStep) {
        let consumer = &mut state.consumers[index];
        match step {
            ConsumerStep::Look => {
                consumer.wants = false;
                self.look(state, index);
            }
            ConsumerStep::LookByItself => self.look(state, index),
            ConsumerStep::Finish => {
                consumer.full = false;
                consumer.wants = true;
            }
            ConsumerStep::WakeNext(next) => {
                consumer.wants = false;
                wake(state, next);
            }
            ConsumerStep::Left(next) => {
                *consumer = Consumer::GONE;
                wake(state, next);
            }
            _ => self.park(state, index, step),
        }
    }

    /// One statement: claims a message, if there is one.
    fn look(self, state: &mut State, index: usize) {
        let consumer = &mut state.consumers[index];
        // It has a free handler again.
        if matches!(consumer.row, Row::Leaving | Row::Away) {
            consumer.row = Row::NONE;
        }
        if state.visible > 0 {
            state.visible -= 1;
            consumer.full = true;
            consumer.wants |= !self.design.has(Flaw::NothingIsPassedOn);
        }
    }
}

fn wake(state: &mut State, next: Option<usize>) {
    if let Some(next) = next {
        state.notify(Consumers::only(next));
    }
}

/// If a message is left over, one of the others that have a row is woken, whichever.
pub(super) fn others(
    state: &State,
    index: usize,
    is_due: bool,
    possible: &mut dyn FnMut(Option<usize>),
) {
    let others = state.rows.without(Consumers::only(index));
    if state.visible > 0 && !others.is_empty() {
        others.iter().for_each(|other| possible(Some(other)));
    } else if is_due {
        possible(None);
    }
}
