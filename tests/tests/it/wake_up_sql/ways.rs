//! The ways to send, and how each is published.

use pgmq_notify_core::{Delivery, PgmqNotifyConfig};

/// How the messages of a database are published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Triggers,
    Functions,
}

impl By {
    pub(super) const BOTH: [Self; 2] = [Self::Triggers, Self::Functions];

    /// Every namespace is delivered by wake-up, except that of `fence_queue`.
    pub(super) fn config(self) -> PgmqNotifyConfig {
        PgmqNotifyConfig::new()
            .with_triggers_enabled(self == Self::Triggers)
            .with_delivery(Delivery::WakeUp)
            .with_namespace_delivery("fence", Delivery::Every)
    }

    /// A statement with functions of PGMQ, or with ours in their place.
    pub(super) fn spelled(self, sql: &str) -> String {
        match self {
            Self::Triggers => sql.to_owned(),
            Self::Functions => sql
                .replace("pgmq.send", "pgmq_notify.send")
                .replace("pgmq.set_vt", "pgmq_notify.set_vt"),
        }
    }

    /// The ways of sending to `orders_queue` that are to be published, by one event each.
    pub(super) fn ways(self) -> impl Iterator<Item = &'static Way> {
        let of_triggers: &[Way] = match self {
            Self::Triggers => &WAYS_OF_TRIGGERS,
            Self::Functions => &[],
        };
        WAYS.iter().chain(of_triggers)
    }
}

/// A way to send a message, or to make one visible again.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) sql: &'static str,
    pub(super) form: Form,
    /// Whether the message is visible at once.
    pub(super) visible: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Body,
    Ready,
    Batch,
}

const fn way(form: Form, visible: bool, sql: &'static str) -> Way {
    Way { sql, form, visible }
}

const WAYS: [Way; 12] = [
    way(Form::Body, true, "select pgmq.send('orders_queue', '1')"),
    way(
        Form::Body,
        true,
        "select pgmq.send('orders_queue', '1', '{\"h\": 1}'::jsonb)",
    ),
    way(
        Form::Body,
        false,
        "select pgmq.send('orders_queue', '1', null::jsonb, clock_timestamp() + interval '1 min')",
    ),
    way(
        Form::Ready,
        true,
        "select pgmq.send('orders_queue', to_jsonb(repeat('x', 9000)))",
    ),
    way(
        Form::Batch,
        true,
        "select pgmq.send_batch('orders_queue', array['1', '2', '3']::jsonb[])",
    ),
    way(
        Form::Body,
        true,
        "select pgmq.send_batch('orders_queue', array['1']::jsonb[])",
    ),
    way(
        Form::Batch,
        false,
        "select pgmq.send_batch('orders_queue', array['1', '2']::jsonb[], null::jsonb[], \
         clock_timestamp() + interval '1 min')",
    ),
    way(
        Form::Body,
        true,
        "select pgmq.send_topic('logs.error', '1')",
    ),
    way(
        Form::Batch,
        true,
        "select pgmq.send_batch_topic('logs.error', array['1', '2']::jsonb[])",
    ),
    // The first message is the one that somebody holds.
    way(
        Form::Ready,
        true,
        "update pgmq.q_orders_queue set vt = now() + interval '1 hour' where msg_id = 1; \
         select pgmq.set_vt('orders_queue', 1, 0)",
    ),
    way(
        Form::Ready,
        true,
        "update pgmq.q_orders_queue set vt = now() + interval '1 hour' where msg_id = 1; \
         select pgmq.set_vt('orders_queue', array[1], 0)",
    ),
    way(
        Form::Ready,
        false,
        "update pgmq.q_orders_queue set vt = now() + interval '1 hour' where msg_id = 1; \
         select pgmq.set_vt('orders_queue', 1, 60)",
    ),
];

const WAYS_OF_TRIGGERS: [Way; 4] = [
    way(
        Form::Body,
        true,
        "insert into pgmq.q_orders_queue (vt, message) values (now(), '1')",
    ),
    way(
        Form::Batch,
        true,
        "with sent as (insert into pgmq.q_orders_queue (vt, message) values (now(), '1'), (now(), '2') returning 1) \
         select count(*) from sent",
    ),
    way(
        Form::Body,
        false,
        "select pgmq.send('orders_queue', '1', 60)",
    ),
    way(
        Form::Ready,
        true,
        "update pgmq.q_orders_queue set vt = now() + interval '1 hour' where msg_id = 1; \
         update pgmq.q_orders_queue set vt = now() where msg_id = 1",
    ),
];
