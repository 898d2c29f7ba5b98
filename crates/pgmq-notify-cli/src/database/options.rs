use std::time::Duration;

use clap::Args;
use pgmq_notify_client::{PgmqNotifyClient, PgmqNotifyConfig};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::client_failure;
use crate::failure::Failure;

/// A person waits: a server that does not answer is reported this soon.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// Of a connection: the plans of `top`, which are large, for 5000 queues, or fewer that come and go.
const KEPT_STATEMENTS: usize = 50;

#[derive(Args, Debug)]
#[command(next_help_heading = "Database")]
pub(crate) struct DatabaseOptions {
    /// Where it is [default: what PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and the like say]
    // The value holds a password, so help must not show it.
    #[arg(
        long,
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true,
        hide_default_value = true
    )]
    database_url: Option<Secret>,
}

/// Text that is not to be seen, whoever prints it.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("\"…\"")
    }
}

impl DatabaseOptions {
    /// This database, whatever the environment says.
    pub(crate) fn at(url: Secret) -> Self {
        Self {
            database_url: Some(url),
        }
    }

    /// How to connect; `command` becomes part of the `application_name`.
    pub(crate) fn connect_options(&self, command: &str) -> Result<PgConnectOptions, Failure> {
        let options = match &self.database_url {
            Some(Secret(url)) => url.parse().map_err(|_| {
                // What is wrong with it cannot be said without saying a part of it.
                Failure::new(
                    "cannot understand the database URL",
                    "its form is postgres://user:password@host:5432/database, with characters such as / or @ in the \
                     password percent-encoded",
                )
            })?,
            None => PgConnectOptions::new(),
        };
        Ok(options
            .application_name(&format!("pgmq-notify {command}"))
            .statement_cache_capacity(KEPT_STATEMENTS))
    }

    /// Connects when it is first used.
    pub(crate) fn client(
        &self,
        command: &str,
        config: PgmqNotifyConfig,
    ) -> Result<PgmqNotifyClient, Failure> {
        PgmqNotifyClient::with_pool(self.pool(command)?, config)
            .map_err(|error| client_failure(&error))
    }

    /// Lazy: connects when it is first used.
    pub(crate) fn pool(&self, command: &str) -> Result<PgPool, Failure> {
        Ok(PgPoolOptions::new()
            .max_connections(3)
            .acquire_timeout(CONNECTED_WITHIN)
            .connect_lazy_with(self.connect_options(command)?))
    }
}
