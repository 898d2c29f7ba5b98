use pgmq_notify_core::ChannelName;
use sqlx::PgPool;

use crate::ListenerError;

/// A channel that only one listener listens to.
///
/// The reading task waits in `try_recv`, which must not be cancelled: a session that is re-made
/// inside of it would lose the news of the gap. A notification on this channel is what makes it
/// return, so that the task can look at what has changed.
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
        sqlx::query("select pg_catalog.pg_notify($1, '')")
            .bind(self.0.as_str())
            .execute(pool)
            .await
            .map(drop)
            .map_err(ListenerError::database(
                "tell the reading task of a change of subscriptions",
            ))
    }
}
