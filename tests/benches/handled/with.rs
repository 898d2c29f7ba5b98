//! What handles messages.

use std::time::Instant;

use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyClient};
use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_listener::PgmqNotifyListener;
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgListener, PgPoolOptions},
};

use crate::support::{Failure, QUEUE, Queue, Receiver, Report};

/// What it handles with.
#[derive(Debug, Clone)]
pub(crate) enum With {
    /// The event, and no message.
    Listener(PgmqNotifyConfig),
    /// A bare `PgListener`, and `pgmq.read` of one message for each notification.
    Read { flush: bool },
    /// The crate's own consumer.
    Consumer(PgmqNotifyConfig),
}

impl With {
    /// Handles what is sent to the queue.
    pub(crate) async fn start(&self, queue: &Queue) -> Result<Receiver, Failure> {
        let (url, channel) = (queue.database().url(), queue.channel().to_owned());
        let with = self.clone();
        Receiver::start(async move |report| match with {
            Self::Listener(config) => listener(&url, config, report).await,
            Self::Read { flush } => read(&url, &channel, flush, report).await,
            Self::Consumer(config) => consumer(&url, config, report).await,
        })
        .await
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
    while listener.next_event().await?.is_some() {
        arrived.send(Instant::now()).await?;
    }
    Err("the listener has disconnected".into())
}

async fn read(
    url: &str,
    channel: &str,
    flush: bool,
    Report { listens, arrived }: Report,
) -> Result<(), Failure> {
    let mut listener = PgListener::connect(url).await?;
    let mut connection = PgConnection::connect(url).await?;
    if !flush {
        connection.execute("set synchronous_commit = off").await?;
    }
    listener.listen(channel).await?;
    let _ = listens.send(());
    loop {
        listener.recv().await?;
        let (id, body): (i64, sqlx::types::Json<serde_json::Value>) =
            sqlx::query_as("select msg_id, message from pgmq.read($1, 30, 1)")
                .bind(QUEUE)
                .fetch_one(&mut connection)
                .await?;
        arrived.send(Instant::now()).await?;
        drop(body);
        sqlx::query("select pgmq.delete($1, $2::bigint)")
            .bind(QUEUE)
            .bind(id)
            .execute(&mut connection)
            .await?;
    }
}

async fn consumer(
    url: &str,
    config: PgmqNotifyConfig,
    Report { listens, arrived }: Report,
) -> Result<(), Failure> {
    let pool: PgPool = PgPoolOptions::new().max_connections(1).connect_lazy(url)?;
    let client = PgmqNotifyClient::with_pool(pool, config)?;
    let handler = move |message: Message<serde_json::Value>, _: Claim| {
        let at = Instant::now();
        let arrived = arrived.clone();
        async move {
            arrived.send(at).await?;
            drop(message.body);
            Ok::<(), HandlerError>(())
        }
    };
    let _consumer = Consumer::builder(client)
        .queue(QUEUE, handler)
        .start()
        .await?;
    let _ = listens.send(());
    std::future::pending().await
}
