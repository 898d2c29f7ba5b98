//! Which queues are consumed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use pgmq_notify_core::{Namespace, QueueName};
use tokio::time::{Instant, timeout};

use super::looking::WINDOW;
use super::{Consumed, Dispatcher};
use crate::consumer::connection::late;
use crate::consumer::queue::{Found, Queue, QueueId, find};
use crate::consumer::source::{Queues, Source};
use crate::failure::Failure;

/// A look at the queues, for which a connection of the application's pool has to be had.
const REFRESHED_WITHIN: Duration = Duration::from_mins(1);

impl Dispatcher {
    /// Consumes the queues that were found, as far as a source names them, and no others.
    pub(crate) fn consume(&mut self, found: &[Found]) {
        let wanted = |it: &Found| {
            self.routes
                .iter()
                .position(|route| takes(&route.source, it))
        };
        let wanted: Vec<(usize, &Found)> = found
            .iter()
            .filter_map(|it| Some((wanted(it)?, it)))
            .collect();
        let gone: Vec<QueueId> = self
            .queues
            .values()
            .map(|it| &it.queue)
            .filter(|queue| !wanted.iter().any(|(_, it)| it.name == queue.name))
            .map(|queue| queue.id)
            .collect();
        for id in gone {
            self.leave(id);
        }
        for (route, found) in wanted {
            let known = self.queues.values().map(|it| &it.queue);
            let known = known.into_iter().find(|it| it.name == found.name);
            match known.map(|it| it.id) {
                Some(id) => self.watch(id, found),
                None => self.join(route, found),
            }
        }
    }

    pub(super) fn join(&mut self, route: usize, found: &Found) {
        let id = self.next_id;
        let queue = match Queue::new(id, route, found, &self.routes[route].source) {
            Ok(queue) => Arc::new(queue),
            Err(error) => {
                let queue = found.name.as_str();
                let cause = &error as &dyn std::error::Error;
                tracing::error!(queue, cause, "a queue cannot be consumed");
                return;
            }
        };
        self.next_id += 1;
        tracing::debug!(queue = found.name.as_str(), "a queue is consumed");
        self.by_name
            .entry(found.name.as_str().to_lowercase())
            .or_default()
            .push(id);
        self.queues.insert(
            id,
            Consumed {
                queue,
                window: WINDOW,
                is_known: false,
                told: None,
                ahead: VecDeque::new(),
            },
        );
        self.schedule.add(id, Instant::now());
        self.watch(id, found);
    }

    /// A drain hears of nothing, and sleeps never.
    fn watch(&mut self, id: QueueId, found: &Found) {
        if self.listener.is_some() {
            self.parking.watch(id, found.watched.clone());
        }
    }

    pub(super) fn leave(&mut self, id: QueueId) {
        let Some(consumed) = self.queues.remove(&id) else {
            return;
        };
        let name = consumed.queue.name.as_str();
        tracing::debug!(queue = name, "a queue is not consumed any more");
        if let Some(ids) = self.by_name.get_mut(&name.to_lowercase()) {
            ids.retain(|it| *it != id);
        }
        self.schedule.remove(id);
        self.parking.forget(id);
        self.forgo(consumed.ahead);
    }

    pub(super) fn refresh(&mut self) {
        let client = self.engine.client.clone();
        let with_namespaces = self.listener.is_some();
        let refreshing = async move {
            let mut connection = client.pool().acquire().await?;
            Ok(find(&mut connection, with_namespaces).await?)
        };
        // A connection may be dead without anybody having told the pool.
        self.refreshing = Some(Box::pin(async move {
            let refreshed = timeout(REFRESHED_WITHIN, refreshing).await;
            refreshed.unwrap_or_else(|_| Err(Failure::Sqlx(late("no answer in time"))))
        }));
    }

    pub(super) fn ids(&self, name: &QueueName) -> impl Iterator<Item = QueueId> {
        let ids = self.by_name.get(&name.as_str().to_lowercase());
        ids.into_iter().flatten().copied()
    }

    pub(super) fn may_take(&self, name: &QueueName, namespace: &Namespace) -> bool {
        self.routes
            .iter()
            .any(|route| matches(&route.source, name, Some(namespace)))
    }
}

pub(super) fn takes(source: &Source, found: &Found) -> bool {
    matches(source, &found.name, found.namespace.as_ref())
}

pub(super) fn matches(source: &Source, name: &QueueName, namespace: Option<&Namespace>) -> bool {
    match &source.queues {
        Queues::Named(names) => names.iter().any(|it| *name == it.as_str()),
        Queues::Namespace(wanted) => {
            namespace.is_some_and(|it| it.as_str() == wanted)
                && !source.dead_letters.is_one(name.as_str())
        }
    }
}
