use pgmq_notify_core::ChannelName;
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres};

use crate::ListenerError;

/// A channel that only one listener listens to.
///
/// The reading task waits for notifications; one on this channel makes it look at what has changed.
/// It is also what shows, by its payload, that
/// anything is delivered at all.
#[derive(Debug)]
pub(crate) struct PrivateChannel(ChannelName);

impl PrivateChannel {
    /// The name is drawn, not counted: listeners of many processes share the database. Whoever
    /// guesses it can make the task look for changes, no more.
    pub(crate) fn new(chance: &mut fastrand::Rng) -> Result<Self, ListenerError> {
        let name = format!("pgmq_notify_listener.{:032x}", chance.u128(..));
        match ChannelName::new(name) {
            Ok(name) => Ok(Self(name)),
            Err(error) => Err(ListenerError::because(
                crate::ListenerErrorKind::Configuration,
                "name the private channel",
                error,
            )),
        }
    }

    pub(crate) fn name(&self) -> &ChannelName {
        &self.0
    }

    /// Makes the reading task return from its wait, by a connection of the application's pool.
    pub(crate) async fn knock(&self, pool: &PgPool) -> Result<(), ListenerError> {
        self.publish("", pool).await
    }

    /// `payload` is the listener's own, and needs no quoting: hexadecimal digits or nothing.
    ///
    /// A simple query, because a proxy may not know what a connection has prepared.
    pub(crate) async fn publish<'c>(
        &self,
        payload: &str,
        connection: impl Executor<'c, Database = Postgres>,
    ) -> Result<(), ListenerError> {
        debug_assert!(payload.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let sql = format!("select pg_catalog.pg_notify('{}', '{payload}')", self.0);
        connection
            .execute(AssertSqlSafe(sql))
            .await
            .map(drop)
            .map_err(ListenerError::database(
                "publish on the listener's own channel",
            ))
    }
}
