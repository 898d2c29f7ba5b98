use std::time::Duration;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection, PgPool};
use tokio::time::timeout;

use crate::call::Call;
use crate::failure::explain;
use crate::{ClientError, ErrorKind};

const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// How a statement that waits for a lock ended.
#[derive(Debug)]
pub(super) enum Refused {
    /// Somebody else has the lock, and nothing was done.
    Busy,
    /// The table is gone.
    Gone,
    Error(sqlx::Error),
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(DatabaseError::code);
        match code.as_deref() {
            Some("55P03" | "40P01" | "40001") => Self::Busy,
            Some("42P01") => Self::Gone,
            _ => Self::Error(error),
        }
    }
}

/// A connection that is not one of the pool's: what is locked there must not go back into it.
///
/// Everything goes by the simple protocol, several statements at a time: the server makes one
/// transaction of a message, and takes it back wholly when a statement of it fails. So neither a
/// transaction nor a prepared statement is left where a pooler gives each transaction another server.
#[derive(Debug)]
pub(crate) struct Connection(PgConnection);

impl Connection {
    pub(crate) async fn open(pool: &PgPool, operation: &'static str) -> Result<Self, ClientError> {
        let options = pool.connect_options();
        let name = match options.get_application_name() {
            Some(own) if !own.is_empty() => own.to_owned(),
            _ => format!("pgmq-notify {operation}"),
        };
        let options = PgConnectOptions::clone(&options).application_name(&name);
        match timeout(CONNECTED_WITHIN, options.connect()).await {
            Ok(Ok(connection)) => Ok(Self(connection)),
            Ok(Err(error)) => Err(explain(&Call::new(operation, &[]), error)),
            Err(_) => Err(ClientError::new(
                ErrorKind::Connection,
                format!("{operation}: no connection within {CONNECTED_WITHIN:?}"),
            )),
        }
    }

    /// For statements that leave nothing behind, such as those of a transaction.
    pub(crate) fn inner(&mut self) -> &mut PgConnection {
        &mut self.0
    }

    /// Runs `sql`, of our own templates or made by the server, as one transaction.
    pub(super) async fn run(&mut self, sql: String) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.0)
            .await
            .map(drop)
    }

    /// The rows of all statements of `sql`.
    pub(crate) async fn rows(&mut self, sql: String) -> Result<Vec<PgRow>, sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_all(&mut self.0)
            .await
    }

    /// Runs `statement` as one transaction that waits for no lock longer than `lock_timeout`, and while no
    /// migration runs.
    pub(super) async fn locking(
        &mut self,
        statement: &str,
        lock_timeout: Duration,
    ) -> Result<(), Refused> {
        let sql = transaction(statement, lock_timeout);
        Ok(self.run(sql).await?)
    }

    pub(crate) async fn close(self) {
        // For a server that does not take leave.
        let _ = timeout(Duration::from_secs(1), self.0.close()).await;
    }
}

/// The lock is the one that migrations hold from their beginning to their end.
pub(super) fn transaction(statement: &str, lock_timeout: Duration) -> String {
    let milliseconds = lock_timeout.as_millis().max(1);
    // Statements of our own end with a semicolon, those that the server makes do not.
    let statement = statement.trim_end().trim_end_matches(';');
    format!(
        "set local statement_timeout = 0;\n\
         set local lock_timeout = '{milliseconds}ms';\n\
         select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('pgmq_notify', 0));\n\
         {statement};"
    )
}
