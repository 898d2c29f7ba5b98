use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Connection, PgConnection, PgPool, Postgres};
use tokio::time::timeout;

use crate::ListenerError;

/// For a pool that has a connection, or room for one.
const PATIENCE: Duration = Duration::from_secs(2);

/// For a pool whose connections are all in use: perhaps by an application that waits for an event.
const PATIENCE_WITH_A_FULL_POOL: Duration = Duration::from_millis(200);

/// A connection beside the listening one, for one errand.
#[derive(Debug)]
pub(crate) struct Beside(Option<Connected>);

#[derive(Debug)]
enum Connected {
    /// Of the application's pool, with whatever role its hooks set.
    Pooled(PoolConnection<Postgres>),
    /// Made for this errand. The pool may be used up, and after an outage of the network it may hold
    /// nothing but dead connections, each of which it waits for.
    Own(PgConnection),
}

impl Beside {
    /// From the pool; where that gives none soon, one of its own.
    ///
    /// # Cancel safety
    ///
    /// Cancelled, it leaves no connection.
    pub(crate) async fn acquire(
        pool: &PgPool,
        errand: &'static str,
    ) -> Result<Self, ListenerError> {
        let is_full = pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections();
        let patience = if is_full {
            PATIENCE_WITH_A_FULL_POOL
        } else {
            PATIENCE
        };
        if let Ok(Ok(connection)) = timeout(patience, pool.acquire()).await {
            return Ok(Self(Some(Connected::Pooled(connection))));
        }
        PgConnection::connect_with(&pool.connect_options())
            .await
            .map(|connection| Self(Some(Connected::Own(connection))))
            .map_err(ListenerError::database(errand))
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        match self.0.as_mut().expect("it is there until it is done") {
            Connected::Pooled(connection) => connection,
            Connected::Own(connection) => connection,
        }
    }

    /// Gives it back.
    pub(crate) async fn done(mut self) {
        if let Some(Connected::Own(connection)) = self.0.take() {
            drop(connection.close().await);
        }
    }
}

impl Drop for Beside {
    /// The errand was given up, perhaps because the connection is dead. The pool would ask it first, and
    /// keep its place for as long as TCP waits.
    fn drop(&mut self) {
        if let Some(Connected::Pooled(connection)) = &mut self.0 {
            connection.close_on_drop();
        }
    }
}
