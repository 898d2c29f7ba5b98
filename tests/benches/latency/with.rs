//! What waits for events.

use std::time::Instant;

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::PgmqNotifyListener;
use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};

use crate::support::{Failure, Queue, Receiver, Report};

/// What it receives with.
#[derive(Debug, Clone)]
pub(crate) enum With {
    /// A loop over a bare `PgListener`, which looks at nothing.
    Loop,
    /// The crate's own listener, which decodes the events.
    Listener(PgmqNotifyConfig),
}

impl With {
    /// Receives what is sent to the queue.
    pub(crate) async fn start(&self, queue: &Queue) -> Result<Receiver, Failure> {
        let (url, channel) = (queue.database().url(), queue.channel().to_owned());
        let with = self.clone();
        Receiver::start(async move |report| match with {
            Self::Loop => bare_loop(&url, &channel, report).await,
            Self::Listener(config) => listener(&url, config, report).await,
        })
        .await
    }
}

async fn bare_loop(
    url: &str,
    channel: &str,
    Report { listens, arrived }: Report,
) -> Result<(), Failure> {
    let mut listener = PgListener::connect(url).await?;
    listener.listen(channel).await?;
    let _ = listens.send(());
    loop {
        listener.recv().await?;
        arrived.send(Instant::now()).await?;
    }
}

async fn listener(
    url: &str,
    config: PgmqNotifyConfig,
    Report { listens, arrived }: Report,
) -> Result<(), Failure> {
    let pool: PgPool = PgPoolOptions::new().max_connections(1).connect_lazy(url)?;
    let mut listener = PgmqNotifyListener::new(pool, config, 1000).await?;
    listener.connect().await?;
    listener
        .listen_message_ready_for_namespace("orders")
        .await?;
    let _ = listens.send(());
    while let Some(event) = listener.next_event().await? {
        let at = Instant::now();
        match event {
            PgmqNotifyEvent::MessageWithPayload(_) => arrived.send(at).await?,
            other => return Err(format!("not the event of a small message: {other:?}").into()),
        }
    }
    Err("the listener has disconnected".into())
}
