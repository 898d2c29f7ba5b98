//! States that differ only in who is called the first and who the second are one state to the checker: neither the
//! order of the senders nor that of the consumers means anything. About a quarter is left to explore.
//!
//! The checker knows states by their hash. So the hash is that of one of the four, the one that packs into the
//! smallest number; it is what makes an exhaustive walk fast enough for a test without optimisation.

use std::hash::{Hash, Hasher};

use crate::consumer::{Consumer, Row};
use crate::sender::{Sender, Work};
use crate::state::{Lock, State};

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let senders = self.senders.map(number_of_sender);
        let consumers = self.consumers.map(number_of_consumer);
        let rest = self.number_of_rest();
        // Those who name a sender, and those who name a consumer, when these have changed places.
        let other_senders = self
            .senders
            .map(|it| number_of_sender(it.with_consumers_swapped()));
        let other_consumers = self
            .consumers
            .map(|it| number_of_consumer(it.with_senders_swapped()));
        let other_rest = self.with_rows_and_lock_swapped().number_of_rest();
        let numbers = [
            packed(senders, consumers, rest),
            packed(reversed(senders), other_consumers, rest),
            packed(other_senders, reversed(consumers), other_rest),
            packed(
                reversed(other_senders),
                reversed(other_consumers),
                other_rest,
            ),
        ];
        hasher.write_u128(numbers.into_iter().min().unwrap());
    }
}

fn reversed([first, second]: [u32; 2]) -> [u32; 2] {
    [second, first]
}

/// Different numbers for different states.
fn packed([a, b]: [u32; 2], [one, two]: [u32; 2], rest: u8) -> u128 {
    u128::from(rest)
        | u128::from(a) << 8
        | u128::from(b) << 28
        | u128::from(one) << 48
        | u128::from(two) << 68
}

impl State {
    /// Every field is named, here and below, so that none can be forgotten.
    fn number_of_rest(&self) -> u8 {
        let State {
            visible,
            senders: _,
            consumers: _,
            rows,
            lock,
            needless_notification,
        } = *self;
        let lock = match lock {
            Lock::Free => 0,
            Lock::Of(consumer) => 1 + u8::from(consumer > 0),
            Lock::OfLostSession => 3,
        };
        visible | rows.bits() << 2 | lock << 4 | u8::from(needless_notification) << 6
    }

    fn with_rows_and_lock_swapped(mut self) -> Self {
        self.rows = self.rows.swapped();
        if let Lock::Of(consumer) = &mut self.lock {
            *consumer = 1 - *consumer;
        }
        self
    }
}

impl Sender {
    fn with_consumers_swapped(mut self) -> Self {
        self.found = self.found.swapped();
        self.work.wakes = self.work.wakes.swapped();
        if let Some(since) = &mut self.since_savepoint {
            since.wakes = since.wakes.swapped();
        }
        self
    }
}

impl Consumer {
    fn with_senders_swapped(mut self) -> Self {
        self.awaits = self.awaits.swapped();
        self
    }
}

/// In 20 bits.
fn number_of_sender(sender: Sender) -> u32 {
    let Sender {
        phase,
        isolation,
        snapshot_has_row,
        found,
        misjudged,
        work,
        since_savepoint,
    } = sender;
    let since = since_savepoint.unwrap_or_default();
    let flags = isolation as u32
        | u32::from(snapshot_has_row) << 1
        | u32::from(misjudged) << 2
        | u32::from(since_savepoint.is_some()) << 3;
    phase as u32
        | flags << 3
        | u32::from(found.bits()) << 7
        | number_of_work(work) << 9
        | number_of_work(since) << 13
}

fn number_of_work(work: Work) -> u32 {
    let Work { messages, wakes } = work;
    u32::from(messages) | u32::from(wakes.bits()) << 2
}

/// In 20 bits.
fn number_of_consumer(consumer: Consumer) -> u32 {
    let Consumer {
        life,
        listens,
        wants,
        full,
        row,
        awaits,
        attention,
        broken,
        saw_message,
    } = consumer;
    let row = match row {
        Row::Valid => 0,
        Row::Leaving => 1,
        Row::Away => 2,
        Row::Parking(step) => 3 + u32::from(step),
    };
    let flags = [listens, wants, full, broken, saw_message];
    let flags = flags
        .iter()
        .fold(0, |all, flag| all << 1 | u32::from(*flag));
    life as u32 | row << 3 | u32::from(awaits.bits()) << 6 | (attention as u32) << 8 | flags << 10
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::hash::{DefaultHasher, Hash, Hasher};

    use stateright::Model;

    use super::{number_of_consumer, number_of_sender, packed};
    use crate::consumer::Consumer;
    use crate::design::{Design, LostSession};
    use crate::protocol::Protocol;
    use crate::scope::{Part, Scope};
    use crate::sender::Sender;
    use crate::state::State;

    /// What the checker leaves out is what it has seen: otherwise leaving it out would hide something.
    #[test]
    fn from_states_that_count_as_one_the_same_states_are_reached() {
        let mut random = fastrand::Rng::with_seed(5);
        for lost_session in [LostSession::Forgets, LostSession::Outwaits] {
            let scope = Scope::EVERYTHING
                .with(Part::SessionOutlives)
                .with(Part::Leaving);
            let protocol = Design {
                lost_session,
                ..Design::default()
            }
            .within(scope);
            let mut state = State::default();
            let mut seen = HashMap::new();
            for _ in 0..5_000 {
                let senders = state.senders.map(number_of_sender);
                let consumers = state.consumers.map(number_of_consumer);
                let number = packed(senders, consumers, state.number_of_rest());
                let first = *seen.entry(number).or_insert(state);
                assert_eq!(first, state, "different states, one number");
                let senders = with_senders_swapped(state);
                let consumers = with_consumers_swapped(state);
                for same in [senders, consumers, with_consumers_swapped(senders)] {
                    assert_eq!(hash(&same), hash(&state), "{same:?}\n{state:?}");
                    assert_eq!(
                        reached(protocol, &same),
                        reached(protocol, &state),
                        "{same:?}\n{state:?}"
                    );
                }
                state = random.choice(protocol.next_states(&state)).unwrap();
            }
        }
    }

    fn with_senders_swapped(mut state: State) -> State {
        state.senders.swap(0, 1);
        state.consumers = state.consumers.map(Consumer::with_senders_swapped);
        state
    }

    fn with_consumers_swapped(mut state: State) -> State {
        state.consumers.swap(0, 1);
        state.senders = state.senders.map(Sender::with_consumers_swapped);
        state.with_rows_and_lock_swapped()
    }

    fn reached(protocol: Protocol, state: &State) -> BTreeSet<u64> {
        protocol.next_states(state).iter().map(hash).collect()
    }

    fn hash(state: &State) -> u64 {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        hasher.finish()
    }
}
