use std::collections::BTreeSet;

use pgmq_notify_core::{ChannelName, Channels, Namespace, PgmqNotifyEvent};

use crate::catch_up::{MessageScope, Scope};

/// One thing that a listener listens to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Subscription {
    /// The messages of one namespace.
    MessageReady(Namespace),
    /// The messages of every namespace.
    MessageReadyGlobal,
    /// Created queues.
    QueueCreated,
    /// Dropped queues.
    QueueDropped,
}

/// What the application wants to hear.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriptions {
    namespaces: BTreeSet<Namespace>,
    global: bool,
    queue_created: bool,
    queue_dropped: bool,
}

impl Subscriptions {
    pub(crate) fn insert(&mut self, subscription: Subscription) {
        match subscription {
            Subscription::MessageReady(namespace) => {
                self.namespaces.insert(namespace);
            }
            Subscription::MessageReadyGlobal => self.global = true,
            Subscription::QueueCreated => self.queue_created = true,
            Subscription::QueueDropped => self.queue_dropped = true,
        }
    }

    pub(crate) fn remove(&mut self, subscription: &Subscription) {
        match subscription {
            Subscription::MessageReady(namespace) => {
                self.namespaces.remove(namespace);
            }
            Subscription::MessageReadyGlobal => self.global = false,
            Subscription::QueueCreated => self.queue_created = false,
            Subscription::QueueDropped => self.queue_dropped = false,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Subscription> {
        let namespaces = self
            .namespaces
            .iter()
            .cloned()
            .map(Subscription::MessageReady);
        let others = [
            (self.global, Subscription::MessageReadyGlobal),
            (self.queue_created, Subscription::QueueCreated),
            (self.queue_dropped, Subscription::QueueDropped),
        ];
        let others = others.into_iter().filter(|(wanted, _)| *wanted);
        namespaces.chain(others.map(|(_, subscription)| subscription))
    }

    /// The channels to `LISTEN` to.
    ///
    /// Every event of a namespace is published on the global channel too, so that one makes the
    /// others superfluous. This is what delivers each event once, without anything to compare: the
    /// server never sends the second copy.
    pub(crate) fn channels(&self, channels: &Channels) -> BTreeSet<ChannelName> {
        let mut wanted: BTreeSet<_> = if self.global {
            [channels.message_ready_global()].into()
        } else {
            let namespaces = self.namespaces.iter();
            namespaces
                .map(|namespace| channels.message_ready(namespace))
                .collect()
        };
        if self.want_queues() {
            wanted.extend([channels.queue_created(), channels.queue_dropped()]);
        }
        wanted
    }

    /// Whether it wants to know of queues. Whoever wants one of the two kinds of events listens to both:
    /// what has changed in a gap shows only to those who knew what there was before it.
    pub(crate) fn want_queues(&self) -> bool {
        self.queue_created || self.queue_dropped
    }

    /// Whether the server sends this event although nobody wants it.
    pub(crate) fn listen_for(&self, event: &PgmqNotifyEvent) -> bool {
        let is_of_queue = matches!(
            event,
            PgmqNotifyEvent::QueueCreated(_) | PgmqNotifyEvent::QueueDropped(_)
        );
        is_of_queue && self.want_queues()
    }

    /// What a catch-up has to look for.
    pub(crate) fn scope(&self) -> Scope {
        Scope {
            messages: if self.global {
                MessageScope::All
            } else {
                MessageScope::Of(self.namespaces.clone())
            },
            queues: self.want_queues(),
        }
    }

    /// Whether the application wants this event now.
    ///
    /// It is asked of the event and not of its channel: while a change is on its way to the server,
    /// the events of a namespace may still come over the global channel, and those of a removed
    /// subscription may still come at all.
    pub(crate) fn want(&self, event: &PgmqNotifyEvent) -> bool {
        match event {
            PgmqNotifyEvent::QueueCreated(_) => self.queue_created,
            PgmqNotifyEvent::QueueDropped(_) => self.queue_dropped,
            PgmqNotifyEvent::Resumed(_) => true,
            _ => {
                self.global
                    || event
                        .namespace()
                        .is_some_and(|namespace| self.namespaces.contains(namespace))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pgmq_notify_core::PgmqNotifyConfig;

    use super::*;

    fn namespace(name: &str) -> Subscription {
        Subscription::MessageReady(Namespace::new(name).unwrap())
    }

    fn listened(subscriptions: &Subscriptions) -> Vec<String> {
        let channels = PgmqNotifyConfig::new().channels().unwrap();
        let listened = subscriptions.channels(&channels);
        listened.iter().map(ToString::to_string).collect()
    }

    fn message_of(namespace: &str) -> PgmqNotifyEvent {
        let json = format!(
            r#"{{"event_type":"message_ready","queue_name":"q","namespace":"{namespace}","msg_id":1,"ready_at":"2026-01-01T00:00:00Z","visible_at":"2026-01-01T00:00:00Z"}}"#
        );
        PgmqNotifyEvent::from_json(&json).unwrap()
    }

    #[test]
    fn the_global_channel_stands_in_for_those_of_the_namespaces() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.insert(namespace("a"));
        subscriptions.insert(namespace("b"));
        subscriptions.insert(Subscription::QueueCreated);
        let apart = [
            "pgmq_message_ready.a",
            "pgmq_message_ready.b",
            "pgmq_queue_created",
            "pgmq_queue_dropped",
        ];
        assert_eq!(listened(&subscriptions), apart);
        subscriptions.insert(Subscription::MessageReadyGlobal);
        let together = [
            "pgmq_message_ready",
            "pgmq_queue_created",
            "pgmq_queue_dropped",
        ];
        assert_eq!(listened(&subscriptions), together);
        subscriptions.remove(&Subscription::MessageReadyGlobal);
        assert_eq!(listened(&subscriptions), apart);
    }

    #[test]
    fn only_events_of_present_subscriptions_are_wanted() {
        let mut subscriptions = Subscriptions::default();
        subscriptions.insert(namespace("a"));
        assert!(subscriptions.want(&message_of("a")));
        assert!(!subscriptions.want(&message_of("b")));
        subscriptions.insert(Subscription::MessageReadyGlobal);
        assert!(subscriptions.want(&message_of("b")));
        subscriptions.remove(&Subscription::MessageReadyGlobal);
        subscriptions.remove(&namespace("a"));
        assert!(!subscriptions.want(&message_of("a")));
    }

    #[test]
    fn what_was_subscribed_is_listed() {
        let mut subscriptions = Subscriptions::default();
        let all = [
            namespace("a"),
            Subscription::MessageReadyGlobal,
            Subscription::QueueCreated,
            Subscription::QueueDropped,
        ];
        for one in &all {
            subscriptions.insert(one.clone());
        }
        assert_eq!(subscriptions.iter().collect::<Vec<_>>(), all);
        for one in &all {
            subscriptions.remove(one);
        }
        assert_eq!(subscriptions.iter().count(), 0);
    }
}
