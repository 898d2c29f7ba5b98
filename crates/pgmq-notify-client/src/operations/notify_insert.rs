use std::time::{Duration, SystemTime};

use pgmq_notify_core::QueueName;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::queues::stored_name;
use crate::call::Call;
use crate::client::queue_name;
use crate::failure::Failure;
use crate::row::{count, time};
use crate::{ErrorKind, Operation, PgmqNotifyClient, function, seconds};

/// A queue that PGMQ's own notifications are enabled for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotifyInsertThrottle {
    /// The queue.
    pub queue_name: QueueName,
    /// At least that long between two notifications.
    pub throttle: Duration,
    /// When the last one was sent; 1970 when none was.
    pub last_notified_at: SystemTime,
}

/// PGMQ's own notifications, for consumers that know nothing else: without any payload, and at the
/// price that senders of one queue wait for each other. pgmq-notify does not need them.
impl PgmqNotifyClient {
    /// Enables PGMQ's own notifications of a queue, at most one in `throttle`. PGMQ 1.8.
    ///
    /// PGMQ counts whole milliseconds: fractions are rounded up. Its own default is 250 ms, zero
    /// notifies every message.
    pub fn enable_notify_insert(
        &self,
        queue: impl AsRef<str>,
        throttle: Duration,
    ) -> Operation<'_, ()> {
        let call = Call::new("enable notify insert", &[function::ENABLE_NOTIFY_INSERT]);
        let sql = "select pgmq.enable_notify_insert($1, $2)";
        self.throttled(call, queue, throttle, sql)
    }

    /// Changes how often PGMQ's own notifications are sent. PGMQ 1.11.
    ///
    /// # Errors
    ///
    /// [`QueueNotFound`](ErrorKind::QueueNotFound) also for a queue that they are not enabled for.
    pub fn update_notify_insert(
        &self,
        queue: impl AsRef<str>,
        throttle: Duration,
    ) -> Operation<'_, ()> {
        let call = Call::new("update notify insert", &[function::UPDATE_NOTIFY_INSERT]);
        let sql = "select pgmq.update_notify_insert($1, $2)";
        self.throttled(call, queue, throttle, sql)
    }

    fn throttled(
        &self,
        call: Call,
        queue: impl AsRef<str>,
        throttle: Duration,
        sql: &'static str,
    ) -> Operation<'_, ()> {
        let queue = queue_name(queue);
        let call = call.on(&queue).raising(ErrorKind::QueueNotFound);
        let arguments =
            queue.and_then(|queue| Ok((queue, seconds::millis("a throttle", throttle)?)));
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (queue, throttle), ()| {
                Box::pin(async move {
                    sqlx::query(sql)
                        .bind(queue.as_str())
                        .bind(throttle)
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            },
        )
    }

    /// Disables PGMQ's own notifications of a queue; one that has none, or is not there, is no error.
    /// PGMQ 1.7.
    pub fn disable_notify_insert(&self, queue: impl AsRef<str>) -> Operation<'_, ()> {
        let call = Call::new("disable notify insert", &[function::DISABLE_NOTIFY_INSERT]);
        self.on_queue(call, queue, "select pgmq.disable_notify_insert($1)")
    }

    /// The queues that PGMQ's own notifications are enabled for, by name. PGMQ 1.11.
    pub fn list_notify_insert_throttles(&self) -> Operation<'_, Vec<NotifyInsertThrottle>> {
        let call = Call::new(
            "list notify insert throttles",
            &[function::LIST_NOTIFY_INSERT_THROTTLES],
        );
        Operation::new(self, call, Ok(()), |connection, (), ()| {
            Box::pin(async move {
                sqlx::query("select queue_name, throttle_interval_ms, last_notified_at from pgmq.list_notify_insert_throttles()")
                    .fetch_all(connection)
                    .await?
                    .iter()
                    .map(throttle)
                    .collect()
            })
        })
    }
}

fn throttle(row: &PgRow) -> Result<NotifyInsertThrottle, Failure> {
    Ok(NotifyInsertThrottle {
        queue_name: stored_name(row.try_get(0)?)?,
        throttle: Duration::from_millis(count::<i32, _>(row.try_get(1)?)?),
        last_notified_at: time(row.try_get(2)?)?,
    })
}
