use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::call::Call;
use crate::client::queue_name;
use crate::function;
use crate::json::JsonText;
use crate::row::{by_id, select_messages};
use crate::{ClientError, Operation, PgmqNotifyClient, Polling, Received, seconds};

/// The options of [`read`](PgmqNotifyClient::read), [`read_batch`](PgmqNotifyClient::read_batch) and
/// [`read_with_poll`](PgmqNotifyClient::read_with_poll).
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    condition: Option<JsonText>,
}

const READ: &str = select_messages!("pgmq.read($1, $2, $3, $4)");
const READ_WITH_POLL: &str = select_messages!("pgmq.read_with_poll($1, $2, $3, $5, $6, $4)");

impl PgmqNotifyClient {
    /// Claims the oldest visible message, for `vt`: until then no other reader sees it.
    ///
    /// PGMQ counts whole seconds, so fractions of `vt` are rounded up; zero leaves it visible.
    pub fn read<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        vt: Duration,
    ) -> Operation<'_, Option<Received<T>>, ReadOptions> {
        let queue = queue_name(queue);
        let call = Call::new("read", &[function::READ]).on(&queue);
        let arguments = queue.and_then(|queue| Ok((queue, visibility(vt)?)));
        Operation::new(
            self,
            call,
            arguments,
            |connection, (queue, vt), options: ReadOptions| {
                Box::pin(async move {
                    let rows = sqlx::query(READ)
                        .bind(queue.as_str())
                        .bind(vt)
                        .bind(1_i32)
                        .bind(options.condition())
                        .fetch_all(connection)
                        .await?;
                    Ok(by_id(rows)?.pop())
                })
            },
        )
    }

    /// Claims up to `quantity` of the oldest visible messages, for `vt`; in the order of their ids.
    ///
    /// PGMQ counts whole seconds, so fractions of `vt` are rounded up.
    pub fn read_batch<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        vt: Duration,
        quantity: u32,
    ) -> Operation<'_, Vec<Received<T>>, ReadOptions> {
        let queue = queue_name(queue);
        let call = Call::new("read batch", &[function::READ]).on(&queue);
        let arguments =
            queue.and_then(|queue| Ok((queue, visibility(vt)?, self::quantity(quantity)?)));
        Operation::new(
            self,
            call,
            arguments,
            |connection, (queue, vt, quantity), options: ReadOptions| {
                Box::pin(async move {
                    let rows = sqlx::query(READ)
                        .bind(queue.as_str())
                        .bind(vt)
                        .bind(quantity)
                        .bind(options.condition())
                        .fetch_all(connection)
                        .await?;
                    by_id(rows)
                })
            },
        )
        .known((quantity == 0).then(Vec::new))
    }

    /// As [`read_batch`](Self::read_batch); if no message is visible, the server looks again and
    /// again until there is one, or the time is over.
    ///
    /// The connection is busy meanwhile, and in a caller's transaction so is the transaction.
    ///
    /// # Cancel safety
    ///
    /// A dropped read goes on polling on the server and may still claim messages, which then come
    /// back after `vt`.
    pub fn read_with_poll<T: DeserializeOwned + Send + 'static>(
        &self,
        queue: impl AsRef<str>,
        vt: Duration,
        quantity: u32,
        polling: Polling,
    ) -> Operation<'_, Vec<Received<T>>, ReadOptions> {
        let queue = queue_name(queue);
        let call = Call::new("read with poll", &[function::READ_WITH_POLL]).on(&queue);
        let arguments = queue.and_then(|queue| {
            let quantity = self::quantity(quantity)?;
            Ok((queue, visibility(vt)?, quantity, polling.parameters()?))
        });
        Operation::new(
            self,
            call,
            arguments,
            |connection, (queue, vt, quantity, polling), options: ReadOptions| {
                Box::pin(async move {
                    let sql = polling.map_or(READ, |_| READ_WITH_POLL);
                    let mut query = sqlx::query(sql)
                        .bind(queue.as_str())
                        .bind(vt)
                        .bind(quantity)
                        .bind(options.condition());
                    if let Some((up_to, every)) = polling {
                        query = query.bind(up_to).bind(every);
                    }
                    by_id(query.fetch_all(connection).await?)
                })
            },
        )
        .known((quantity == 0).then(Vec::new))
    }
}

impl<T> Operation<'_, T, ReadOptions> {
    /// Only messages whose body contains this JSON, as PostgreSQL's `@>` means it.
    ///
    /// There is no index for that: every visible message is looked at. `{}` means any message.
    pub fn conditional<C: Serialize + ?Sized>(self, contained: &C) -> Self {
        self.option(|options| {
            options.condition = Some(JsonText::new("the condition", contained)?);
            Ok(())
        })
    }
}

impl ReadOptions {
    /// PGMQ's own default is an empty object.
    fn condition(self) -> JsonText {
        self.condition.unwrap_or_else(JsonText::empty_object)
    }
}

/// A visibility timeout in PGMQ's whole seconds.
pub(super) fn visibility(vt: Duration) -> Result<i32, ClientError> {
    seconds::whole("a visibility timeout", vt)
}

/// A number of messages in PGMQ's 32 bits.
pub(super) fn quantity(quantity: u32) -> Result<i32, ClientError> {
    i32::try_from(quantity).map_err(|_| {
        ClientError::invalid(format!(
            "a quantity of {quantity} is more than PGMQ can count: 2147483647"
        ))
    })
}
