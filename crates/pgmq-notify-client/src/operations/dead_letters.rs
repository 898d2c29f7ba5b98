use sqlx::{AssertSqlSafe, Row as _};

use super::read::quantity;
use crate::call::Call;
use crate::client::queue_name;
use crate::consumer::{DEAD_LETTER, OTHER_HEADERS};
use crate::function;
use crate::{ClientError, Operation, PgmqNotifyClient, QueueName};

/// A dead letter that was put back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redriven {
    /// Its id in the dead-letter queue, where it is no more.
    pub dead_letter_id: i64,
    /// The queue that it came from and is in again.
    pub queue: QueueName,
    /// Its new id there.
    pub msg_id: i64,
}

impl PgmqNotifyClient {
    /// Puts up to `most` dead letters of the queue `dead_letters` back into the queues they came from,
    /// the oldest first, with their body and headers as they were sent: as new messages that have not
    /// been tried yet.
    ///
    /// All of them or none: where a queue is gone, it is an error of kind
    /// [`QueueNotFound`](crate::ErrorKind::QueueNotFound). What is no dead letter, and what somebody
    /// has claimed, is left where it is. It commits at once with the messages that are sent, so each
    /// is in exactly one of the queues at any time.
    pub fn redrive(
        &self,
        dead_letters: impl AsRef<str>,
        most: u32,
    ) -> Operation<'_, Vec<Redriven>> {
        self.put_back(dead_letters, quantity(most), None)
            .known((most == 0).then(Vec::new))
    }

    /// As [`redrive`](Self::redrive), those of these ids in the dead-letter queue. No ids: no SQL.
    pub fn redrive_by_ids(
        &self,
        dead_letters: impl AsRef<str>,
        msg_ids: &[i64],
    ) -> Operation<'_, Vec<Redriven>> {
        self.put_back(dead_letters, Ok(i32::MAX), Some(msg_ids.to_vec()))
            .known(msg_ids.is_empty().then(Vec::new))
    }

    fn put_back(
        &self,
        dead_letters: impl AsRef<str>,
        most: Result<i32, ClientError>,
        only: Option<Vec<i64>>,
    ) -> Operation<'_, Vec<Redriven>> {
        let queue = queue_name(dead_letters);
        let call = Call::new("redrive", &[function::FORMAT_TABLE_NAME, function::SEND]).on(&queue);
        let sender = self.sender();
        let arguments =
            queue.and_then(|queue| Ok((self.clone(), queue, most?, only, sender.name())));
        Operation::new(
            self,
            call,
            arguments,
            |connection, (client, queue, most, only, schema), ()| {
                Box::pin(async move {
                    let table = client.queue_table(connection, &queue).await?;
                    let name = table.quoted;
                    let sql = format!(
                        "with chosen as (
                          select msg_id from {name}
                          where vt <= clock_timestamp() and headers ? '{DEAD_LETTER}'
                            and ($2::bigint[] is null or msg_id = any ($2))
                          order by msg_id
                          limit $1
                          for update skip locked
                        ),
                        gone as (
                          delete from {name} m using chosen where m.msg_id = chosen.msg_id
                          returning m.msg_id, m.message, m.headers
                        )
                        select old.msg_id, old.headers->'{DEAD_LETTER}'->>'queue', sent
                        from (select * from gone order by msg_id) old,
                          {schema}.send(
                            old.headers->'{DEAD_LETTER}'->>'queue',
                            old.message,
                            coalesce(
                              old.headers->'{OTHER_HEADERS}',
                              nullif(old.headers - '{DEAD_LETTER}', '{{}}')
                            ),
                            clock_timestamp()
                          ) sent"
                    );
                    // The only foreign text is the table's name, quoted as an identifier.
                    let rows = sqlx::query(AssertSqlSafe(sql))
                        .bind(most)
                        .bind(only)
                        .fetch_all(connection)
                        .await?;
                    let mut redriven = Vec::with_capacity(rows.len());
                    for row in rows {
                        redriven.push(Redriven {
                            dead_letter_id: row.try_get(0)?,
                            queue: queue_name(row.try_get::<String, _>(1)?)?,
                            msg_id: row.try_get(2)?,
                        });
                    }
                    redriven.sort_by_key(|it| it.dead_letter_id);
                    Ok(redriven)
                })
            },
        )
    }
}
