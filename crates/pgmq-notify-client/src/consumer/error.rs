use std::error::Error;
use std::fmt;

use pgmq_notify_listener::{ListenerError, ListenerErrorKind};

use crate::{ClientError, ErrorKind};

/// Why a consumer could not start, or cannot do what it was asked for.
///
/// One that has started does not end by an error: it goes on trying. The text names the operation and the
/// remedy where there is one, and the cause is in [`source`](Error::source). Neither holds a password.
#[derive(Debug)]
pub struct ConsumerError {
    kind: ConsumerErrorKind,
    text: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What kind of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsumerErrorKind {
    /// A setting is out of its range, or two contradict each other.
    InvalidArgument,
    /// A look at the queues failed.
    Client(ErrorKind),
    /// Events would not arrive.
    Listener(ListenerErrorKind),
    /// The consumer has been shut down.
    Stopped,
}

impl ConsumerError {
    pub(crate) fn argument(text: impl Into<String>) -> Self {
        Self::new(ConsumerErrorKind::InvalidArgument, text)
    }

    pub(crate) fn new(kind: ConsumerErrorKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
            source: None,
        }
    }

    /// What kind of thing went wrong.
    pub fn kind(&self) -> ConsumerErrorKind {
        self.kind
    }

    /// Whether the same may succeed later with nothing changed by hand.
    pub fn is_transient(&self) -> bool {
        match self.kind {
            ConsumerErrorKind::InvalidArgument | ConsumerErrorKind::Stopped => false,
            ConsumerErrorKind::Client(kind) => kind.is_transient(),
            ConsumerErrorKind::Listener(kind) => kind.is_transient(),
        }
    }
}

impl fmt::Display for ConsumerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for ConsumerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

impl From<ClientError> for ConsumerError {
    fn from(error: ClientError) -> Self {
        let kind = match error.kind() {
            ErrorKind::InvalidArgument => ConsumerErrorKind::InvalidArgument,
            kind => ConsumerErrorKind::Client(kind),
        };
        Self {
            kind,
            text: error.to_string(),
            source: Some(Box::new(error)),
        }
    }
}

impl From<ListenerError> for ConsumerError {
    fn from(error: ListenerError) -> Self {
        Self {
            kind: ConsumerErrorKind::Listener(error.kind()),
            text: error.to_string(),
            source: Some(Box::new(error)),
        }
    }
}
