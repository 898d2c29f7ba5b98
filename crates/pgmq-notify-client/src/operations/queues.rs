use std::time::SystemTime;

use pgmq_notify_core::QueueName;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::{by_sender, needed_by_sender};
use crate::call::Call;
use crate::client::queue_name;
use crate::failure::Failure;
use crate::function;
use crate::row::{count, time};
use crate::{ClientError, ErrorKind, Operation, Partitions, PgmqNotifyClient};

/// A queue, as `pgmq.meta` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queue {
    /// Its name, as its creator spelled it.
    pub name: QueueName,
    /// Whether `pg_partman` partitions it.
    pub is_partitioned: bool,
    /// Whether its table is unlogged: a crash of the server empties it.
    pub is_unlogged: bool,
    /// When it was created.
    pub created_at: SystemTime,
}

impl PgmqNotifyClient {
    /// Creates a queue, and its archive. A queue that exists stays as it is.
    pub fn create_queue(&self, queue: impl AsRef<str>) -> Operation<'_, ()> {
        let needs = needed_by_sender!(self, CREATE, NOTIFY_CREATE);
        let sql = by_sender!(self.sender(), "select", "\"create\"($1)");
        self.on_queue(Call::new("create queue", needs), queue, sql)
    }

    /// Creates a queue whose messages are not written to the WAL: faster, and empty after a crash of
    /// the server and on a promoted standby. A queue that exists stays as it is.
    pub fn create_unlogged_queue(&self, queue: impl AsRef<str>) -> Operation<'_, ()> {
        let needs = needed_by_sender!(self, CREATE_UNLOGGED, NOTIFY_CREATE_UNLOGGED);
        let sql = by_sender!(self.sender(), "select", "create_unlogged($1)");
        self.on_queue(Call::new("create unlogged queue", needs), queue, sql)
    }

    /// Creates a queue that `pg_partman` partitions. A queue that exists is an error of `pg_partman`.
    ///
    /// # Errors
    ///
    /// [`PartmanMissing`](ErrorKind::PartmanMissing) without that extension.
    /// [`premake`](Partitions::premake) needs PGMQ 1.13.
    pub fn create_partitioned_queue(
        &self,
        queue: impl AsRef<str>,
        partitions: &Partitions,
    ) -> Operation<'_, ()> {
        let queue = queue_name(queue);
        let sender = self.sender();
        let parameters = partitions.parameters();
        let needs: &[function::Function] = match &parameters {
            Ok(parameters) if parameters.premake.is_some() => {
                needed_by_sender!(self, CREATE_PARTITIONED_PREMAKE, NOTIFY_CREATE_PARTITIONED)
            }
            _ => needed_by_sender!(self, CREATE_PARTITIONED, NOTIFY_CREATE_PARTITIONED),
        };
        let call = Call::new("create partitioned queue", needs)
            .on(&queue)
            .raising(ErrorKind::PartmanMissing);
        let arguments = queue.and_then(|queue| Ok((queue, parameters?)));
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (queue, parameters), ()| {
                Box::pin(async move {
                    let sql = if parameters.premake.is_some() {
                        by_sender!(sender, "select", "create_partitioned($1, $2, $3, $4)")
                    } else {
                        by_sender!(sender, "select", "create_partitioned($1, $2, $3)")
                    };
                    let query = sqlx::query(sql)
                        .bind(queue.as_str())
                        .bind(parameters.interval)
                        .bind(parameters.retention);
                    let query = match parameters.premake {
                        Some(premake) => query.bind(premake),
                        None => query,
                    };
                    query.execute(connection).await?;
                    Ok(())
                })
            },
        )
    }

    /// Turns the archive of a queue into one that `pg_partman` partitions.
    ///
    /// The archive so far is kept beside it, its name ending in `_old`. An archive that is
    /// partitioned already, and a queue that does not exist, are left as they are.
    ///
    /// # Errors
    ///
    /// PGMQ does not quote the name here, so only lower-case letters, digits and underscores are
    /// possible; [`premake`](Partitions::premake) is not.
    pub fn convert_archive_partitioned(
        &self,
        queue: impl AsRef<str>,
        partitions: &Partitions,
    ) -> Operation<'_, ()> {
        let queue = queue_name(queue).and_then(|queue| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if queue.as_str().chars().all(plain) {
                return Ok(queue);
            }
            Err(ClientError::invalid(format!(
                "pgmq.convert_archive_partitioned does not quote names, so it cannot convert {:?}",
                queue.as_str()
            )))
        });
        let parameters = partitions.parameters().and_then(|parameters| {
            if parameters.premake.is_some() {
                return Err(ClientError::invalid(
                    "pgmq.convert_archive_partitioned has no parameter `premake`",
                ));
            }
            Ok(parameters)
        });
        let call = Call::new("convert archive", &[function::CONVERT_ARCHIVE_PARTITIONED])
            .on(&queue)
            .formatting_partman();
        let arguments = queue.and_then(|queue| Ok((queue, parameters?)));
        Operation::new(
            self,
            call,
            arguments,
            |connection, (queue, parameters), ()| {
                Box::pin(async move {
                    sqlx::query("select pgmq.convert_archive_partitioned($1, $2, $3)")
                        .bind(queue.as_str())
                        .bind(parameters.interval)
                        .bind(parameters.retention)
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            },
        )
    }

    /// Drops a queue with its messages and its archive; `false` when there is none.
    pub fn drop_queue(&self, queue: impl AsRef<str>) -> Operation<'_, bool> {
        let queue = queue_name(queue);
        let call = Call::new(
            "drop queue",
            needed_by_sender!(self, DROP_QUEUE, NOTIFY_DROP_QUEUE),
        );
        let sql = by_sender!(self.sender(), "select", "drop_queue($1)");
        Operation::new(
            self,
            call.on(&queue),
            queue,
            move |connection, queue, ()| {
                Box::pin(async move {
                    let dropped = sqlx::query_scalar(sql)
                        .bind(queue.as_str())
                        .fetch_one(connection)
                        .await?;
                    Ok(dropped)
                })
            },
        )
    }

    /// Deletes every message of a queue, and says how many there were. The archive stays.
    ///
    /// It is a `truncate`: it waits for all readers and writers of the queue.
    pub fn purge_queue(&self, queue: impl AsRef<str>) -> Operation<'_, u64> {
        let queue = queue_name(queue);
        let call = Call::new("purge queue", &[function::PURGE_QUEUE]);
        Operation::new(self, call.on(&queue), queue, |connection, queue, ()| {
            Box::pin(async move {
                let purged: i64 = sqlx::query_scalar("select pgmq.purge_queue($1)")
                    .bind(queue.as_str())
                    .fetch_one(connection)
                    .await?;
                count(purged)
            })
        })
    }

    /// All queues, by name.
    pub fn list_queues(&self) -> Operation<'_, Vec<Queue>> {
        let call = Call::new("list queues", &[function::LIST_QUEUES]);
        Operation::new(self, call, Ok(()), |connection, (), ()| {
            Box::pin(async move {
                sqlx::query(
                    "select queue_name::text, is_partitioned, is_unlogged, created_at from pgmq.list_queues() order by queue_name collate \"C\"",
                )
                .fetch_all(connection)
                .await?
                .iter()
                .map(queue)
                .collect()
            })
        })
    }
}

fn queue(row: &PgRow) -> Result<Queue, Failure> {
    Ok(Queue {
        name: stored_name(row.try_get(0)?)?,
        is_partitioned: row.try_get(1)?,
        is_unlogged: row.try_get(2)?,
        created_at: time(row.try_get(3)?)?,
    })
}

/// A name that the database holds.
pub(super) fn stored_name(name: String) -> Result<QueueName, Failure> {
    QueueName::new(name).map_err(|error| Failure::unexpected(format!("pgmq.meta: {error}")))
}
