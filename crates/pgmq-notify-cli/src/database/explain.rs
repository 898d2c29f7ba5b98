//! What went wrong at the database, and what to do about it.

use std::error::Error;

use pgmq_notify_client::{ClientError, ErrorKind};
use pgmq_notify_listener::{ListenerError, ListenerErrorKind};

use crate::failure::Failure;

pub(crate) fn client_failure(error: &ClientError) -> Failure {
    let hint = match error.kind() {
        ErrorKind::Connection => UNREACHABLE,
        ErrorKind::PermissionDenied => "`pgmq-notify doctor` prints the grants that a role lacks",
        ErrorKind::PgmqMissing => "install PGMQ first: `pgmq-notify install --with-pgmq`",
        ErrorKind::Unsupported => "upgrade PGMQ first: alter extension pgmq update;",
        ErrorKind::FunctionsMissing => "`pgmq-notify install` installs them",
        ErrorKind::PartmanMissing => "create extension pg_partman;",
        ErrorKind::QueueNotFound => "`pgmq-notify status` lists the queues",
        ErrorKind::InvalidArgument | ErrorKind::Serialize | ErrorKind::BodyRefused => {
            "correct the value"
        }
        _ if error.is_transient() => "try again; nothing was changed",
        _ => "`pgmq-notify doctor` looks for what is wrong with the installation",
    };
    Failure::new(chain(error), hint)
}

pub(crate) fn listener_failure(error: &ListenerError) -> Failure {
    let hint = match error.kind() {
        ListenerErrorKind::Unreachable
        | ListenerErrorKind::Unavailable
        | ListenerErrorKind::Timeout
        | ListenerErrorKind::ConnectionLost
        | ListenerErrorKind::Authentication
        | ListenerErrorKind::UnknownDatabase
        | ListenerErrorKind::Tls => UNREACHABLE,
        ListenerErrorKind::Standby => "connect to the primary server",
        ListenerErrorKind::NotDelivered => {
            "connect to the server itself, or to a pooler in session mode"
        }
        ListenerErrorKind::NotInstalled
        | ListenerErrorKind::Drift
        | ListenerErrorKind::PgmqMissing => "`pgmq-notify install` brings the database up to date",
        _ => "`pgmq-notify doctor` looks for what is wrong with the installation",
    };
    Failure::new(chain(error), hint)
}

const UNREACHABLE: &str =
    "check --database-url (or DATABASE_URL, PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE)";

/// The error and its causes, in one line.
fn chain(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // A cause that was pasted into the text before it says nothing new.
        if texts.iter().all(|before| !before.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts.join(": ")
}
