use std::error::Error;
use std::fmt;

use crate::UndecodableMessage;

type Source = Box<dyn Error + Send + Sync>;

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument that PGMQ or PostgreSQL would refuse, found before any SQL: a queue name, a
    /// duration, a routing key, the database URL, the configuration.
    InvalidArgument,
    /// A message or its headers do not serialise to JSON. No SQL was run.
    Serialize,
    /// JSON that `jsonb` cannot hold, such as a string with the character U+0000.
    BodyRefused,
    /// A message that was received, and does not decode: an [`UndecodableMessage`] passed on.
    Undecodable,
    /// The installed PGMQ is older than the operation.
    Unsupported,
    /// The database has no PGMQ.
    PgmqMissing,
    /// Triggers are switched off, and the functions that stand in for them are not installed.
    FunctionsMissing,
    /// A partitioned queue needs the extension `pg_partman`.
    PartmanMissing,
    /// There is no such queue.
    QueueNotFound,
    /// Another claim has the message that a handler works on, or it is gone.
    LeaseLost,
    /// The role, or the password, may not do this.
    PermissionDenied,
    /// No connection, or it broke. What was sent before it broke may have been executed.
    Connection,
    /// The server is out of connections, memory or disk.
    Overloaded,
    /// A deadlock, a lock that was not granted in time, or a serialization failure.
    Conflict,
    /// The statement was cancelled, for instance by `statement_timeout`.
    Cancelled,
    /// Anything else that the server refused; the cause says what.
    Database,
    /// The server answered something that PGMQ 1.5 to 1.13 never answer.
    Unexpected,
}

impl ErrorKind {
    /// Whether the same operation may succeed later with nothing changed by hand.
    ///
    /// Inside a transaction, the whole transaction is to be repeated. A send that failed with
    /// [`Connection`](Self::Connection) may have been committed: repeating it may send twice.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Connection | Self::Overloaded | Self::Conflict | Self::Cancelled => true,
            Self::InvalidArgument
            | Self::Serialize
            | Self::BodyRefused
            | Self::Undecodable
            | Self::Unsupported
            | Self::PgmqMissing
            | Self::FunctionsMissing
            | Self::PartmanMissing
            | Self::QueueNotFound
            | Self::LeaseLost
            | Self::PermissionDenied
            | Self::Database
            | Self::Unexpected => false,
        }
    }
}

/// Why an operation failed.
///
/// Its text names the operation, the queue and the remedy where there is one; the cause is in
/// [`source`](Error::source). Neither holds a password or a message.
pub struct ClientError(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    text: String,
    source: Option<Source>,
}

impl ClientError {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            text: text.into(),
            source: None,
        }))
    }

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument, text)
    }

    pub(crate) fn because(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the same operation may succeed later: see [`ErrorKind::is_transient`].
    pub fn is_transient(&self) -> bool {
        self.0.kind.is_transient()
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, text, source } = &*self.0;
        f.debug_struct("ClientError")
            .field("kind", kind)
            .field("text", text)
            .field("source", source)
            .finish()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}

/// So that `message?` works where a body that does not decode is to end the whole thing.
impl From<UndecodableMessage> for ClientError {
    fn from(message: UndecodableMessage) -> Self {
        Self::new(ErrorKind::Undecodable, message.to_string()).because(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_pass_by_itself_is_transient() {
        let table = [
            (ErrorKind::InvalidArgument, false),
            (ErrorKind::Serialize, false),
            (ErrorKind::BodyRefused, false),
            (ErrorKind::Undecodable, false),
            (ErrorKind::Unsupported, false),
            (ErrorKind::PgmqMissing, false),
            (ErrorKind::FunctionsMissing, false),
            (ErrorKind::PartmanMissing, false),
            (ErrorKind::QueueNotFound, false),
            (ErrorKind::LeaseLost, false),
            (ErrorKind::PermissionDenied, false),
            (ErrorKind::Connection, true),
            (ErrorKind::Overloaded, true),
            (ErrorKind::Conflict, true),
            (ErrorKind::Cancelled, true),
            (ErrorKind::Database, false),
            (ErrorKind::Unexpected, false),
        ];
        for (kind, transient) in table {
            assert_eq!(kind.is_transient(), transient, "{kind:?}");
        }
    }
}
