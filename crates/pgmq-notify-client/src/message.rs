use std::error::Error;
use std::fmt;
use std::time::{Duration, SystemTime};

use pgmq_notify_core::RawJson;
use serde::de::DeserializeOwned;

/// A message of a queue, its body decoded into `T`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<T> {
    /// Its id, unique in its queue.
    pub msg_id: i64,
    /// How often it was read, this time included.
    pub read_count: u32,
    /// When it was sent: the beginning of the transaction that sent it.
    pub enqueued_at: SystemTime,
    /// When it was last read, this time included; `None` before PGMQ 1.10, and where it was never read.
    pub last_read_at: Option<SystemTime>,
    /// When it becomes visible (again).
    pub visible_at: SystemTime,
    /// Its headers, if it has any.
    pub headers: Option<RawJson>,
    /// What was sent. SQL `NULL` decodes as the JSON value `null`.
    pub body: T,
}

impl<T> Message<T> {
    /// A message made by hand, to call a handler with: sent now, read once, visible in 30 seconds,
    /// without headers. Its fields can be set.
    pub fn by_hand(msg_id: i64, body: T) -> Self {
        let now = SystemTime::now();
        Self {
            msg_id,
            read_count: 1,
            enqueued_at: now,
            last_read_at: Some(now),
            visible_at: now + Duration::from_secs(30),
            headers: None,
            body,
        }
    }
}

impl<T> Message<T> {
    /// The same message with another body.
    pub(crate) fn with_body<U>(self, body: U) -> Message<U> {
        Message {
            msg_id: self.msg_id,
            read_count: self.read_count,
            enqueued_at: self.enqueued_at,
            last_read_at: self.last_read_at,
            visible_at: self.visible_at,
            headers: self.headers,
            body,
        }
    }
}

impl Message<RawJson> {
    /// The same message, its body decoded.
    pub(crate) fn decode<T: DeserializeOwned>(self) -> Result<Message<T>, serde_json::Error> {
        let body = self.body.decode()?;
        Ok(self.with_body(body))
    }
}

/// What a read gives for each message: a body that does not decode is an error of that message
/// alone, and the others are delivered.
pub type Received<T> = Result<Message<T>, UndecodableMessage>;

/// A message whose body is not what the reader asked for.
///
/// It was read like any other: its visibility timeout runs, and it comes back when that ends.
/// Its id and raw body are here, so that it can be archived, deleted or looked at.
pub struct UndecodableMessage(Box<Undecodable>);

struct Undecodable {
    message: Message<RawJson>,
    error: serde_json::Error,
}

impl UndecodableMessage {
    pub(crate) fn new(message: Message<RawJson>, error: serde_json::Error) -> Self {
        Self(Box::new(Undecodable { message, error }))
    }

    /// The id of the message.
    pub fn msg_id(&self) -> i64 {
        self.0.message.msg_id
    }

    /// The body, as the JSON text that PostgreSQL made of it.
    pub fn body(&self) -> &str {
        self.0.message.body.as_str()
    }

    /// The message, its body raw.
    pub fn message(&self) -> &Message<RawJson> {
        &self.0.message
    }

    /// The message, its body raw.
    pub fn into_message(self) -> Message<RawJson> {
        self.0.message
    }
}

impl fmt::Debug for UndecodableMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UndecodableMessage")
            .field("message", &self.0.message)
            .field("error", &self.0.error)
            .finish()
    }
}

/// Names the message, without its body: logs are no place for that.
impl fmt::Display for UndecodableMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the body of message {} does not decode, after {} reads",
            self.0.message.msg_id, self.0.message.read_count
        )
    }
}

impl Error for UndecodableMessage {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.error)
    }
}
