//! From what sqlx and the server say to what the user is told.

use sqlx::postgres::PgDatabaseError;

use crate::call::Call;
use crate::{ClientError, ErrorKind};

/// How an operation ended badly, before it is known which operation that was.
#[derive(Debug)]
pub(crate) enum Failure {
    Client(ClientError),
    Sqlx(sqlx::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Sqlx(error)
    }
}

impl Failure {
    pub(crate) fn unexpected(text: impl Into<String>) -> Self {
        Self::Client(ClientError::new(ErrorKind::Unexpected, text))
    }
}

/// Whether a look at the catalog can say more than the error does: a schema or function is missing.
pub(crate) fn wants_diagnosis(error: &sqlx::Error) -> bool {
    matches!(sqlstate(error), Some("42883" | "3F000"))
}

/// The error of `call`, without a look at the catalog.
pub(crate) fn explain(call: &Call, error: sqlx::Error) -> ClientError {
    let kind = kind(call, &error);
    let reason = match kind {
        ErrorKind::BodyRefused => {
            "PostgreSQL's jsonb cannot hold a body or its headers: strings must not contain U+0000 (remove or encode it), numbers and sizes have limits"
        }
        ErrorKind::PartmanMissing => {
            "partitioned queues need the extension pg_partman: install it on the server, then `create extension pg_partman`"
        }
        ErrorKind::QueueNotFound => "there is no such queue",
        ErrorKind::PermissionDenied => "the database role is not permitted to do this",
        ErrorKind::Connection => "no connection to PostgreSQL, or it broke",
        ErrorKind::Overloaded => "the server is out of resources",
        ErrorKind::Conflict => "it ran into another transaction",
        ErrorKind::Cancelled => "the statement was cancelled",
        ErrorKind::InvalidArgument => "PGMQ refused an argument",
        ErrorKind::Unexpected => "PostgreSQL's answer was not understood",
        _ => "PostgreSQL refused it",
    };
    call.error(kind, reason).because(error)
}

/// Retry or stop hangs on this: one pure function from what happened to its kind.
fn kind(call: &Call, error: &sqlx::Error) -> ErrorKind {
    match error {
        sqlx::Error::Database(_) => match postgres(error) {
            Some(error) => kind_of_refusal(call, error.code(), error.message(), error.routine()),
            None => ErrorKind::Database,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => ErrorKind::Connection,
        sqlx::Error::Configuration(_) | sqlx::Error::Encode(_) => ErrorKind::InvalidArgument,
        _ => ErrorKind::Unexpected,
    }
}

fn kind_of_refusal(call: &Call, state: &str, message: &str, routine: Option<&str>) -> ErrorKind {
    match state {
        // Exceptions of pg_partman itself look the same but for their words, which nothing translates.
        "P0001" if call.raised() == ErrorKind::PartmanMissing => {
            if message.starts_with("pg_partman is required") {
                ErrorKind::PartmanMissing
            } else {
                ErrorKind::Database
            }
        }
        // The server's notification queue is full.
        "54000" if routine == Some("PreCommit_Notify") => ErrorKind::Overloaded,
        "P0001" => call.raised(),
        "42P01" => ErrorKind::QueueNotFound,
        "42501" => ErrorKind::PermissionDenied,
        // Cannot be a part of jsonb: U+0000, a number or a string beyond its limits, too deep.
        "22P05" | "22003" | "54000" | "54001" if call.sends() => ErrorKind::BodyRefused,
        "22004" if call.wants_partman() => ErrorKind::PartmanMissing,
        "40001" | "40P01" | "55P03" => ErrorKind::Conflict,
        "57014" => ErrorKind::Cancelled,
        // Ended by an administrator, by a crash, or not accepting connections yet.
        "57P01" | "57P02" | "57P03" | "57P05" => ErrorKind::Connection,
        _ => match state.get(..2) {
            Some("08") if state != "08P01" => ErrorKind::Connection,
            Some("28") => ErrorKind::PermissionDenied,
            Some("53") => ErrorKind::Overloaded,
            _ => ErrorKind::Database,
        },
    }
}

fn sqlstate(error: &sqlx::Error) -> Option<&str> {
    postgres(error).map(PgDatabaseError::code)
}

fn postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function;

    #[test]
    fn each_sqlstate_has_the_kind_that_says_what_to_do() {
        let send = Call::new("send", &[function::SEND]).sending();
        let read = Call::new("read", &[function::READ]);
        let partitioned =
            Call::new("create", &[function::CREATE_PARTITIONED]).raising(ErrorKind::PartmanMissing);
        for (call, state, expected) in [
            (&send, "22P05", ErrorKind::BodyRefused),
            (&read, "22P05", ErrorKind::Database),
            (&send, "42P01", ErrorKind::QueueNotFound),
            (&send, "P0001", ErrorKind::Database),
            (&partitioned, "P0001", ErrorKind::Database),
            (&send, "54000", ErrorKind::BodyRefused),
            (&send, "42501", ErrorKind::PermissionDenied),
            (&send, "28P01", ErrorKind::PermissionDenied),
            (&send, "40P01", ErrorKind::Conflict),
            (&send, "57014", ErrorKind::Cancelled),
            (&send, "57P01", ErrorKind::Connection),
            (&send, "08006", ErrorKind::Connection),
            (&send, "08P01", ErrorKind::Database),
            (&send, "53300", ErrorKind::Overloaded),
            (&send, "25P02", ErrorKind::Database),
        ] {
            assert_eq!(kind_of_refusal(call, state, "", None), expected, "{state}");
        }
        assert_eq!(
            kind_of_refusal(
                &partitioned,
                "P0001",
                "pg_partman is required for partitioned queues",
                None
            ),
            ErrorKind::PartmanMissing
        );
        assert_eq!(
            kind_of_refusal(&send, "54000", "", Some("PreCommit_Notify")),
            ErrorKind::Overloaded
        );
    }
}
