use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use pgmq_notify_core::{
    Namespace, PgmqNotifyEvent, QueueCreatedEvent, QueueDroppedEvent, QueueName,
};
use sqlx::PgConnection;

use super::look::Statement;

/// PGMQ lower-cases the table, so that two names may share one: the older one names its events. The
/// installed SQL says what the namespace is, here as for its triggers.
const QUEUES: &str = "
select
  m.queue_name::text,
  pgmq_notify.namespace_of(m.queue_name::text),
  (pg_catalog.date_part('epoch', m.created_at) * 1000000)::bigint,
  m.is_partitioned,
  m.is_unlogged,
  case when 1 = pg_catalog.row_number() over (
    partition by pg_catalog.lower(m.queue_name) order by m.created_at, m.queue_name
  ) then pg_catalog.format('pgmq.%I', pg_catalog.lower('q_' || m.queue_name)) end
from pgmq.meta m
order by m.queue_name";

/// A row of `pgmq.meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) name: QueueName,
    pub(crate) namespace: Namespace,
    pub(crate) created_at: SystemTime,
    pub(crate) is_partitioned: bool,
    pub(crate) is_unlogged: bool,
    /// Quoted; none where an older queue names the events of the same table.
    pub(crate) table: Option<String>,
}

/// All queues that there are.
pub(crate) async fn all_queues(connection: &mut PgConnection) -> Result<Vec<Found>, sqlx::Error> {
    let rows: Vec<(String, String, i64, bool, bool, Option<String>)> = sqlx::query_as(QUEUES)
        .persistent(false)
        .fetch_all(connection)
        .await?;
    // A name that PGMQ would not have given is left out, as its events would be.
    let found = rows.into_iter().filter_map(
        |(name, namespace, created_at, is_partitioned, is_unlogged, table)| {
            Some(Found {
                name: QueueName::new(name).ok()?,
                namespace: Namespace::new(namespace).ok()?,
                created_at: from_micros(created_at),
                is_partitioned,
                is_unlogged,
                table,
            })
        },
    );
    Ok(found.collect())
}

/// A look at all queues.
#[derive(Debug)]
pub(super) struct AllQueues;

impl Statement for AllQueues {
    type Seen = Vec<Found>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<Found>, sqlx::Error> {
        all_queues(connection).await
    }
}

/// The queues that the application knows of, by what it was told or by their being there before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownQueues(Queues);

/// With their namespaces and when they were created.
type Queues = BTreeMap<QueueName, (Namespace, SystemTime)>;

impl KnownQueues {
    pub(crate) fn new(found: Vec<Found>) -> Self {
        let entries = found.into_iter();
        Self(
            entries
                .map(|it| (it.name, (it.namespace, it.created_at)))
                .collect(),
        )
    }

    /// An event of a queue was received.
    pub(crate) fn observe(&mut self, event: &PgmqNotifyEvent) {
        match event {
            PgmqNotifyEvent::QueueCreated(event) => {
                let queue = (event.namespace.clone(), event.created_at);
                self.0.insert(event.queue_name.clone(), queue);
            }
            PgmqNotifyEvent::QueueDropped(event) => {
                self.0.remove(&event.queue_name);
            }
            _ => {}
        }
    }

    /// Knows of what was found instead, and returns what has changed: dropped queues first, because one
    /// that was dropped and created again is both.
    pub(crate) fn replace(&mut self, found: Vec<Found>) -> Vec<PgmqNotifyEvent> {
        let before = std::mem::take(&mut self.0);
        let now = Self::new(found.clone()).0;
        let dropped_at = SystemTime::now();
        let dropped = before
            .iter()
            .filter(|(name, (_, created_at))| !has(&now, name, *created_at))
            .map(|(name, (namespace, _))| {
                PgmqNotifyEvent::QueueDropped(QueueDroppedEvent {
                    queue_name: name.clone(),
                    namespace: namespace.clone(),
                    dropped_at,
                })
            });
        let created = found
            .into_iter()
            .filter(|queue| !has(&before, &queue.name, queue.created_at))
            .map(|queue| {
                PgmqNotifyEvent::QueueCreated(QueueCreatedEvent {
                    queue_name: queue.name,
                    namespace: queue.namespace,
                    created_at: queue.created_at,
                    is_partitioned: queue.is_partitioned,
                    is_unlogged: queue.is_unlogged,
                })
            });
        let changes = dropped.chain(created).collect();
        self.0 = now;
        changes
    }
}

fn has(queues: &Queues, name: &QueueName, created_at: SystemTime) -> bool {
    queues.get(name).is_some_and(|(_, at)| *at == created_at)
}

/// Times before 1970 become 1970: the wire knows no earlier ones.
pub(super) fn from_micros(micros: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, created_at: i64) -> Found {
        Found {
            name: QueueName::new(name).unwrap(),
            namespace: Namespace::default(),
            created_at: from_micros(created_at),
            is_partitioned: false,
            is_unlogged: false,
            table: None,
        }
    }

    fn changes(known: &mut KnownQueues, found: Vec<Found>) -> Vec<(&'static str, String)> {
        let changes = known.replace(found);
        let changes = changes.iter();
        changes
            .map(|it| (it.event_type(), it.queue_name().unwrap().to_string()))
            .collect()
    }

    #[test]
    fn what_appeared_went_or_was_made_anew_is_a_change_and_is_told_once() {
        let mut known = KnownQueues::new(vec![found("gone", 1), found("kept", 1), found("new", 1)]);
        let now = vec![found("added", 2), found("kept", 1), found("new", 2)];
        assert_eq!(
            changes(&mut known, now.clone()),
            [
                ("queue_dropped", "gone".into()),
                ("queue_dropped", "new".into()),
                ("queue_created", "added".into()),
                ("queue_created", "new".into()),
            ]
        );
        assert_eq!(changes(&mut known, now), []);
    }

    #[test]
    fn what_an_event_has_told_is_no_change() {
        let mut known = KnownQueues::new(vec![found("a", 1)]);
        let mut other = known.clone();
        for event in other.replace(vec![found("b", 2)]) {
            known.observe(&event);
        }
        assert_eq!(known, other);
    }
}
