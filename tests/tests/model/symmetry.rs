//! States that differ only in who is called the first and who the second are one state to the checker: neither the
//! order of the senders nor that of the consumers means anything. About a quarter is left to explore.
//!
//! The checker knows states by their hash. So the hash is that of one of the four, the one that packs into the
//! smallest number; it is what makes an exhaustive walk fast enough for a test without optimisation.

use std::hash::{Hash, Hasher};

use crate::consumer::{Activity, Consumer};
use crate::sender::{Sender, Work};
use crate::state::State;

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let swapped = self.with_senders_swapped();
        let all = [
            *self,
            swapped,
            self.with_consumers_swapped(),
            swapped.with_consumers_swapped(),
        ];
        hasher.write_u64(all.iter().map(State::packed).min().unwrap());
    }
}

impl State {
    fn with_senders_swapped(mut self) -> Self {
        self.senders.swap(0, 1);
        for consumer in &mut self.consumers {
            consumer.awaits = consumer.awaits.swapped();
        }
        self
    }

    fn with_consumers_swapped(mut self) -> Self {
        self.consumers.swap(0, 1);
        self.leases = self.leases.swapped();
        for sender in &mut self.senders {
            sender.work.wakes = sender.work.wakes.swapped();
            if let Some(since) = &mut sender.since_savepoint {
                since.wakes = since.wakes.swapped();
            }
        }
        self
    }

    /// Different numbers for different states. Every field is named, so that none can be forgotten.
    fn packed(&self) -> u64 {
        let State {
            visible,
            senders,
            consumers,
            leases,
            needless_notification,
        } = *self;
        let [a, b] = senders.map(number_of_sender);
        let [one, two] = consumers.map(number_of_consumer);
        // 14 bits for each sender, 11 for each consumer.
        let (senders, consumers) = (a | b << 14, one | two << 11);
        let rest = u64::from(visible)
            | u64::from(leases.bits()) << 2
            | u64::from(needless_notification) << 4;
        senders | consumers << 28 | rest << 50
    }
}

fn number_of_sender(sender: Sender) -> u64 {
    let Sender {
        phase,
        isolation,
        snapshot_has_lease,
        work,
        since_savepoint,
    } = sender;
    let since = since_savepoint.unwrap_or_default();
    let flags = isolation as u64
        | u64::from(snapshot_has_lease) << 1
        | u64::from(since_savepoint.is_some()) << 2;
    phase as u64 | flags << 3 | number_of_work(work) << 6 | number_of_work(since) << 10
}

fn number_of_work(work: Work) -> u64 {
    let Work { rows, wakes } = work;
    u64::from(rows) | u64::from(wakes.bits()) << 2
}

fn number_of_consumer(consumer: Consumer) -> u64 {
    let Consumer {
        activity,
        ear,
        stopped,
        fenced,
        saw_message,
        awaits,
    } = consumer;
    let flags = u64::from(stopped) | u64::from(fenced) << 1 | u64::from(saw_message) << 2;
    number_of_activity(activity) | (ear as u64) << 4 | flags << 6 | u64::from(awaits.bits()) << 9
}

fn number_of_activity(activity: Activity) -> u64 {
    match activity {
        Activity::Claiming => 0,
        Activity::Passing => 1,
        Activity::Full => 2,
        Activity::Asleep => 3,
        Activity::Gone => 4,
        Activity::Parking(step) => 5 + u64::from(step),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};
    use std::hash::{DefaultHasher, Hash, Hasher};

    use stateright::Model;

    use crate::design::{Design, Fence, Herd};
    use crate::protocol::Protocol;
    use crate::state::State;

    /// What the checker leaves out is what it has seen: otherwise leaving it out would hide something.
    #[test]
    fn from_states_that_count_as_one_the_same_states_are_reached() {
        let mut random = fastrand::Rng::with_seed(5);
        for (fence, herd) in [(Fence::Anybody, Herd::All), (Fence::Holders, Herd::One)] {
            let protocol = Design {
                fence,
                herd,
                ..Design::default()
            }
            .in_any_case();
            let mut state = State::default();
            let mut seen = HashMap::new();
            for _ in 0..5_000 {
                assert_eq!(
                    *seen.entry(state.packed()).or_insert(state),
                    state,
                    "different states, one number"
                );
                let swapped = state.with_senders_swapped();
                for same in [
                    swapped,
                    state.with_consumers_swapped(),
                    swapped.with_consumers_swapped(),
                ] {
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

    fn reached(protocol: Protocol, state: &State) -> BTreeSet<u64> {
        protocol.next_states(state).iter().map(hash).collect()
    }

    fn hash(state: &State) -> u64 {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        hasher.finish()
    }
}
