use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::client::queue_name;
use crate::function;
use crate::row::{by_id, select_messages};
use crate::{Operation, PgmqNotifyClient, Received};

use super::read::quantity;

// The casts keep the texts of overloads apart: a connection keeps the statement that was prepared
// for a text first, whatever types it was prepared with.

const POP: &str = select_messages!("pgmq.pop($1)");
const POP_BATCH: &str = select_messages!("pgmq.pop($1, $2)");

impl PgmqNotifyClient {
    /// Reads the oldest visible message and deletes it at once: at most once, where a read and a
    /// [`delete`](Self::delete) are at least once.
    ///
    /// # Cancel safety
    ///
    /// A pop that is dropped may have deleted a message that nobody saw.
    pub fn pop<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
    ) -> Operation<'_, Option<Received<T>>> {
        let queue = queue_name(queue);
        // Before PGMQ 1.7 it takes no quantity.
        let call = Call::new("pop", &[function::FORMAT_TABLE_NAME]);
        Operation::new(self, call.on(&queue), queue, |connection, queue, ()| {
            Box::pin(async move {
                let rows = sqlx::query(POP)
                    .bind(queue.as_str())
                    .fetch_all(connection)
                    .await?;
                Ok(by_id(rows)?.pop())
            })
        })
    }

    /// As [`pop`](Self::pop) for up to `quantity` messages, in the order of their ids. PGMQ 1.7.
    ///
    /// # Cancel safety
    ///
    /// A pop that is dropped may have deleted messages that nobody saw.
    pub fn pop_batch<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        quantity: u32,
    ) -> Operation<'_, Vec<Received<T>>> {
        let queue = queue_name(queue);
        let call = Call::new("pop batch", &[function::POP]).on(&queue);
        let arguments = queue.and_then(|queue| Ok((queue, self::quantity(quantity)?)));
        Operation::new(
            self,
            call,
            arguments,
            |connection, (queue, quantity), ()| {
                Box::pin(async move {
                    let rows = sqlx::query(POP_BATCH)
                        .bind(queue.as_str())
                        .bind(quantity)
                        .fetch_all(connection)
                        .await?;
                    by_id(rows)
                })
            },
        )
        .known((quantity == 0).then(Vec::new))
    }

    /// Deletes a message; `false` when it is gone already.
    pub fn delete(&self, queue: impl AsRef<str>, msg_id: i64) -> Operation<'_, bool> {
        let call = Call::new("delete", &[function::DELETE]);
        self.settled(call, queue, msg_id, "select pgmq.delete($1, $2::bigint)")
    }

    /// Deletes messages, and gives the ids of those that were there, in no particular order. No
    /// ids: no SQL.
    pub fn delete_batch(&self, queue: impl AsRef<str>, msg_ids: &[i64]) -> Operation<'_, Vec<i64>> {
        let call = Call::new("delete batch", &[function::DELETE_BATCH]);
        let sql = "select pgmq.delete($1, $2::bigint[])";
        self.settled_batch(call, queue, msg_ids, sql)
    }

    /// Moves a message to the archive of its queue; `false` when it is gone already.
    pub fn archive(&self, queue: impl AsRef<str>, msg_id: i64) -> Operation<'_, bool> {
        let call = Call::new("archive", &[function::ARCHIVE]);
        self.settled(call, queue, msg_id, "select pgmq.archive($1, $2::bigint)")
    }

    /// Moves messages to the archive of their queue, and gives the ids of those that were there, in
    /// no particular order. No ids: no SQL.
    pub fn archive_batch(
        &self,
        queue: impl AsRef<str>,
        msg_ids: &[i64],
    ) -> Operation<'_, Vec<i64>> {
        let call = Call::new("archive batch", &[function::ARCHIVE_BATCH]);
        let sql = "select pgmq.archive($1, $2::bigint[])";
        self.settled_batch(call, queue, msg_ids, sql)
    }

    fn settled(
        &self,
        call: Call,
        queue: impl AsRef<str>,
        msg_id: i64,
        sql: &'static str,
    ) -> Operation<'_, bool> {
        let queue = queue_name(queue);
        Operation::new(
            self,
            call.on(&queue),
            queue,
            move |connection, queue, ()| {
                Box::pin(async move {
                    let settled = sqlx::query_scalar(sql)
                        .bind(queue.as_str())
                        .bind(msg_id)
                        .fetch_one(connection)
                        .await?;
                    Ok(settled)
                })
            },
        )
    }

    fn settled_batch(
        &self,
        call: Call,
        queue: impl AsRef<str>,
        msg_ids: &[i64],
        sql: &'static str,
    ) -> Operation<'_, Vec<i64>> {
        let queue = queue_name(queue);
        let call = call.on(&queue);
        let empty = msg_ids.is_empty();
        let msg_ids = msg_ids.to_vec();
        let arguments = queue.map(|queue| (queue, msg_ids));
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (queue, msg_ids), ()| {
                Box::pin(async move {
                    let settled = sqlx::query_scalar(sql)
                        .bind(queue.as_str())
                        .bind(msg_ids)
                        .fetch_all(connection)
                        .await?;
                    Ok(settled)
                })
            },
        )
        .known(empty.then(Vec::new))
    }
}
