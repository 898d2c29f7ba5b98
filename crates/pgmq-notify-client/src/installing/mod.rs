//! Installs the SQL of a configuration, queue by queue.

mod busy;
pub(crate) mod connection;
mod install;
pub(crate) mod installation;
mod progress;
mod rounds;
mod turn;
mod uninstall;

use std::fmt;
use std::time::Duration;

use pgmq_notify_core::ConfigError;

use crate::{ClientError, ErrorKind, PgmqNotifyClient};

pub(crate) use connection::Connection;
pub use install::Install;
pub(crate) use installation::Look;
pub use installation::{FunctionDifference, Installation, InstallationDifferences, TableState};

pub use progress::{InstallProgress, InstallReport, UninstallReport};
pub use uninstall::Uninstall;

/// Less than PostgreSQL's default `deadlock_timeout` of 1 s: in a deadlock the installation gives way, not a
/// sender.
const LOCK_TIMEOUT: Duration = Duration::from_millis(750);
const PATIENCE: Duration = Duration::from_mins(1);

/// What installations and removals have in common.
pub(super) struct Settings<'c> {
    lock_timeout: Duration,
    patience: Duration,
    progress: Option<Box<dyn FnMut(InstallProgress) + Send + 'c>>,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self {
            lock_timeout: LOCK_TIMEOUT,
            patience: PATIENCE,
            progress: None,
        }
    }
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("lock_timeout", &self.lock_timeout)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

impl Settings<'_> {
    fn say(&mut self, progress: InstallProgress) {
        if let Some(heard) = &mut self.progress {
            heard(progress);
        }
    }

    fn check(&self, operation: &str) -> Result<(), ClientError> {
        // PostgreSQL would take it for "without end".
        if self.lock_timeout < Duration::from_millis(1) {
            let text = format!("{operation}: a lock timeout of less than 1 ms is none");
            return Err(ClientError::invalid(text));
        }
        Ok(())
    }
}

impl PgmqNotifyClient {
    /// Installs the SQL of the client's configuration, or brings what is installed up to it.
    ///
    /// PGMQ has to be there, or is [installed as well](Install::with_pgmq). It can run at any time, in any number
    /// of processes at once, and while messages are sent: see [`Install`].
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use pgmq_notify_client::{PgmqNotifyClient, PgmqNotifyConfig};
    ///
    /// let client = PgmqNotifyClient::new("postgres://localhost/shop", PgmqNotifyConfig::new()).await?;
    /// let report = client.install().await?;
    /// println!("{} queues have got triggers", report.queues_changed);
    /// # Ok(())
    /// # }
    /// ```
    pub fn install(&self) -> Install<'_> {
        Install::new(self)
    }

    /// Removes what [`install`](Self::install), or a migration, has installed: triggers, queue by queue, and
    /// the schema `pgmq_notify`. PGMQ, its queues and their messages stay as they are.
    pub fn uninstall(&self) -> Uninstall<'_> {
        Uninstall::new(self)
    }

    /// What the database has of pgmq-notify; `None` where it is not installed.
    ///
    /// It reads catalogs and the configuration, and changes nothing.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, or the role may not read `pgmq_notify.installation` and `pgmq.meta`.
    pub async fn installation(&self) -> Result<Option<Installation>, ClientError> {
        const OPERATION: &str = "read the installation";
        let mut connection = Connection::open(self.pool(), OPERATION).await?;
        let found = Look::whole(&mut connection).await;
        connection.close().await;
        found.map_err(|error| {
            crate::failure::explain(&crate::call::Call::new(OPERATION, &[]), error)
        })
    }
}

fn invalid(error: ConfigError) -> ClientError {
    ClientError::new(
        ErrorKind::InvalidArgument,
        "the configuration of pgmq-notify is invalid",
    )
    .because(error)
}
