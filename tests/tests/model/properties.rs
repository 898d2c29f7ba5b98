//! What has to hold in every reachable state, and what must be reachable for that to mean anything.

use stateright::Property;

use crate::consumer::Activity;
use crate::design::{Flaw, Herd};
use crate::protocol::Protocol;
use crate::sender::{Phase, Sender};
use crate::state::State;

/// What is claimed of a design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The three that follow.
    All,
    /// The two that follow.
    NoMessageWaits,
    /// Whenever a message is visible, some consumer that runs is awake, or is about to be woken. Stronger than what is
    /// needed: it holds while other transactions are open, too.
    NoMessageWaitsWhileAllSleep,
    /// No message waits for a consumer whose handlers are all at work, while another one sleeps.
    NoMessageWaitsForABusyConsumer,
    /// While those who hold leases are at work, a sender at READ COMMITTED sends nothing.
    LoadedQueueIsSilent,
    /// Not claimed: that this never happens. See [`reachable`](crate::reachable).
    Reachable(Example),
}

/// What a model that proves anything must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Example {
    EverybodySleepsBesideAnOpenTransaction,
    TransactionCommitsUnnoticed,
    ConsumerIsFencedByAPreparedTransaction,
    StoppedConsumerLosesItsLease,
    MessageOutlivesEveryConsumer,
}

impl Claim {
    /// Whether the state has to remember notifications that nobody needed: only for whom it is about them.
    pub(crate) fn is_about_needless_notifications(self) -> bool {
        matches!(self, Self::All | Self::LoadedQueueIsSilent)
    }

    pub(crate) fn properties(self) -> Vec<Property<Protocol>> {
        let both = |first: Self, second: Self| {
            first
                .properties()
                .into_iter()
                .chain(second.properties())
                .collect()
        };
        match self {
            Self::All => both(Self::NoMessageWaits, Self::LoadedQueueIsSilent),
            Self::NoMessageWaits => both(
                Self::NoMessageWaitsWhileAllSleep,
                Self::NoMessageWaitsForABusyConsumer,
            ),
            Self::NoMessageWaitsWhileAllSleep => {
                vec![Property::always(
                    "no message waits while every consumer sleeps",
                    |_, state| !waits_while_all_sleep(state),
                )]
            }
            Self::NoMessageWaitsForABusyConsumer => {
                vec![Property::always(
                    "no message waits for a busy consumer while another sleeps",
                    |protocol, state| !waits_for_a_busy_consumer(*protocol, state),
                )]
            }
            Self::LoadedQueueIsSilent => {
                vec![Property::always(
                    "a loaded queue sends no notification",
                    |_, state: &State| !state.needless_notification,
                )]
            }
            Self::Reachable(_) => vec![Property::sometimes(
                "reachable",
                |protocol, state| matches!(protocol.claim, Self::Reachable(example) if example.is(state)),
            )],
        }
    }
}

fn waits_while_all_sleep(state: &State) -> bool {
    let mut running = state
        .consumers
        .iter()
        .filter(|consumer| consumer.runs())
        .peekable();
    state.visible > 0
        && running.peek().is_some()
        && running.all(|consumer| consumer.sleeps_undisturbed())
}

fn waits_for_a_busy_consumer(protocol: Protocol, state: &State) -> bool {
    let running = || state.consumers.iter().filter(|consumer| consumer.runs());
    // Where one is woken by name, a full consumer hands on what it is told.
    let hands_on =
        protocol.design.herd == Herd::One && !protocol.design.has(Flaw::FullConsumerKeepsWakeUp);
    state.visible > 0
        && running().any(|consumer| consumer.sleeps_undisturbed())
        && running().all(|consumer| {
            let full =
                consumer.activity == Activity::Full && !(hands_on && consumer.will_be_told());
            full || consumer.sleeps_undisturbed()
        })
}

impl Example {
    fn is(self, state: &State) -> bool {
        let asleep = state
            .consumers
            .iter()
            .all(|consumer| consumer.runs() && consumer.sleeps_undisturbed());
        let any_sender = |holds: fn(&Sender) -> bool| state.senders.iter().any(holds);
        match self {
            Self::EverybodySleepsBesideAnOpenTransaction => {
                asleep
                    && any_sender(|sender| sender.phase == Phase::Open && sender.holds_write_lock())
            }
            Self::TransactionCommitsUnnoticed => {
                let told = state
                    .consumers
                    .iter()
                    .any(|consumer| consumer.will_be_told());
                !told && state.visible > 0 && any_sender(|sender| sender.phase == Phase::Visible)
            }
            Self::ConsumerIsFencedByAPreparedTransaction => {
                let prepared = any_sender(|sender| sender.phase == Phase::Prepared);
                let alone =
                    !any_sender(|sender| !matches!(sender.phase, Phase::Idle | Phase::Prepared));
                prepared && alone && state.consumers.iter().any(|consumer| consumer.fenced)
            }
            Self::StoppedConsumerLosesItsLease => {
                state.consumers.iter().any(|consumer| consumer.stopped)
            }
            Self::MessageOutlivesEveryConsumer => {
                state.visible > 0
                    && state
                        .consumers
                        .iter()
                        .all(|consumer| consumer.activity == Activity::Gone)
            }
        }
    }
}
