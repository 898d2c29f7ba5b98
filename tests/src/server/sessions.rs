//! Who is connected to a server, by `application_name`.

use std::time::Duration;

use sqlx::PgConnection;

use super::Server;
use crate::{Error, eventually::until};

/// A backend ends when it looks for interrupts, which one that writes to a full socket does too.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// Sessions, of this server as a whole: a name that only one test uses keeps others out.
impl Server {
    /// How many sessions have this `application_name`, of which PostgreSQL keeps the first 63 bytes.
    pub async fn sessions(&self, application_name: &str) -> Result<usize, Error> {
        let mut connection = self.connect().await?;
        backends(&mut connection, application_name)
            .await
            .map(|backends| backends.len())
    }

    /// Ends each session with this `application_name` by `pg_terminate_backend`; returns how many once they are gone.
    ///
    /// A session that begins meanwhile, such as the reconnect of one that was ended, is left alone.
    ///
    /// # Errors
    /// The server does not answer, or a backend is still there after 30 seconds.
    pub async fn terminate(&self, application_name: &str) -> Result<usize, Error> {
        let mut connection = self.connect().await?;
        let terminated = backends(&mut connection, application_name).await?;
        let pids: Vec<i32> = terminated.iter().map(|(pid, _)| *pid).collect();
        sqlx::query("select pg_terminate_backend(pid) from unnest($1::int[]) pid")
            .bind(&pids)
            .execute(&mut connection)
            .await
            .map_err(Error::because("terminate backends"))?;
        until(GONE_WITHIN, async || {
            let left = backends(&mut connection, application_name).await?;
            Ok(!left.iter().any(|backend| terminated.contains(backend)))
        })
        .await?;
        Ok(terminated.len())
    }
}

/// Process id and start of each: the system may give the number of one that is gone to the next.
async fn backends(
    connection: &mut PgConnection,
    application_name: &str,
) -> Result<Vec<(i32, String)>, Error> {
    sqlx::query_as(
        "select pid, backend_start::text from pg_stat_activity
         where application_name = $1::name::text and pid <> pg_backend_pid()",
    )
    .bind(application_name)
    .fetch_all(connection)
    .await
    .map_err(Error::because("look for sessions"))
}
