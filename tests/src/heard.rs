//! What arrives on a channel, without any crate of the project between the test and PostgreSQL.

use std::time::Duration;

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use sqlx::postgres::{PgListener, PgNotification};

use crate::TestDatabase;

const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// A bare `LISTEN` of a test.
#[derive(Debug)]
pub struct Heard(PgListener);

impl Heard {
    /// Listens on channels.
    ///
    /// # Panics
    /// If the server does not let it.
    pub async fn on<'a>(
        database: &TestDatabase,
        channels: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut listener = PgListener::connect(&database.url())
            .await
            .unwrap_or_else(|error| panic!("connect a listener: {error:?}"));
        if let Err(error) = listener.listen_all(channels).await {
            panic!("listen: {error:?}");
        }
        Self(listener)
    }

    /// Listens to the messages of every namespace.
    ///
    /// # Panics
    /// If the configuration is invalid, or the server does not let it.
    pub async fn messages(database: &TestDatabase, config: &PgmqNotifyConfig) -> Self {
        let channels = config.channels().unwrap_or_else(|error| panic!("{error}"));
        Self::on(database, [channels.message_ready_global().as_str()]).await
    }

    /// The next notification.
    ///
    /// # Panics
    /// If none arrives within 10 seconds.
    pub async fn notification(&mut self) -> PgNotification {
        match tokio::time::timeout(ARRIVES_WITHIN, self.0.recv()).await {
            Ok(Ok(notification)) => notification,
            Ok(Err(error)) => panic!("the test's listener failed: {error:?}"),
            Err(tokio::time::error::Elapsed { .. }) => {
                panic!("no notification within {ARRIVES_WITHIN:?}")
            }
        }
    }

    /// The next event.
    ///
    /// # Panics
    /// If none arrives within 10 seconds, or it is no valid event.
    pub async fn event(&mut self) -> PgmqNotifyEvent {
        let notification = self.notification().await;
        PgmqNotifyEvent::from_json(notification.payload())
            .unwrap_or_else(|error| panic!("{error:?} in {}", notification.payload()))
    }
}
