use std::sync::atomic::Ordering;
use std::time::Duration;

use pgmq_notify_core::QueueName;
use serde::de::DeserializeOwned;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::read::visibility;
use crate::call::Call;
use crate::client::queue_name;
use crate::failure::Failure;
use crate::function;
use crate::row::by_id;
use crate::{Operation, PgmqNotifyClient, Received};

impl PgmqNotifyClient {
    /// Claims one particular message, for `vt`, if it is visible: for an event without a body.
    ///
    /// `None` when it is gone, delayed, or claimed by somebody else. Otherwise it is what a read
    /// does. Fractions of a second of `vt` are rounded up.
    pub fn read_by_id<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        msg_id: i64,
        vt: Duration,
    ) -> Operation<'_, Option<Received<T>>> {
        let queue = queue_name(queue);
        let call = Call::new("read by id", &[function::FORMAT_TABLE_NAME]).on(&queue);
        let arguments = queue.and_then(|queue| Ok((self.clone(), queue, visibility(vt)?)));
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (client, queue, vt), ()| {
                Box::pin(async move {
                    let messages = client.claim(connection, &queue, &[msg_id], vt).await?;
                    Ok(messages.into_iter().next())
                })
            },
        )
    }

    /// Claims particular messages, for `vt`: those of `msg_ids` that are visible, in the order of
    /// their ids. Of several claimants of a message exactly one gets it, and none waits for another.
    ///
    /// Fractions of a second of `vt` are rounded up. No ids: no SQL.
    pub fn read_by_ids<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        msg_ids: &[i64],
        vt: Duration,
    ) -> Operation<'_, Vec<Received<T>>> {
        let queue = queue_name(queue);
        let call = Call::new("read by ids", &[function::FORMAT_TABLE_NAME]).on(&queue);
        let msg_ids = msg_ids.to_vec();
        let empty = msg_ids.is_empty();
        let arguments = queue.and_then(|queue| Ok((self.clone(), queue, msg_ids, visibility(vt)?)));
        Operation::new(
            self,
            call,
            arguments,
            |connection, (client, queue, msg_ids, vt), ()| {
                Box::pin(async move { client.claim(connection, &queue, &msg_ids, vt).await })
            },
        )
        .known(empty.then(Vec::new))
    }

    /// What `pgmq.read` does, to the messages that are named.
    async fn claim<T: DeserializeOwned>(
        &self,
        connection: &mut PgConnection,
        queue: &QueueName,
        msg_ids: &[i64],
        vt: i32,
    ) -> Result<Vec<Received<T>>, Failure> {
        let table = self.queue_table(connection, queue).await?;
        let (set, returned) = if table.has_last_read_at {
            ("last_read_at = clock_timestamp(), ", "m.last_read_at")
        } else {
            ("", "null::timestamp with time zone")
        };
        let name = table.quoted;
        let sql = format!(
            "with free as (
              select msg_id from {name}
              where msg_id = any($1) and vt <= clock_timestamp()
              order by msg_id
              for update skip locked
            )
            update {name} m
            set {set}vt = clock_timestamp() + make_interval(secs => $2), read_ct = m.read_ct + 1
            from free
            where m.msg_id = free.msg_id
            returning m.msg_id, m.read_ct, m.enqueued_at, {returned}, m.vt, m.headers, m.message"
        );
        // The only foreign text is the table's name, quoted as an identifier.
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(msg_ids)
            .bind(vt)
            .fetch_all(connection)
            .await?;
        by_id(rows)
    }

    /// The table of a queue, and whether it has the column of PGMQ 1.10.
    ///
    /// Only the server knows how its locale lower-cases, so it is asked for the table of a name that
    /// lower-casing may change. A column that was seen once does not go away, so it is asked for
    /// until it was seen; a table that is not there yet says nothing about it.
    pub(super) async fn queue_table(
        &self,
        connection: &mut PgConnection,
        queue: &QueueName,
    ) -> Result<Table, Failure> {
        let plain = |c: char| c.is_ascii() && !c.is_ascii_uppercase();
        if self.last_read_at().load(Ordering::Relaxed) && queue.as_str().chars().all(plain) {
            return Ok(Table::new(&format!("q_{queue}"), true));
        }
        let row = sqlx::query(
            "select pgmq.format_table_name($1, 'q'),
              exists (select from pg_type t join pg_attribute a on a.attrelid = t.typrelid
                where t.oid = to_regtype('pgmq.message_record')
                and a.attname = 'last_read_at' and not a.attisdropped)",
        )
        .bind(queue.as_str())
        .fetch_one(connection)
        .await?;
        let has_last_read_at = row.try_get(1)?;
        self.last_read_at()
            .store(has_last_read_at, Ordering::Relaxed);
        Ok(Table::new(row.try_get(0)?, has_last_read_at))
    }
}

pub(super) struct Table {
    pub(super) quoted: String,
    has_last_read_at: bool,
}

impl Table {
    /// Quotes `name`; PostgreSQL cuts it to 63 bytes as it did when PGMQ created it.
    fn new(name: &str, has_last_read_at: bool) -> Self {
        Self {
            quoted: format!("pgmq.\"{}\"", name.replace('"', "\"\"")),
            has_last_read_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_name_stays_one_identifier() {
        assert_eq!(
            Table::new("q_a\" set x", true).quoted,
            "pgmq.\"q_a\"\" set x\""
        );
    }
}
