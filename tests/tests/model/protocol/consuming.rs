//! The steps of a consumer, and what befalls it.

use std::mem;

use super::Protocol;
use crate::consumer::{Activity, Consumer, ConsumerStep, Ear, ParkingStep};
use crate::design::{Flaw, Herd};
use crate::scope::Part;
use crate::sender::Phase;
use crate::state::{Consumers, Senders, State};

impl Protocol {
    pub(super) fn consumer_steps(
        self,
        state: &State,
        index: usize,
        possible: &mut dyn FnMut(ConsumerStep),
    ) {
        let consumer = state.consumers[index];
        if consumer.activity == Activity::Gone {
            possible(ConsumerStep::Restart);
        } else if consumer.stopped {
            possible(ConsumerStep::Continue);
        } else {
            self.own_steps(state, index, possible);
            if consumer.ear == Ear::Lost {
                possible(ConsumerStep::Relisten);
            } else if self.scope.has(Part::ConnectionLoss) {
                possible(ConsumerStep::LoseConnection);
            }
        }
        if self.scope.has(Part::ConsumerCrash) && consumer.activity != Activity::Gone {
            possible(ConsumerStep::Crash);
        }
        if state.leases.has(index) && self.may_expire(consumer) {
            possible(ConsumerStep::LeaseExpires);
        }
    }

    fn own_steps(self, state: &State, index: usize, possible: &mut dyn FnMut(ConsumerStep)) {
        let consumer = state.consumers[index];
        match consumer.activity {
            Activity::Claiming => {
                possible(ConsumerStep::Claim);
                if consumer.ear == Ear::Told {
                    possible(ConsumerStep::ClaimUntold);
                }
            }
            Activity::Passing => passes(state, index, possible),
            Activity::Full => {
                possible(ConsumerStep::Finish);
                if self.design.herd == Herd::One
                    && consumer.ear == Ear::Told
                    && !self.design.has(Flaw::FullConsumerKeepsWakeUp)
                {
                    passes(state, index, possible);
                }
            }
            Activity::Parking(step) => {
                possible(ConsumerStep::Park(self.design.parking()[usize::from(step)]));
            }
            Activity::Asleep if consumer.ear == Ear::Told => possible(ConsumerStep::Wake),
            Activity::Asleep => possible(ConsumerStep::Poll),
            Activity::Gone => {}
        }
    }

    /// Whoever runs refreshes its lease in time: by the safety poll when it sleeps, by its repetitions when it is
    /// fenced. Only those who rely on a lease are worth stopping.
    fn may_expire(self, consumer: Consumer) -> bool {
        let relies_on_it = matches!(consumer.activity, Activity::Asleep | Activity::Parking(_));
        let stops = self.scope.has(Part::Stop) && relies_on_it && !consumer.stopped;
        let unrefreshed =
            consumer.activity == Activity::Asleep && self.design.has(Flaw::LeaseNotRefreshed);
        !self.design.lease.belongs_to_the_session()
            && (consumer.activity == Activity::Gone || stops || unrefreshed)
    }

    pub(super) fn consume(self, state: &mut State, index: usize, step: ConsumerStep) {
        let own = Consumers::only(index);
        let consumer = &mut state.consumers[index];
        match step {
            ConsumerStep::Claim => {
                if consumer.ear == Ear::Told {
                    consumer.ear = Ear::Quiet;
                }
                self.claim(state, index);
            }
            ConsumerStep::ClaimUntold => self.claim(state, index),
            ConsumerStep::PassOn(next) => {
                // A full consumer has handed on what woke it.
                if consumer.activity == Activity::Full {
                    consumer.ear = Ear::Quiet;
                }
                consumer.activity = Activity::Full;
                if let Some(next) = next {
                    state.notify(Consumers::only(next));
                }
            }
            ConsumerStep::Finish | ConsumerStep::Wake | ConsumerStep::Poll => {
                consumer.activity = Activity::Claiming;
            }
            ConsumerStep::Park(step) => self.park(state, index, step),
            ConsumerStep::Relisten if self.design.has(Flaw::ReconnectSaysNothing) => {
                consumer.ear = Ear::Quiet;
            }
            ConsumerStep::Relisten => consumer.ear = Ear::Told,
            ConsumerStep::LoseConnection => {
                consumer.ear = Ear::Lost;
                self.end_session(state, own);
            }
            ConsumerStep::LeaseExpires => {
                // Where nobody refreshes a lease it needs no stop to expire.
                consumer.stopped = consumer.activity != Activity::Gone
                    && !self.design.has(Flaw::LeaseNotRefreshed);
                // Its own clock will tell it that it cannot rely on the lease any more.
                if consumer.stopped && !self.design.has(Flaw::StoppedConsumerGoesOn) {
                    consumer.starts_to_claim();
                }
                state.leases = state.leases.without(own);
            }
            ConsumerStep::Continue => consumer.stopped = false,
            ConsumerStep::Crash => {
                *consumer = Consumer {
                    activity: Activity::Gone,
                    ear: Ear::Lost,
                    ..Consumer::default()
                };
                self.end_session(state, own);
            }
            // A new process listens before it does anything else.
            ConsumerStep::Restart => *consumer = Consumer::default(),
        }
    }

    fn park(self, state: &mut State, index: usize, step: ParkingStep) {
        let lock_holders = state.lock_holders();
        let fence = !self.as_the_fence_sees(state, lock_holders).is_empty();
        let consumer = &mut state.consumers[index];
        match step {
            ParkingStep::CommitLease => state.leases = state.leases.with(Consumers::only(index)),
            ParkingStep::NoteHolders => consumer.awaits = lock_holders,
            ParkingStep::CheckHolders => consumer.fenced = !consumer.awaits.is_empty(),
            ParkingStep::Look if state.visible > 0 => return consumer.starts_to_claim(),
            ParkingStep::Look => {}
            ParkingStep::Snapshot => consumer.saw_message = state.visible > 0,
            ParkingStep::LocksAndSnapshot if consumer.saw_message => {
                return consumer.starts_to_claim();
            }
            ParkingStep::Fence | ParkingStep::LocksAndSnapshot => consumer.fenced = fence,
        }
        let Activity::Parking(number) = consumer.activity else {
            unreachable!("only who parks gets here")
        };
        let questions_left = usize::from(number) + 1 < self.design.parking().len();
        consumer.activity = if questions_left {
            Activity::Parking(number + 1)
        } else if mem::take(&mut consumer.fenced) {
            Activity::Parking(self.design.repeats_from())
        } else {
            Activity::Asleep
        };
    }

    /// One statement: claims a message, and ends the lease if there was one. Wake-ups heard before it are used up.
    fn claim(self, state: &mut State, index: usize) {
        let consumer = &mut state.consumers[index];
        if state.visible == 0 {
            consumer.activity = Activity::Parking(0);
            return;
        }
        state.visible -= 1;
        consumer.activity = match self.design.herd {
            Herd::One if !self.design.has(Flaw::NothingIsPassedOn) => Activity::Passing,
            Herd::One | Herd::All => Activity::Full,
        };
        state.leases = match self.design.flaw {
            Some(Flaw::BusyConsumerStaysParked) => state.leases,
            Some(Flaw::BusyConsumerUnparksEverybody) => Consumers::NOBODY,
            _ => state.leases.without(Consumers::only(index)),
        };
    }

    fn as_the_fence_sees(self, state: &State, holders: Senders) -> Senders {
        let hidden = holders.iter().filter(|sender| {
            self.design.has(Flaw::FenceWithoutPrepared)
                && state.senders[*sender].phase == Phase::Prepared
        });
        hidden.fold(holders, |seen, sender| seen.without(Senders::only(sender)))
    }

    fn end_session(self, state: &mut State, consumer: Consumers) {
        if self.design.lease.belongs_to_the_session() {
            state.leases = state.leases.without(consumer);
        }
    }
}

impl Consumer {
    fn starts_to_claim(&mut self) {
        self.activity = Activity::Claiming;
        self.fenced = false;
        self.saw_message = false;
        self.awaits = Senders::NOBODY;
    }
}

/// If a message is left over, one of the other parked consumers is woken, whichever.
fn passes(state: &State, index: usize, possible: &mut dyn FnMut(ConsumerStep)) {
    let others = state.leases.without(Consumers::only(index));
    if state.visible == 0 || others.is_empty() {
        possible(ConsumerStep::PassOn(None));
    } else {
        others
            .iter()
            .for_each(|other| possible(ConsumerStep::PassOn(Some(other))));
    }
}
