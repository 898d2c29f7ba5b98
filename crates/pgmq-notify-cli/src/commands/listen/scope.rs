use std::collections::BTreeSet;
use std::fmt;

use pgmq_notify_client::PgmqNotifyConfig;
use pgmq_notify_core::{Namespace, PgmqNotifyEvent};
use pgmq_notify_listener::{ListenerError, PgmqNotifyListener};
use sqlx::PgPool;

use crate::database::{instead_of, known_queues, listener_failure, refused};
use crate::failure::Failure;
use crate::text::printable;

/// Which events are wanted.
#[derive(Debug)]
pub(super) struct Scope {
    namespaces: BTreeSet<String>,
    /// As their tables are called: PGMQ lower-cases those.
    queues: BTreeSet<String>,
    follows: bool,
}

/// What is to be said about a scope.
#[derive(Debug, Default)]
pub(super) struct Words {
    pub(super) notes: Vec<String>,
    /// The namespaces that are listened to, as far as they are known.
    pub(super) namespaces: Vec<String>,
}

impl Scope {
    /// Everything, if neither is named.
    pub(super) fn new(namespaces: &[String], queues: &[String]) -> Self {
        Self {
            namespaces: namespaces.iter().cloned().collect(),
            queues: queues.iter().map(|it| it.to_lowercase()).collect(),
            follows: false,
        }
    }

    fn is_everything(&self) -> bool {
        self.namespaces.is_empty() && self.queues.is_empty()
    }

    /// Whether the namespaces of new queues are to be listened to as they appear.
    pub(super) fn follows(&self) -> bool {
        self.follows
    }

    pub(super) fn wants(&self, event: &PgmqNotifyEvent) -> bool {
        let named = |names: &BTreeSet<String>, name: Option<&str>| {
            name.is_some_and(|name| names.contains(name))
        };
        let queue = event
            .queue_name()
            .map(|queue| queue.as_str().to_lowercase());
        self.is_everything()
            || named(&self.namespaces, event.namespace().map(Namespace::as_str))
            || named(&self.queues, queue.as_deref())
    }

    pub(super) async fn subscribe(
        &mut self,
        listener: &mut PgmqNotifyListener,
        config: &PgmqNotifyConfig,
        pool: &PgPool,
    ) -> Result<Words, Failure> {
        let mut words = Words::default();
        let known = known_queues(pool).await?;
        let mut namespaces = self.namespaces.clone();
        if self.is_everything() {
            namespaces.extend(known.iter().map(|it| it.namespace.clone()));
            self.follows = !config.global_channel();
            if self.follows {
                words.notes.push(format!(
                    "there is no channel of all namespaces, so those of the queues are listened to, {} now",
                    namespaces.len()
                ));
            }
        }
        let names: Vec<_> = known.iter().map(|it| it.name.clone()).collect();
        for queue in &self.queues {
            let found = known.iter().find(|it| it.name.to_lowercase() == *queue);
            if let Some(found) = found {
                namespaces.insert(found.namespace.clone());
            } else {
                let hint = instead_of(queue, &names);
                words.notes.push(format!(
                    "there is no queue {queue:?} yet; its events come once it is created ({hint})"
                ));
                namespaces.insert(namespace_of(queue, pool).await?);
            }
        }
        let failed = |error: ListenerError| listener_failure(&error);
        if self.is_everything() && !self.follows {
            let result = listener.listen_message_ready_global().await;
            result.map_err(failed)?;
        } else {
            for namespace in &namespaces {
                let result = listener.listen_message_ready_for_namespace(namespace).await;
                result.map_err(failed)?;
            }
        }
        listener.listen_queue_created().await.map_err(failed)?;
        listener.listen_queue_dropped().await.map_err(failed)?;
        words.namespaces = namespaces.into_iter().collect();
        Ok(words)
    }
}

async fn namespace_of(queue: &str, pool: &PgPool) -> Result<String, Failure> {
    sqlx::query_scalar("select pgmq_notify.namespace_of($1)")
        .bind(queue)
        .persistent(false)
        .fetch_one(pool)
        .await
        .map_err(|error| refused("find the namespace of a queue", &error))
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            return f.write_str("every queue");
        }
        let mut parts = Vec::new();
        for (one, several, names) in [
            ("the namespace", "the namespaces", &self.namespaces),
            ("the queue", "the queues", &self.queues),
        ] {
            let names: Vec<_> = names.iter().map(|name| printable(name)).collect();
            match &names[..] {
                [] => {}
                [name] => parts.push(format!("{one} {name}")),
                _ => parts.push(format!("{several} {}", names.join(", "))),
            }
        }
        f.write_str(&parts.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(queue: &str, namespace: &str) -> PgmqNotifyEvent {
        let json = format!(
            r#"{{"event_type":"message_ready","queue_name":"{queue}","namespace":"{namespace}","msg_id":1,"ready_at":"2026-01-01T00:00:00Z","visible_at":"2026-01-01T00:00:00Z"}}"#
        );
        PgmqNotifyEvent::from_json(&json).unwrap()
    }

    #[test]
    fn a_scope_is_the_union_of_what_was_named() {
        let names = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let orders = event("Orders_queue", "Orders");
        let mail = event("mail", "default");
        for (namespaces, queues, wanted, text) in [
            (names(&[]), names(&[]), [true, true], "every queue"),
            (
                names(&["Orders"]),
                names(&[]),
                [true, false],
                "the namespace Orders",
            ),
            (
                names(&[]),
                names(&["MAIL"]),
                [false, true],
                "the queue mail",
            ),
            (
                names(&["a", "b"]),
                names(&["orders_queue"]),
                [true, false],
                "the namespaces a, b and the queue orders_queue",
            ),
        ] {
            let scope = Scope::new(&namespaces, &queues);
            assert_eq!([scope.wants(&orders), scope.wants(&mail)], wanted);
            assert_eq!(scope.to_string(), text);
        }
    }
}
