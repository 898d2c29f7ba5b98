//! Which steps are possible, and what each does.

mod consuming;
mod sending;

use stateright::{Model, Property};

use crate::consumer::{ConsumerStep, Ear};
use crate::design::Design;
use crate::properties::Claim;
use crate::scope::{Part, Scope};
use crate::sender::{Phase, SenderStep};
use crate::state::{Consumers, State};

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
    ServerCrash,
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    /// Two senders, two consumers that have just begun to listen, an empty queue.
    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for sender in 0..state.senders.len() {
            self.sender_steps(state, sender, &mut |step| {
                steps.push(Step::Sender(sender, step));
            });
        }
        for consumer in 0..state.consumers.len() {
            self.consumer_steps(state, consumer, &mut |step| {
                steps.push(Step::Consumer(consumer, step));
            });
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
            Step::ServerCrash => crash(&mut next),
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        self.claim.properties()
    }
}

/// Transactions are gone but for the committed and the prepared; every session is lost, and with it what was to be
/// delivered; an unlogged table is empty, and so are locks of sessions. What a sequence says after a crash is not
/// certain, so it says the worst: nobody is parked.
fn crash(state: &mut State) {
    for sender in 0..state.senders.len() {
        if state.senders[sender].phase != Phase::Prepared {
            sending::end(state, sender);
        }
    }
    for consumer in &mut state.consumers {
        consumer.ear = Ear::Lost;
    }
    state.leases = Consumers::NOBODY;
}
