use std::collections::VecDeque;
use std::time::SystemTime;

use pgmq_notify_core::{BatchReadyEvent, MessageReadyEvent, Namespace, PgmqNotifyEvent, QueueName};
use sqlx::{AssertSqlSafe, PgConnection};

use super::look::{Look, Statement};
use super::queues::from_micros;

/// The most messages of one look.
const PAGE: usize = 1000;

/// The messages of one queue, as events.
#[derive(Debug)]
pub(super) struct Messages {
    name: QueueName,
    namespace: Namespace,
    sql: String,
    after: i64,
    /// The last message of the first look. What is sent later is published to the listener: without
    /// this bound, a queue that is filled faster than it is looked at would never end.
    last: i64,
    ended: bool,
}

/// `delayed_until` only for a message that nobody can read yet. All times are microseconds since 1970.
#[derive(Debug)]
pub(super) struct Row {
    msg_id: i64,
    delayed_until: Option<i64>,
    seen_at: i64,
    last: i64,
}

impl Messages {
    /// `table` is quoted by the server.
    ///
    /// A message that was read and is invisible is somebody's. One that was never read is delayed: its
    /// event may be among those that were missed, so it is told like any other delayed message.
    pub(super) fn of(name: QueueName, namespace: Namespace, table: &str) -> Self {
        let sql = format!(
            "select q.msg_id,
               case when q.vt > pg_catalog.statement_timestamp() then (pg_catalog.date_part(
                 'epoch', least(q.vt, '9999-12-31 UTC'::pg_catalog.timestamptz)
               ) * 1000000)::bigint end,
               (pg_catalog.date_part('epoch', pg_catalog.statement_timestamp()) * 1000000)::bigint,
               (select pg_catalog.max(l.msg_id) from {table} l)
             from {table} q
             where q.msg_id > $1 and q.msg_id <= $2
               and (q.vt <= pg_catalog.statement_timestamp() or q.read_ct = 0)
             order by q.msg_id
             limit {PAGE}"
        );
        Self {
            name,
            namespace,
            sql,
            after: i64::MIN,
            last: i64::MAX,
            ended: false,
        }
    }

    /// `None` at the end.
    pub(super) async fn next_page(&mut self, look: &Look) -> Option<VecDeque<PgmqNotifyEvent>> {
        if self.ended {
            return None;
        }
        let rows = look.until_seen(self.name.as_str(), self).await?;
        self.ended = rows.len() < PAGE;
        if let (Some(first), Some(end)) = (rows.first(), rows.last()) {
            self.last = self.last.min(first.last);
            self.after = end.msg_id;
        }
        Some(self.events(&rows))
    }

    /// One event for all that are visible, and one for each that is delayed, because each has its time.
    fn events(&self, rows: &[Row]) -> VecDeque<PgmqNotifyEvent> {
        let mut events = VecDeque::new();
        let Some(row) = rows.first() else {
            return events;
        };
        let ready_at = from_micros(row.seen_at);
        let visible: Vec<_> = rows
            .iter()
            .filter(|row| row.delayed_until.is_none())
            .map(|row| row.msg_id)
            .collect();
        match *visible {
            [] => {}
            [msg_id] => events.push_back(self.message(msg_id, ready_at, ready_at)),
            _ => events.push_back(PgmqNotifyEvent::BatchReady(BatchReadyEvent {
                queue_name: self.name.clone(),
                namespace: self.namespace.clone(),
                message_count: visible.len() as u64,
                msg_ids: visible,
                ready_at,
                visible_at: ready_at,
                wakes: Vec::new(),
            })),
        }
        let delayed = rows.iter().filter_map(|row| {
            let visible_at = from_micros(row.delayed_until?);
            Some(self.message(row.msg_id, ready_at, visible_at))
        });
        events.extend(delayed);
        events
    }

    fn message(
        &self,
        msg_id: i64,
        ready_at: SystemTime,
        visible_at: SystemTime,
    ) -> PgmqNotifyEvent {
        PgmqNotifyEvent::MessageReady(MessageReadyEvent {
            queue_name: self.name.clone(),
            namespace: self.namespace.clone(),
            msg_id,
            ready_at,
            visible_at,
            wakes: Vec::new(),
        })
    }
}

impl Statement for Messages {
    type Seen = Vec<Row>;

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<Row>, sqlx::Error> {
        let rows: Vec<(i64, Option<i64>, i64, i64)> =
            sqlx::query_as(AssertSqlSafe(self.sql.clone()))
                .bind(self.after)
                .bind(self.last)
                // One statement per queue would push those of the application out of its cache.
                .persistent(false)
                .fetch_all(connection)
                .await?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|(msg_id, delayed_until, seen_at, last)| Row {
                msg_id,
                delayed_until,
                seen_at,
                last,
            })
            .collect())
    }
}
