use std::time::Duration;

use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::timeout;

use crate::failure::Failure;

/// A person waits: a server that does not answer is reported this soon.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// A connection beside the pool, which would try again and again and then say only that it took too long.
pub(crate) async fn reachable(pool: &PgPool) -> Result<PgConnection, Failure> {
    let options = pool.connect_options();
    match timeout(CONNECTED_WITHIN, PgConnection::connect_with(&options)).await {
        Ok(connected) => connected.map_err(|error| refused("connect", &error)),
        Err(_) => Err(Failure::new(
            format!("cannot connect: no answer within {CONNECTED_WITHIN:?}"),
            UNREACHABLE,
        )),
    }
}

/// A statement of this program that the server, or the way to it, refused.
pub(crate) fn refused(operation: &str, error: &sqlx::Error) -> Failure {
    let hint = match error {
        sqlx::Error::Database(error) => match error.code().as_deref() {
            Some("42501") => "`pgmq-notify doctor` prints the grants that a role lacks",
            Some("3F000" | "42P01") => "`pgmq-notify doctor` looks for what is missing",
            // Wrong password, no such database, no connection left, starting up.
            Some(code) if ["28", "3D", "53", "57", "08"].contains(&code.get(..2).unwrap_or("")) => {
                UNREACHABLE
            }
            _ => "`pgmq-notify doctor` looks for what is wrong with the installation",
        },
        _ => UNREACHABLE,
    };
    Failure::new(format!("cannot {operation}: {error}"), hint)
}

const UNREACHABLE: &str =
    "check --database-url (or DATABASE_URL, PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE)";
