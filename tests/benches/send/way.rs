//! The ways to send, and who is told.

use pgmq_notify_core::{Delivery, PgmqNotifyConfig};

use crate::{
    attached::Attached,
    support::{BATCH, Ink, Publisher},
};

/// How messages are sent: each statement is a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    One,
    /// [`BATCH`] of them.
    Batch,
}

impl By {
    pub(crate) fn messages(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Batch => BATCH,
        }
    }
}

/// What arrives on the channel of a way for each statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Notifies {
    /// Nothing, or not always.
    Sometimes,
    EachStatement,
    EachMessage,
}

/// Whose functions send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Functions {
    Pgmq,
    Ours,
}

#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) publisher: Publisher,
    pub(crate) functions: Functions,
    pub(crate) notifies: Notifies,
    /// Who handles what is sent.
    pub(crate) attached: Option<Attached>,
    /// How it is drawn, if it is.
    pub(crate) ink: Option<Ink>,
}

impl Way {
    fn new(name: &'static str, publisher: Publisher, notifies: Notifies) -> Self {
        Self {
            name,
            publisher,
            functions: Functions::Pgmq,
            notifies,
            attached: None,
            ink: None,
        }
    }

    fn drawn(self, ink: Ink) -> Self {
        Self {
            ink: Some(ink),
            ..self
        }
    }

    fn with(self, attached: Attached) -> Self {
        Self {
            attached: Some(attached),
            ..self
        }
    }

    /// Nobody handles what is sent. The first and the second are what others are compared with.
    pub(crate) fn alone() -> Vec<Self> {
        let config = PgmqNotifyConfig::new;
        let ours = |name, config| Self::new(name, Publisher::Ours(config), Notifies::EachStatement);
        vec![
            Self::new(
                "pgmq.send, nobody notifies",
                Publisher::Nobody,
                Notifies::Sometimes,
            ),
            Self::new(
                "trigger with one pg_notify",
                Publisher::OneNotify,
                Notifies::EachMessage,
            ),
            Self::new(
                "PGMQ's notify, 0 ms",
                Publisher::Pgmq { throttle: 0 },
                // Its notifications are equal, and of a transaction's equal ones PostgreSQL delivers one.
                Notifies::EachStatement,
            ),
            Self::new(
                "PGMQ's notify, 250 ms",
                Publisher::Pgmq { throttle: 250 },
                Notifies::Sometimes,
            ),
            ours("ours, with body", config()),
            ours(
                "ours, no global channel",
                config().with_global_channel(false),
            ),
            ours("ours, signal only", config().with_payload(false)),
            Self {
                functions: Functions::Ours,
                ..ours(
                    "ours, without triggers",
                    config().with_triggers_enabled(false),
                )
            },
        ]
    }

    /// Each with somebody who handles what is sent, at the same time. The first is what the others are compared with.
    pub(crate) fn consumed() -> Vec<Self> {
        let config = PgmqNotifyConfig::new();
        vec![
            Self::new(
                "pgmq.send, a loop that looks every 2 ms",
                Publisher::Nobody,
                Notifies::Sometimes,
            )
            .with(Attached::Looks)
            .drawn(Ink::GREY),
            Self::new(
                "PGMQ's notify, 0 ms, a loop that is told",
                Publisher::Pgmq { throttle: 0 },
                Notifies::EachStatement,
            )
            .with(Attached::IsTold)
            .drawn(Ink::VERMILION),
            Self::new(
                "PGMQ's notify, 250 ms, a loop that is told",
                Publisher::Pgmq { throttle: 250 },
                Notifies::Sometimes,
            )
            .with(Attached::IsTold)
            .drawn(Ink::OCHRE),
            Self::new(
                "ours, Consumer",
                Publisher::Ours(config.clone()),
                Notifies::EachStatement,
            )
            .with(Attached::Consumer(config.clone()))
            .drawn(Ink::BLUE),
            Self::new(
                "ours, wake-up, Consumer",
                Publisher::Ours(config.clone().with_delivery(Delivery::WakeUp)),
                Notifies::Sometimes,
            )
            .with(Attached::Consumer(config.with_delivery(Delivery::WakeUp)))
            .drawn(Ink::GREEN),
        ]
    }

    pub(crate) fn statement(&self, by: By) -> &'static str {
        match (self.functions, by) {
            (Functions::Pgmq, By::One) => "select pgmq.send('orders_queue', $1::text::jsonb)",
            (Functions::Pgmq, By::Batch) => {
                "select pgmq.send_batch('orders_queue', array_fill($1::text::jsonb, array[100]))"
            }
            (Functions::Ours, By::One) => {
                "select pgmq_notify.send('orders_queue', $1::text::jsonb)"
            }
            (Functions::Ours, By::Batch) => {
                "select pgmq_notify.send_batch('orders_queue', array_fill($1::text::jsonb, array[100]))"
            }
        }
    }

    /// How many notifications a statement is, if that is certain.
    pub(crate) fn notifications(&self, by: By) -> Option<u64> {
        match self.notifies {
            Notifies::Sometimes => None,
            Notifies::EachStatement => Some(1),
            Notifies::EachMessage => Some(u64::from(by.messages())),
        }
    }
}
