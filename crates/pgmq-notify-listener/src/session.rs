use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use pgmq_notify_core::ChannelName;
use sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions};
use sqlx::{Acquire, AssertSqlSafe, Connection, Executor, PgConnection, PgPool};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::opening::OPENED_WITHIN;
use crate::private_channel::PrivateChannel;
use crate::wanted::Wanted;
use crate::{ListenerError, ListenerErrorKind};

/// How long sqlx's pool may keep the reason of a failure to itself; see [`connect`].
const PATIENCE: Duration = Duration::from_millis(500);

/// How often the wait for a sign of life looks for notifications.
const LOOK_EVERY: Duration = Duration::from_millis(250);

const APPLICATION_NAME: &str = "pgmq-notify-listener";

/// One listening connection, from its `LISTEN` to its loss.
pub(crate) struct Session {
    listener: PgListener,
    pool: PgPool,
    channels: Arc<BTreeSet<ChannelName>>,
    version: u64,
}

impl Session {
    /// Connects, and listens to nothing yet.
    pub(crate) async fn connect(options: &PgConnectOptions) -> Result<Self, ListenerError> {
        let (listener, pool) = connect(options).await?;
        Ok(Self {
            listener,
            pool,
            channels: Arc::default(),
            version: 0,
        })
    }

    /// Listens to the private channel.
    pub(crate) async fn listen(&mut self, private: &PrivateChannel) -> Result<(), ListenerError> {
        self.execute(listen(private.name())).await
    }

    /// The pool of this one connection: closing it waits for the connection's end.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whether the application wants other channels than this session listens to.
    pub(crate) fn is_behind(&self, wanted: &Wanted) -> bool {
        wanted.version() != self.version
    }

    /// Listens to what is wanted now, and to nothing else.
    ///
    /// The server answers within `bound`, or the session is lost: a dead connection must not keep the
    /// reading task here.
    ///
    /// One transaction for all of it: PostgreSQL compares a notification with the channels of the
    /// moment in which it sends it, never in the middle of a transaction. So when the global channel
    /// takes the place of others, each event comes over the one or the other, and once.
    pub(crate) async fn follow(
        &mut self,
        wanted: &Wanted,
        bound: Duration,
    ) -> Result<(), ListenerError> {
        let (version, channels) = wanted.current();
        let added = channels.difference(&self.channels).map(listen);
        let removed = self.channels.difference(&channels).map(unlisten);
        let statements: String = added.chain(removed).collect();
        if !statements.is_empty() {
            timeout(bound, self.execute(statements))
                .await
                .unwrap_or_else(|_| Err(no_answer(bound)))?;
        }
        self.channels = channels;
        self.version = version;
        wanted.took_effect(version);
        Ok(())
    }

    /// The next notification. `None` and an error both end the session.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, because it never makes the session again: what sqlx has read of a message so far
    /// stays in its buffer, and a lost connection is told of in the same moment in which it is noticed.
    pub(crate) async fn receive(&mut self) -> Result<PgNotification, ListenerError> {
        match self.listener.try_recv().await {
            Ok(Some(notification)) => Ok(notification),
            Ok(None) => Err(ListenerError::new(
                ListenerErrorKind::ConnectionLost,
                "the server closed the listening connection",
            )),
            Err(error) => Err(ListenerError::database("receive a notification")(error)),
        }
    }

    /// Waits for a sign of life on this very connection, `bound` at most.
    ///
    /// Another connection might as well notify this one, but where that cannot be done (its pool is used
    /// up, the server takes no more connections) nothing would follow for this one.
    ///
    /// Returns a notification when one came before the answer, as it does on a slow connection with a
    /// backlog. While sqlx waits for an answer it stores notifications without a bound; so the wait is
    /// interrupted, often, to look for them. [`receive`](Self::receive) passes over an answer that
    /// comes later.
    pub(crate) async fn answers(
        &mut self,
        bound: Duration,
    ) -> Result<Option<PgNotification>, ListenerError> {
        let deadline = Instant::now() + bound;
        let mut asked = false;
        while Instant::now() < deadline {
            let look = deadline.min(Instant::now() + LOOK_EVERY);
            let answer = async {
                let connection = self.listener.acquire().await?;
                if asked {
                    // It has none; what matters is that it first waits for earlier answers, and that it
                    // asks for nothing itself: another question would be another round trip.
                    connection.clear_cached_statements().await
                } else {
                    asked = true;
                    connection.ping().await
                }
            };
            match timeout_at(look, answer).await {
                Ok(Ok(())) => return Ok(None),
                Ok(Err(error)) => {
                    return Err(ListenerError::database("ask for a sign of life")(error));
                }
                Err(_) => {
                    if let Some(notification) = self.listener.next_buffered() {
                        return Ok(Some(notification));
                    }
                }
            }
        }
        Err(no_answer(bound))
    }

    async fn execute(&mut self, statements: String) -> Result<(), ListenerError> {
        self.listener
            .execute(AssertSqlSafe(statements))
            .await
            .map(drop)
            .map_err(ListenerError::database("listen on the channels"))
    }
}

impl Drop for Session {
    /// sqlx gives the connection of a dropped `PgListener` back to its pool, in a task of its own:
    /// to a closed one, so that it closes the connection.
    fn drop(&mut self) {
        drop(self.pool.close());
    }
}

/// A connection of its own, in a pool of its own, because `PgListener` knows no other way.
///
/// Nothing of that pool ends it: the limits of age and idleness are off, and would only ever look at
/// a connection that is not in use. While the server refuses connections or starts up, the pool tries
/// again without a word until its time is up; so a connection made directly then asks for the reason.
async fn connect(options: &PgConnectOptions) -> Result<(PgListener, PgPool), ListenerError> {
    let name = application_name(options.get_application_name());
    let options = options.clone().application_name(&name);
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .min_connections(0)
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
        .acquire_timeout(OPENED_WITHIN)
        .connect_lazy_with(options.clone());
    let listener = tokio::select! {
        listener = PgListener::connect_with(&pool) => listener,
        reason = reason(&options) => Err(reason),
    };
    let mut listener = listener.map_err(ListenerError::database("connect the listener"))?;
    listener.eager_reconnect(false);
    listener.ignore_pool_close_event(true);
    Ok((listener, pool))
}

fn no_answer(bound: Duration) -> ListenerError {
    ListenerError::new(
        ListenerErrorKind::Timeout,
        format!("hear from the server on the listening connection within {bound:?}"),
    )
}

/// Why there is no connection, if there is none before long. A server that is slow is given its time.
async fn reason(options: &PgConnectOptions) -> sqlx::Error {
    sleep(PATIENCE).await;
    match PgConnection::connect_with(options).await {
        Ok(connection) => {
            // It has answered, and that is all it was for.
            drop(connection.close().await);
            pending().await
        }
        Err(error) => error,
    }
}

/// Says who it is, and of whom. PostgreSQL keeps the first 63 bytes.
fn application_name(own: Option<&str>) -> String {
    match own {
        Some(own) if !own.is_empty() => format!("{APPLICATION_NAME} {own}"),
        _ => APPLICATION_NAME.to_owned(),
    }
}

fn listen(channel: &ChannelName) -> String {
    format!("listen {};", quoted(channel))
}

fn unlisten(channel: &ChannelName) -> String {
    format!("unlisten {};", quoted(channel))
}

fn quoted(channel: &ChannelName) -> String {
    format!("\"{}\"", channel.as_str().replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_one_identifier_whatever_it_is_called() {
        let channel = ChannelName::new("a\"; drop table x; --\n").unwrap();
        assert_eq!(listen(&channel), "listen \"a\"\"; drop table x; --\n\";");
        assert_eq!(
            unlisten(&channel),
            "unlisten \"a\"\"; drop table x; --\n\";"
        );
    }

    #[test]
    fn the_application_keeps_its_own_name_behind_that_of_the_listener() {
        for (own, expected) in [
            (None, "pgmq-notify-listener"),
            (Some(""), "pgmq-notify-listener"),
            (Some("billing"), "pgmq-notify-listener billing"),
        ] {
            assert_eq!(application_name(own), expected);
        }
    }
}
