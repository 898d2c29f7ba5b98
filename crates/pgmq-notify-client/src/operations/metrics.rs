use std::time::{Duration, SystemTime};

use pgmq_notify_core::QueueName;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::queues::stored_name;
use crate::call::Call;
use crate::client::queue_name;
use crate::failure::Failure;
use crate::function;
use crate::row::{count, time};
use crate::{Operation, PgmqNotifyClient};

/// What PGMQ counts of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueMetrics {
    /// The queue.
    pub queue_name: QueueName,
    /// The messages in it, visible or not.
    pub length: u64,
    /// The messages that a reader would get now.
    pub visible_length: u64,
    /// The age of the newest message, in whole seconds; `None` in an empty queue.
    pub newest_age: Option<Duration>,
    /// The age of the oldest message, in whole seconds; `None` in an empty queue. It counts messages
    /// that are delayed or claimed too.
    pub oldest_age: Option<Duration>,
    /// All messages that were ever sent to it.
    pub total_messages: u64,
    /// When it was counted.
    pub counted_at: SystemTime,
    /// Of a partitioned queue, about how many messages lie in the default partition: more than none
    /// means that the maintenance of `pg_partman` does not keep up. PGMQ 1.13.
    pub default_partition_length: Option<u64>,
}

/// As `select_messages!`: the inner `select` finds the record's own column where it has one.
macro_rules! select_metrics {
    ($function:literal) => {
        concat!(
            "select m.queue_name::text, m.queue_length, m.queue_visible_length, m.newest_msg_age_sec, ",
            "m.oldest_msg_age_sec, m.total_messages, m.scrape_time, ",
            "(select default_partition_length from (select m.*) as present) ",
            "from (select null::bigint as default_partition_length) as absent, ",
            $function,
            " as m"
        )
    };
}

const METRICS: &str = select_metrics!("pgmq.metrics($1)");
const METRICS_ALL: &str = select_metrics!("pgmq.metrics_all()");

impl PgmqNotifyClient {
    /// Counts one queue. PGMQ looks at every message of it.
    pub fn metrics(&self, queue: impl AsRef<str>) -> Operation<'_, QueueMetrics> {
        let queue = queue_name(queue);
        let call = Call::new("metrics", &[function::METRICS]);
        Operation::new(self, call.on(&queue), queue, |connection, queue, ()| {
            Box::pin(async move {
                let row = sqlx::query(METRICS)
                    .bind(queue.as_str())
                    .fetch_one(connection)
                    .await?;
                metrics(&row)
            })
        })
    }

    /// Counts every queue. PGMQ looks at every message of each.
    pub fn metrics_all(&self) -> Operation<'_, Vec<QueueMetrics>> {
        let call = Call::new("metrics of all queues", &[function::METRICS_ALL]);
        Operation::new(self, call, Ok(()), |connection, (), ()| {
            Box::pin(async move {
                sqlx::query(METRICS_ALL)
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(metrics)
                    .collect()
            })
        })
    }
}

fn metrics(row: &PgRow) -> Result<QueueMetrics, Failure> {
    Ok(QueueMetrics {
        queue_name: stored_name(row.try_get(0)?)?,
        length: count::<i64, _>(row.try_get(1)?)?,
        visible_length: count::<i64, _>(row.try_get(2)?)?,
        newest_age: row.try_get::<Option<i32>, _>(3)?.map(age),
        oldest_age: row.try_get::<Option<i32>, _>(4)?.map(age),
        total_messages: count::<i64, _>(row.try_get(5)?)?,
        counted_at: time(row.try_get(6)?)?,
        default_partition_length: row
            .try_get::<Option<i64>, _>(7)?
            .map(count::<i64, _>)
            .transpose()?,
    })
}

/// A message of a transaction that began later than this one has a negative age.
fn age(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
