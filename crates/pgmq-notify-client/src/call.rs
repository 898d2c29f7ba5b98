use pgmq_notify_core::QueueName;

use crate::function::Function;
use crate::{ClientError, ErrorKind};

/// What is being called, for the error that it may become.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    operation: &'static str,
    needs: &'static [Function],
    queue: Option<QueueName>,
    raised: ErrorKind,
    sends: bool,
    partman: bool,
}

impl Call {
    pub(crate) fn new(operation: &'static str, needs: &'static [Function]) -> Self {
        Self {
            operation,
            needs,
            queue: None,
            raised: ErrorKind::Database,
            sends: false,
            partman: false,
        }
    }

    /// On `queue`, if that is one.
    pub(crate) fn on(mut self, queue: &Result<QueueName, ClientError>) -> Self {
        self.queue = queue.as_ref().ok().cloned();
        self
    }

    /// What it means when PGMQ itself raises an exception: those carry no code of their own.
    pub(crate) fn raising(mut self, kind: ErrorKind) -> Self {
        self.raised = kind;
        self
    }

    /// Carries JSON of the user.
    pub(crate) fn sending(mut self) -> Self {
        self.sends = true;
        self
    }

    /// Asks `pg_partman` for its schema, and formats the null that comes back without it.
    pub(crate) fn formatting_partman(mut self) -> Self {
        self.partman = true;
        self
    }

    pub(crate) fn needs(&self) -> &'static [Function] {
        self.needs
    }

    pub(crate) fn raised(&self) -> ErrorKind {
        self.raised
    }

    pub(crate) fn sends(&self) -> bool {
        self.sends
    }

    pub(crate) fn wants_partman(&self) -> bool {
        self.partman
    }

    /// `send, queue "orders": REASON`.
    pub(crate) fn error(&self, kind: ErrorKind, reason: &str) -> ClientError {
        let operation = self.operation;
        ClientError::new(
            kind,
            match &self.queue {
                Some(queue) => format!("{operation}, queue {:?}: {reason}", queue.as_str()),
                None => format!("{operation}: {reason}"),
            },
        )
    }
}
