//! Which steps are possible, and what each does.

mod befalling;
mod consuming;
mod parking;
mod sending;

use stateright::{Model, Property};

use crate::consumer::{Consumer, ConsumerStep, Life};
use crate::design::Design;
use crate::properties::Claim;
use crate::scope::{Part, Scope};
use crate::sender::{Phase, SenderStep};
use crate::state::{Consumers, Lock, State};

/// A design of wake-up delivery in a world with these faults, and what is claimed of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Protocol {
    pub(crate) design: Design,
    pub(crate) scope: Scope,
    pub(crate) claim: Claim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Sender(usize, SenderStep),
    Consumer(usize, ConsumerStep),
    LostSessionEnds,
    ServerCrash,
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    /// Two senders, two consumers that have just begun to listen, an empty queue.
    fn init_states(&self) -> Vec<State> {
        let mut state = State::default();
        for consumer in self.scope.consumers..2 {
            state.consumers[consumer] = Consumer::GONE;
        }
        vec![state]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for sender in 0..self.scope.senders {
            self.sender_steps(state, sender, &mut |step| {
                steps.push(Step::Sender(sender, step));
            });
        }
        for consumer in 0..self.scope.consumers {
            let possible = &mut |step| steps.push(Step::Consumer(consumer, step));
            self.consumer_steps(state, consumer, possible);
            self.fates(state, consumer, possible);
        }
        if state.lock == Lock::OfLostSession {
            steps.push(Step::LostSessionEnds);
        }
        if self.scope.has(Part::ServerCrash) {
            steps.push(Step::ServerCrash);
        }
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let mut next = *state;
        match step {
            Step::Sender(sender, step) => self.send(&mut next, sender, step),
            Step::Consumer(consumer, step) => self.consume(&mut next, consumer, step),
            Step::LostSessionEnds => next.lock = Lock::Free,
            Step::ServerCrash => self.crash(&mut next),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.claim.properties()
    }
}

impl Protocol {
    /// Transactions are gone but for the committed and the prepared; every session is lost, and with it locks and what
    /// was to be delivered; an unlogged table is empty.
    fn crash(self, state: &mut State) {
        for sender in 0..state.senders.len() {
            if state.senders[sender].phase != Phase::Prepared {
                self.end(state, sender);
            }
        }
        for consumer in &mut state.consumers {
            match consumer.life {
                Life::Gone => {}
                Life::Leaves | Life::LeavesAfter => *consumer = Consumer::GONE,
                Life::Runs | Life::Stopped => {
                    consumer.listens = false;
                    self.loses_session(consumer);
                }
            }
        }
        state.rows = Consumers::NOBODY;
        state.lock = Lock::Free;
    }
}
