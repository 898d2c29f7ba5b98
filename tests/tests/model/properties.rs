//! What has to hold in every reachable state, and what must be reachable for that to mean anything.

use stateright::Property;

use crate::consumer::{Attention, Life, Row};
use crate::protocol::Protocol;
use crate::scope::Part;
use crate::sender::{Phase, Sender};
use crate::state::{Lock, State};

/// What is claimed of a design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The three that follow. Where consumers may die or be stopped, the first two are claimed of states in which all
    /// run: what was left to one of those is the price, see [`prices`](crate::prices).
    All,
    /// Whenever a message is visible, some consumer that runs is awake, or is about to be woken. Stronger than what is
    /// needed: it holds while other transactions are open, too.
    NoMessageWaitsWhileAllSleep,
    /// No message waits for a consumer without a free handler, which has told others and will not again, while another
    /// one sleeps.
    NoMessageWaitsForAFullConsumer,
    /// While a consumer attends, no sender notifies.
    LoadedQueueIsSilent,
    /// The first one, also of those that are left when others have died or are stopped.
    NoMessageWaitsWhileTheOthersSleep,
    /// Not claimed: that this never happens. See [`reachable`](crate::reachable).
    Reachable(Example),
}

/// What a model that proves anything must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Example {
    EverybodySleepsBesideAnOpenTransaction,
    TransactionCommitsUnnoticed,
    ConsumerIsFencedByAPreparedTransaction,
    ConsumerAttendsWhileAnotherSleeps,
    FullConsumerIsAwayWhileAnotherSleeps,
    StoppedConsumerHasLostRowAndLock,
    ConsumerAttendsWithoutLock,
    LostSessionHoldsTheLock,
    MessageOutlivesEveryConsumer,
}

impl Claim {
    /// Whether the state has to remember notifications that nobody needed: only for whom it is about them.
    pub(crate) fn is_about_needless_notifications(self) -> bool {
        matches!(self, Self::All | Self::LoadedQueueIsSilent)
    }

    pub(crate) fn properties(self) -> Vec<Property<Protocol>> {
        match self {
            Self::All => [
                Self::NoMessageWaitsWhileAllSleep,
                Self::NoMessageWaitsForAFullConsumer,
                Self::LoadedQueueIsSilent,
            ]
            .into_iter()
            .flat_map(Self::properties)
            .collect(),
            Self::NoMessageWaitsWhileAllSleep => {
                vec![Property::always(
                    "no message waits while every consumer sleeps",
                    |protocol, state| {
                        is_about_less(*protocol, state) || !waits_while_all_sleep(state)
                    },
                )]
            }
            Self::NoMessageWaitsForAFullConsumer => {
                vec![Property::always(
                    "no message waits for a full consumer while another sleeps",
                    |protocol, state| {
                        is_about_less(*protocol, state)
                            || !waits_for_a_full_consumer(*protocol, state)
                    },
                )]
            }
            Self::LoadedQueueIsSilent => {
                vec![Property::always(
                    "a loaded queue sends no notification",
                    |_, state: &State| !state.needless_notification,
                )]
            }
            Self::NoMessageWaitsWhileTheOthersSleep => {
                vec![Property::always(
                    "no message waits while every consumer sleeps that is left",
                    |_, state| !waits_while_all_sleep(state),
                )]
            }
            Self::Reachable(_) => vec![Property::sometimes(
                "reachable",
                |protocol, state| matches!(protocol.claim, Self::Reachable(example) if example.is(state)),
            )],
        }
    }
}

/// Somebody is dead or stopped who may have been told.
fn is_about_less(protocol: Protocol, state: &State) -> bool {
    let mayhem = protocol.scope.has(Part::Crash) || protocol.scope.has(Part::Stop);
    mayhem && protocol.scope.consumers > 1 && state.consumers.iter().any(|it| !it.runs())
}

/// Whoever leaves wakes another one before it is gone.
fn running(state: &State) -> impl Iterator<Item = usize> + Clone {
    (0..state.consumers.len())
        .filter(|index| state.consumers[*index].runs() || state.consumers[*index].leaves())
}

fn waits_while_all_sleep(state: &State) -> bool {
    let sleeps = |index| state.sleeps_undisturbed(index);
    state.visible > 0 && running(state).next().is_some() && running(state).all(sleeps)
}

fn waits_for_a_full_consumer(protocol: Protocol, state: &State) -> bool {
    let sleeps = |index| state.sleeps_undisturbed(index);
    let keeps = |index: usize| {
        let consumer = state.consumers[index];
        consumer.full
            && consumer.listens
            && !protocol.wakes_next(consumer)
            && !state.is_about_to_look(consumer)
    };
    state.visible > 0
        && running(state).any(sleeps)
        && running(state).all(|index| keeps(index) || sleeps(index))
}

impl Example {
    fn is(self, state: &State) -> bool {
        let asleep = |index| state.sleeps_undisturbed(index);
        let any_sender = |is: fn(&Sender) -> bool| state.senders.iter().any(is);
        let mut consumers = state.consumers.iter();
        match self {
            Self::EverybodySleepsBesideAnOpenTransaction => {
                (0..2).all(asleep)
                    && any_sender(|it| it.phase == Phase::Open && it.holds_write_lock())
            }
            Self::TransactionCommitsUnnoticed => {
                let told = consumers.any(|it| it.will_be_told());
                !told && state.visible > 0 && any_sender(|it| it.phase == Phase::Visible)
            }
            Self::ConsumerIsFencedByAPreparedTransaction => {
                let is_alone = !any_sender(|it| !matches!(it.phase, Phase::Idle | Phase::Prepared));
                is_alone && consumers.any(|it| it.row == Row::Valid && !it.awaits.is_empty())
            }
            Self::ConsumerAttendsWhileAnotherSleeps => {
                state.lock == Lock::Of(0) && state.visible > 0 && asleep(1)
            }
            Self::FullConsumerIsAwayWhileAnotherSleeps => {
                let away = consumers.any(|it| it.full && it.row == Row::Away);
                away && state.visible > 0 && (0..2).any(asleep)
            }
            Self::StoppedConsumerHasLostRowAndLock => {
                consumers.any(|it| it.life == Life::Stopped && it.broken)
            }
            Self::ConsumerAttendsWithoutLock => {
                consumers.any(|it| it.attention == Attention::Yes && it.broken)
            }
            Self::LostSessionHoldsTheLock => state.lock == Lock::OfLostSession,
            Self::MessageOutlivesEveryConsumer => {
                state.visible > 0 && consumers.all(|it| it.life == Life::Gone)
            }
        }
    }
}
