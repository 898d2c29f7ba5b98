use std::error::Error as StdError;
use std::{fmt, io};

/// Why the listener could not do what it was asked.
///
/// The text names the operation; what PostgreSQL or the network said is in
/// [`source`](StdError::source). Neither ever holds a password.
#[derive(Debug)]
pub struct ListenerError {
    kind: ListenerErrorKind,
    operation: Box<str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What went wrong, for code that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ListenerErrorKind {
    /// The configuration is invalid, or does not publish what was asked for.
    Configuration,
    /// An argument is out of its range.
    Argument,
    /// `connect` was not called.
    NotConnected,
    /// No server answers at this address: wrong host or port, network down, server stopped.
    Unreachable,
    /// The server does not let this role in: wrong password, unknown role, `pg_hba.conf`.
    Authentication,
    /// The server has no database of this name.
    UnknownDatabase,
    /// An encrypted connection could not be made, or this build cannot make one.
    Tls,
    /// The server is starting up or shutting down, or has no connection left.
    Unavailable,
    /// The role lacks a right.
    Permission,
    /// The server is a hot standby, where nobody can listen until it is promoted.
    Standby,
    /// What is published does not reach the listener, because a proxy stands between.
    NotDelivered,
    /// The database has no PGMQ.
    PgmqMissing,
    /// The database lacks the migration of pgmq-notify, or a trigger of it.
    NotInstalled,
    /// The installed configuration is another one than the listener's, or the migration is of an older
    /// pgmq-notify, or a trigger of an older configuration.
    Drift,
    /// No answer in time.
    Timeout,
    /// The session ended.
    ConnectionLost,
    /// A change of subscriptions is remembered and not yet in effect on the server.
    Delayed,
    /// The reading task ended by itself, because its runtime shut down.
    Stopped,
    /// The server refused a statement.
    Database,
    /// The driver could not go on.
    Driver,
}

impl ListenerErrorKind {
    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Unreachable
            | Self::Unavailable
            | Self::Timeout
            | Self::ConnectionLost
            | Self::Delayed => true,
            Self::Configuration
            | Self::Argument
            | Self::NotConnected
            | Self::Authentication
            | Self::UnknownDatabase
            | Self::Tls
            | Self::Permission
            | Self::Standby
            | Self::NotDelivered
            | Self::PgmqMissing
            | Self::NotInstalled
            | Self::Drift
            | Self::Stopped
            | Self::Database
            | Self::Driver => false,
        }
    }

    /// By SQLSTATE, whose first two characters are its class.
    fn of_sqlstate(code: &str) -> Self {
        match code {
            "3D000" => Self::UnknownDatabase,
            "42501" => Self::Permission,
            // What `LISTEN` says during recovery, and no other statement of the listener.
            "25006" => Self::Standby,
            "57P01" | "57P02" | "57P05" => Self::ConnectionLost,
            "53300" | "57P03" => Self::Unavailable,
            _ if code.starts_with("28") => Self::Authentication,
            _ if code.starts_with("08") => Self::ConnectionLost,
            _ if code.starts_with("53") => Self::Unavailable,
            _ => Self::Database,
        }
    }

    fn of_io(kind: io::ErrorKind) -> Self {
        match kind {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::ConnectionLost,
            io::ErrorKind::TimedOut => Self::Timeout,
            // Refused, no route, a name that does not resolve, a socket file that is not there.
            _ => Self::Unreachable,
        }
    }

    fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Configuration(_) => Self::Configuration,
            sqlx::Error::Database(error) => error
                .code()
                .map_or(Self::Database, |code| Self::of_sqlstate(&code)),
            sqlx::Error::Io(error) => Self::of_io(error.kind()),
            sqlx::Error::Tls(_) => Self::Tls,
            sqlx::Error::PoolTimedOut => Self::Timeout,
            sqlx::Error::PoolClosed => Self::ConnectionLost,
            _ => Self::Driver,
        }
    }
}

impl ListenerError {
    pub(crate) fn new(kind: ListenerErrorKind, operation: impl Into<Box<str>>) -> Self {
        Self {
            kind,
            operation: operation.into(),
            source: None,
        }
    }

    pub(crate) fn because(
        kind: ListenerErrorKind,
        operation: impl Into<Box<str>>,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self {
            source: Some(Box::new(source)),
            ..Self::new(kind, operation)
        }
    }

    /// For `map_err`: `operation` is what failed.
    pub(crate) fn database(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |error| Self::because(ListenerErrorKind::of(&error), operation, error)
    }

    /// What went wrong, for code that decides.
    pub fn kind(&self) -> ListenerErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub fn is_transient(&self) -> bool {
        self.kind.is_transient()
    }
}

impl fmt::Display for ListenerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.operation)
    }
}

impl StdError for ListenerError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::ListenerErrorKind as Kind;
    use super::*;

    #[test]
    fn every_sqlstate_of_a_failed_connection_has_its_kind() {
        for (code, kind, transient) in [
            ("28P01", Kind::Authentication, false),
            ("28000", Kind::Authentication, false),
            ("3D000", Kind::UnknownDatabase, false),
            ("42501", Kind::Permission, false),
            ("25006", Kind::Standby, false),
            ("53300", Kind::Unavailable, true),
            ("53200", Kind::Unavailable, true),
            ("57P01", Kind::ConnectionLost, true),
            ("57P03", Kind::Unavailable, true),
            ("08006", Kind::ConnectionLost, true),
            ("42601", Kind::Database, false),
        ] {
            assert_eq!(Kind::of_sqlstate(code), kind, "{code}");
            assert_eq!(kind.is_transient(), transient, "{code}");
        }
    }

    #[test]
    fn every_failure_of_the_network_has_its_kind() {
        for (io, kind) in [
            (io::ErrorKind::ConnectionRefused, Kind::Unreachable),
            (io::ErrorKind::HostUnreachable, Kind::Unreachable),
            (io::ErrorKind::NotFound, Kind::Unreachable),
            (io::ErrorKind::Other, Kind::Unreachable),
            (io::ErrorKind::TimedOut, Kind::Timeout),
            (io::ErrorKind::ConnectionReset, Kind::ConnectionLost),
            (io::ErrorKind::UnexpectedEof, Kind::ConnectionLost),
        ] {
            assert_eq!(Kind::of(&sqlx::Error::Io(io.into())), kind, "{io:?}");
            assert!(kind.is_transient(), "{io:?}");
        }
    }

    #[test]
    fn the_cause_is_behind_the_error_and_not_in_its_text() {
        let error = ListenerError::database("connect")(sqlx::Error::PoolTimedOut);
        assert_eq!(error.to_string(), "connect");
        assert!(error.source().is_some());
        assert!(error.is_transient());
    }
}
