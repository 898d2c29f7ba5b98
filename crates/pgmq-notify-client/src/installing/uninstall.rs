use std::pin::Pin;
use std::time::Duration;

use pgmq_notify_sql::{Migration, Steps};
use sqlx::Row as _;

use super::busy::Strength;
use super::connection::Connection;
use super::install::{change, plan_transaction};
use super::rounds::{Rounds, SHORT_WAIT};
use super::turn::Turn;
use super::{InstallProgress, Settings, UninstallReport, invalid};
use crate::call::Call;
use crate::failure::explain;
use crate::{ClientError, PgmqNotifyClient};

const OPERATION: &str = "uninstall";

const INSTALLED: &str =
    "select exists (select from pg_catalog.pg_namespace n where n.nspname = 'pgmq_notify')";

/// A removal that has not run yet. It does nothing until it is awaited.
///
/// Triggers go first, each queue in a short transaction of its own, as with an [`Install`](super::Install);
/// then all that is left, in one. `DROP TRIGGER` keeps readers waiting too, for as long as writers. While it
/// runs, the queues that have lost their triggers publish nothing.
#[derive(Debug)]
#[must_use = "a removal does nothing until it is awaited"]
pub struct Uninstall<'c> {
    client: &'c PgmqNotifyClient,
    settings: Settings<'c>,
}

impl<'c> Uninstall<'c> {
    pub(super) fn new(client: &'c PgmqNotifyClient) -> Self {
        Self {
            client,
            settings: Settings::default(),
        }
    }

    /// As [`Install::with_lock_timeout`](super::Install::with_lock_timeout).
    ///
    /// Defaults to 750 milliseconds.
    pub fn with_lock_timeout(mut self, most: Duration) -> Self {
        self.settings.lock_timeout = most;
        self
    }

    /// As [`Install::with_patience`](super::Install::with_patience).
    ///
    /// Defaults to 60 seconds.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Calls `heard` as it gets on.
    pub fn on_progress(mut self, heard: impl FnMut(InstallProgress) + Send + 'c) -> Self {
        self.settings.progress = Some(Box::new(heard));
        self
    }

    /// The SQL that would be run, for `psql`. It changes nothing.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached.
    pub async fn plan(mut self) -> Result<String, ClientError> {
        self.settings.check(OPERATION)?;
        let migration = Migration::new(self.client.config()).map_err(invalid)?;
        let mut connection = Connection::open(self.client.pool(), OPERATION).await?;
        let plan = self.planned(&migration, &mut connection).await;
        connection.close().await;
        plan.map_err(failed)
    }

    async fn planned(
        &mut self,
        migration: &Migration,
        connection: &mut Connection,
    ) -> Result<String, sqlx::Error> {
        if !is_installed(connection).await? {
            return Ok("-- Nothing to do: it is not installed.\n".into());
        }
        let mut plan = String::new();
        let short = SHORT_WAIT.min(self.settings.lock_timeout);
        for row in connection.rows(Steps::REMOVALS.into()).await? {
            if let Some(change) = change(&row)? {
                plan_transaction(&mut plan, &change.name, &change.statement, Some(short));
            }
        }
        let most = Some(self.settings.lock_timeout);
        plan_transaction(&mut plan, "the rest", migration.down(), most);
        Ok(plan)
    }

    async fn run(mut self) -> Result<UninstallReport, ClientError> {
        self.settings.check(OPERATION)?;
        let migration = Migration::new(self.client.config()).map_err(invalid)?;
        let turn = Turn::take(self.client.pool(), OPERATION, &mut self.settings).await?;
        let connection = Connection::open(self.client.pool(), OPERATION).await;
        let result = match connection {
            Ok(mut connection) => {
                let result = self.work(&migration, &mut connection).await;
                connection.close().await;
                result
            }
            Err(error) => Err(error),
        };
        turn.end().await;
        result
    }

    async fn work(
        &mut self,
        migration: &Migration,
        connection: &mut Connection,
    ) -> Result<UninstallReport, ClientError> {
        if !is_installed(connection).await.map_err(failed)? {
            return Ok(UninstallReport::default());
        }
        let mut rounds = Rounds {
            operation: OPERATION,
            strength: Strength::Everybody,
            connection,
            settings: &mut self.settings,
            done: 0,
        };
        rounds.all(Steps::REMOVALS, change).await?;
        rounds
            .one("the schema pgmq_notify", migration.down())
            .await?;
        Ok(UninstallReport {
            removed: true,
            tables_changed: rounds.done,
        })
    }
}

impl<'c> IntoFuture for Uninstall<'c> {
    type Output = Result<UninstallReport, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'c>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

async fn is_installed(connection: &mut Connection) -> Result<bool, sqlx::Error> {
    let rows = connection.rows(INSTALLED.into()).await?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

fn failed(error: sqlx::Error) -> ClientError {
    explain(&Call::new(OPERATION, &[]), error)
}
