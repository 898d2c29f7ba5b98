//! What befalls a consumer: its process, its sessions, its row.

use super::Protocol;
use crate::consumer::{Attention, Consumer, ConsumerStep, Life, Row};
use crate::design::{Flaw, LostSession};
use crate::scope::Part;
use crate::state::{Consumers, Lock, State};

impl Protocol {
    pub(super) fn fates(self, state: &State, index: usize, possible: &mut dyn FnMut(ConsumerStep)) {
        let consumer = state.consumers[index];
        let is_up = matches!(consumer.life, Life::Runs | Life::Stopped);
        if state.rows.has(index) && self.may_expire(consumer) {
            possible(ConsumerStep::RowExpires);
        }
        if is_up && self.scope.has(Part::Crash) {
            possible(ConsumerStep::Crash);
        }
        // A session that attends and says nothing is ended; any may be, for other reasons.
        let is_silent = consumer.life == Life::Stopped && state.lock == Lock::Of(index);
        let is_lost = consumer.runs() && self.scope.has(Part::ParkingLoss);
        if !consumer.broken && (is_silent || is_lost) {
            possible(ConsumerStep::SessionEnds);
        }
        match consumer.life {
            Life::Runs => {
                if !consumer.listens {
                    possible(ConsumerStep::Relisten);
                } else if self.scope.has(Part::ListenerLoss) {
                    possible(ConsumerStep::LoseListener);
                }
                if consumer.broken && self.may_notice(consumer) {
                    possible(ConsumerStep::Notice);
                }
                if !consumer.broken && self.scope.has(Part::SessionOutlives) {
                    possible(ConsumerStep::GiveUpSession);
                }
            }
            Life::Stopped => possible(ConsumerStep::Continue),
            // One that died is another one when it is back, and while the row is there of the one before, senders
            // may name that one.
            Life::Gone if !state.rows.has(index) => possible(ConsumerStep::Restart),
            Life::Gone | Life::Leaves | Life::LeavesAfter => {}
        }
    }

    /// Whoever runs refreshes its row in time, if it has a session for that.
    fn may_expire(self, consumer: Consumer) -> bool {
        match consumer.life {
            Life::Gone | Life::Stopped => true,
            Life::Runs if consumer.row == Row::Away || consumer.broken => true,
            Life::Runs => {
                let refreshes = !self.design.has(Flaw::RowNotRefreshed);
                self.scope.has(Part::Stop) || consumer.row == Row::Valid && !refreshes
            }
            Life::Leaves | Life::LeavesAfter => false,
        }
    }

    pub(super) fn befall(self, state: &mut State, index: usize, step: ConsumerStep) {
        let consumer = &mut state.consumers[index];
        match step {
            ConsumerStep::LoseListener => consumer.listens = false,
            ConsumerStep::Relisten => {
                consumer.listens = true;
                // Events may be missing, and after a crash of the server every row.
                if !self.design.has(Flaw::ReconnectSaysNothing) {
                    consumer.wants = true;
                    consumer.loses_row();
                    self.fails(consumer);
                }
            }
            ConsumerStep::SessionEnds => {
                self.loses_session(consumer);
                state.unlock(index);
            }
            ConsumerStep::Notice => notices(consumer),
            ConsumerStep::GiveUpSession => {
                notices(consumer);
                if state.lock == Lock::Of(index) {
                    state.lock = Lock::OfLostSession;
                    if self.design.lost_session == LostSession::Outwaits {
                        consumer.attention = Attention::Lost;
                    }
                }
            }
            ConsumerStep::RowExpires => self.expire(state, index),
            ConsumerStep::Continue => {
                consumer.life = Life::Runs;
                self.fails(consumer);
            }
            ConsumerStep::Crash => {
                *consumer = Consumer::GONE;
                state.unlock(index);
            }
            ConsumerStep::Restart => *consumer = Consumer::default(),
            _ => unreachable!("{step:?} is not a fate"),
        }
    }

    fn expire(self, state: &mut State, index: usize) {
        state.rows = state.rows.without(Consumers::only(index));
        let consumer = &mut state.consumers[index];
        // Where nobody refreshes a row it needs no stop to expire.
        let is_unattended = consumer.row == Row::Away || consumer.broken;
        if consumer.life == Life::Runs && self.scope.has(Part::Stop) && !is_unattended {
            consumer.life = Life::Stopped;
        }
        // Its own clock tells it that it cannot rely on the row any more.
        let notices = !self.design.has(Flaw::RowNotRefreshed)
            && !self.design.has(Flaw::StoppedConsumerGoesOn);
        if consumer.life != Life::Gone && notices && consumer.row != Row::Away {
            consumer.loses_row();
            consumer.wants = true;
            self.fails(consumer);
        }
    }

    /// The session that parks is gone, with its lock. One that has a row and says nothing else need not notice soon.
    pub(super) fn loses_session(self, consumer: &mut Consumer) {
        consumer.broken = true;
        // Without the lock there is nothing that it could be wrong about, if the server lives.
        if consumer.attention == Attention::No && consumer.listens && self.may_notice(*consumer) {
            notices(consumer);
        }
        self.fails(consumer);
    }

    /// A job in a session that is gone fails, and so the consumer notices.
    pub(super) fn fails(self, consumer: &mut Consumer) {
        let has_job = matches!(consumer.row, Row::Parking(_) | Row::Leaving);
        if consumer.broken && consumer.runs() && has_job && self.may_notice(*consumer) {
            notices(consumer);
        }
    }

    fn may_notice(self, consumer: Consumer) -> bool {
        consumer.attention != Attention::Yes || !self.design.has(Flaw::AttendsForEver)
    }
}

/// Jobs under way have failed. Whether the row was deleted is not known, and it will not be refreshed.
fn notices(consumer: &mut Consumer) {
    consumer.broken = false;
    consumer.attends_no_more();
    if consumer.row == Row::Leaving {
        consumer.row = Row::Away;
    }
    consumer.loses_row();
}
