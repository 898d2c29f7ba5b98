use serde::Serialize;

use super::{by_sender, needed_by_sender};
use crate::call::Call;
use crate::client::queue_name;
use crate::json::JsonText;
use crate::when::Delay;
use crate::{ClientError, Operation, PgmqNotifyClient, When};

/// The options of [`send`](PgmqNotifyClient::send) and [`send_topic`](PgmqNotifyClient::send_topic).
#[derive(Clone, Debug, Default)]
pub struct SendOptions {
    pub(super) headers: Option<JsonText>,
    pub(super) delay: Delay,
}

/// The options of [`send_batch`](PgmqNotifyClient::send_batch) and
/// [`send_batch_topic`](PgmqNotifyClient::send_batch_topic).
#[derive(Clone, Debug, Default)]
pub struct BatchOptions {
    headers: Headers,
    pub(super) delay: Delay,
}

#[derive(Clone, Debug, Default)]
enum Headers {
    #[default]
    None,
    Same(JsonText),
    Each(Vec<JsonText>),
}

impl BatchOptions {
    /// One for each message, or SQL's `NULL`.
    pub(super) fn headers(self, messages: usize) -> Result<Option<Vec<JsonText>>, ClientError> {
        match self.headers {
            Headers::None => Ok(None),
            Headers::Same(headers) => Ok(Some(vec![headers; messages])),
            Headers::Each(headers) if headers.len() == messages => Ok(Some(headers)),
            Headers::Each(headers) => Err(ClientError::invalid(format!(
                "{} headers for {messages} messages",
                headers.len()
            ))),
        }
    }
}

impl PgmqNotifyClient {
    /// Sends one message, and gives its id.
    ///
    /// # Errors
    ///
    /// [`Serialize`](crate::ErrorKind::Serialize) when the message is no JSON,
    /// [`BodyRefused`](crate::ErrorKind::BodyRefused) when `jsonb` cannot hold it.
    pub fn send<M: Serialize + ?Sized>(
        &self,
        queue: impl AsRef<str>,
        message: &M,
    ) -> Operation<'_, i64, SendOptions> {
        let queue = queue_name(queue);
        let call = Call::new("send", needed_by_sender!(self, SEND, NOTIFY_SEND))
            .on(&queue)
            .sending();
        let arguments = queue.and_then(|queue| Ok((queue, JsonText::new("a message", message)?)));
        let sql = by_sender!(
            self.sender(),
            "select",
            "send($1, $2, $3, coalesce($4, clock_timestamp() + make_interval(secs => $5)))"
        );
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (queue, body), options: SendOptions| {
                Box::pin(async move {
                    let msg_id = sqlx::query_scalar(sql)
                        .bind(queue.as_str())
                        .bind(body)
                        .bind(options.headers)
                        .bind(options.delay.at)
                        .bind(options.delay.seconds)
                        .fetch_one(connection)
                        .await?;
                    Ok(msg_id)
                })
            },
        )
    }

    /// Sends messages in one statement, and gives their ids in the same order. No messages: no SQL.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); then none of them was sent.
    pub fn send_batch<M: Serialize>(
        &self,
        queue: impl AsRef<str>,
        messages: impl IntoIterator<Item = M>,
    ) -> Operation<'_, Vec<i64>, BatchOptions> {
        let queue = queue_name(queue);
        let call = Call::new(
            "send batch",
            needed_by_sender!(self, SEND_BATCH, NOTIFY_SEND_BATCH),
        )
        .on(&queue)
        .sending();
        let bodies = bodies(messages);
        let empty = matches!(&bodies, Ok(bodies) if bodies.is_empty());
        let arguments = queue.and_then(|queue| Ok((queue, bodies?)));
        let sql = by_sender!(
            self.sender(),
            "select",
            "send_batch($1, $2, $3, coalesce($4, clock_timestamp() + make_interval(secs => $5)))"
        );
        Operation::new(
            self,
            call,
            arguments,
            move |connection, (queue, bodies), options: BatchOptions| {
                Box::pin(async move {
                    let delay = options.delay;
                    let headers = options.headers(bodies.len())?;
                    let msg_ids = sqlx::query_scalar(sql)
                        .bind(queue.as_str())
                        .bind(bodies)
                        .bind(headers)
                        .bind(delay.at)
                        .bind(delay.seconds)
                        .fetch_all(connection)
                        .await?;
                    Ok(msg_ids)
                })
            },
        )
        .known(empty.then(Vec::new))
    }
}

/// Serialises each message once.
pub(super) fn bodies<M: Serialize>(
    messages: impl IntoIterator<Item = M>,
) -> Result<Vec<JsonText>, ClientError> {
    messages
        .into_iter()
        .map(|message| JsonText::new("a message", &message))
        .collect()
}

impl<T> Operation<'_, T, SendOptions> {
    /// Makes the message visible later: after a [`Duration`](std::time::Duration), to the
    /// microsecond and at most 2147483647 seconds, or at a [`SystemTime`](std::time::SystemTime).
    /// [`send_topic`](PgmqNotifyClient::send_topic) rounds up to whole seconds.
    pub fn delay(self, delay: impl Into<When>) -> Self {
        self.option(|options| {
            options.delay = Delay::new(delay.into())?;
            Ok(())
        })
    }

    /// Sends headers with the message: usually a JSON object. The header `x-pgmq-group` names the
    /// group that the grouped reads keep in order.
    pub fn headers<H: Serialize + ?Sized>(self, headers: &H) -> Self {
        self.option(|options| {
            options.headers = Some(JsonText::new("the headers", headers)?);
            Ok(())
        })
    }
}

impl<T> Operation<'_, T, BatchOptions> {
    /// Makes the messages visible later: after a [`Duration`](std::time::Duration), to the
    /// microsecond and at most 2147483647 seconds, or at a [`SystemTime`](std::time::SystemTime).
    pub fn delay(self, delay: impl Into<When>) -> Self {
        self.option(|options| {
            options.delay = Delay::new(delay.into())?;
            Ok(())
        })
    }

    /// Sends the same headers with each message.
    pub fn headers<H: Serialize + ?Sized>(self, headers: &H) -> Self {
        self.option(|options| {
            options.headers = Headers::Same(JsonText::new("the headers", headers)?);
            Ok(())
        })
    }

    /// Sends headers of its own with each message: as many as there are messages, in their order.
    pub fn headers_each<H: Serialize>(self, headers: impl IntoIterator<Item = H>) -> Self {
        self.option(|options| {
            let each = headers
                .into_iter()
                .map(|headers| JsonText::new("the headers", &headers))
                .collect::<Result<_, _>>()?;
            options.headers = Headers::Each(each);
            Ok(())
        })
    }
}
