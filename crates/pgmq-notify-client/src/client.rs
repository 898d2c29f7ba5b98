use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use pgmq_notify_core::{PgmqNotifyConfig, QueueName};
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::call::Call;
use crate::failure::explain;
use crate::function::Schema;
use crate::{ClientError, ErrorKind};

/// Every operation of PGMQ, on a pool of connections.
///
/// Cheap to clone: clones share the pool. Queue names are anything that derefs to text; one that
/// PGMQ would refuse is an error of kind [`InvalidArgument`](ErrorKind::InvalidArgument) before
/// any SQL. Each method returns an [`Operation`](crate::Operation) to await, or to run inside a
/// transaction of the caller.
#[derive(Clone, Debug)]
pub struct PgmqNotifyClient {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    config: PgmqNotifyConfig,
    last_read_at: AtomicBool,
}

impl PgmqNotifyClient {
    /// Connects to the database, with sqlx's defaults for a pool: at most 10 connections.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// When the URL or the configuration is invalid, or the server cannot be reached. The URL, and
    /// so its password, is not part of the error.
    pub async fn new(
        database_url: impl AsRef<str>,
        config: PgmqNotifyConfig,
    ) -> Result<Self, ClientError> {
        validate(&config)?;
        let options: PgConnectOptions =
            database_url
                .as_ref()
                .parse()
                .map_err(|error: sqlx::Error| {
                    ClientError::invalid("the database URL is not one of PostgreSQL").because(error)
                })?;
        let pool = PgPoolOptions::new()
            .connect_with(options)
            .await
            .map_err(|error| explain(&Call::new("connect", &[]), error))?;
        Self::with_pool(pool, config)
    }

    /// Uses a pool that exists; does not connect by itself.
    ///
    /// # Errors
    ///
    /// When the configuration is invalid.
    pub fn with_pool(pool: PgPool, config: PgmqNotifyConfig) -> Result<Self, ClientError> {
        validate(&config)?;
        Ok(Self {
            inner: Arc::new(Inner {
                pool,
                config,
                last_read_at: AtomicBool::new(false),
            }),
        })
    }

    /// The pool, for instance to begin a transaction.
    pub fn pool(&self) -> &PgPool {
        &self.inner.pool
    }

    /// The configuration that the client was made with.
    pub fn config(&self) -> &PgmqNotifyConfig {
        &self.inner.config
    }

    /// Who sends and creates: PGMQ itself, or where triggers are switched off the functions that
    /// notify in the same transaction.
    pub(crate) fn sender(&self) -> Schema {
        if self.inner.config.triggers_enabled() {
            Schema::Pgmq
        } else {
            Schema::PgmqNotify
        }
    }

    /// Whether queues are known to have the column `last_read_at`, which came with PGMQ 1.10.
    pub(crate) fn last_read_at(&self) -> &AtomicBool {
        &self.inner.last_read_at
    }
}

fn validate(config: &PgmqNotifyConfig) -> Result<(), ClientError> {
    config.validate().map_err(|error| {
        ClientError::new(
            ErrorKind::InvalidArgument,
            "the configuration of pgmq-notify is invalid",
        )
        .because(error)
    })
}

/// Parses a queue's name, before any SQL.
pub(crate) fn queue_name(name: impl AsRef<str>) -> Result<QueueName, ClientError> {
    QueueName::new(name.as_ref()).map_err(|error| ClientError::invalid(error.to_string()))
}
