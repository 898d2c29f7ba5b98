//! Who handles messages, in a thread of its own.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyClient};
use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_listener::PgmqNotifyListener;
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::sync::{mpsc, oneshot};

use crate::support::{Failure, QUEUE, Queue};

const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

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

/// A thread with a runtime of its own, as another process would have: it is woken by the socket, not by the sender.
#[derive(Debug)]
pub(crate) struct Receiver {
    arrivals: mpsc::Receiver<Instant>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Receiver {
    /// Returns once it listens.
    pub(crate) async fn start(queue: &Queue, with: &With) -> Result<Self, Failure> {
        let (arrived, arrivals) = mpsc::channel(2);
        let (stop, stopped) = oneshot::channel();
        let (listens, listening) = oneshot::channel();
        let (url, channel) = (queue.database().url(), queue.channel().to_owned());
        let with = with.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let receiving = async {
                    match with {
                        With::Listener(config) => listener(&url, config, listens, arrived).await,
                        With::Read { flush } => read(&url, &channel, flush, listens, arrived).await,
                        With::Consumer(config) => consumer(&url, config, listens, arrived).await,
                    }
                };
                tokio::select! {
                    ended = receiving => ended,
                    _ = stopped => Ok(()),
                }
            })
        });
        let receiver = Self {
            arrivals,
            stop,
            thread,
        };
        if listening.await.is_err() {
            receiver.stop()?;
            return Err("the receiver has ended".into());
        }
        Ok(receiver)
    }

    /// When the handler of the message that was just sent was entered.
    ///
    /// # Errors
    /// None was within 10 seconds, or more than one.
    pub(crate) async fn arrival(&mut self) -> Result<Instant, Failure> {
        let arrival = match tokio::time::timeout(ARRIVES_WITHIN, self.arrivals.recv()).await {
            Ok(Some(arrival)) => arrival,
            Ok(None) => return Err("the receiver has ended".into()),
            Err(_) => return Err(format!("no message within {ARRIVES_WITHIN:?}").into()),
        };
        match self.arrivals.try_recv() {
            Err(mpsc::error::TryRecvError::Empty) => Ok(arrival),
            _ => Err("one message was handled twice".into()),
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// What went wrong in its thread.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        // It may have ended by itself; then there is an error to report.
        let _ = self.stop.send(());
        self.thread
            .join()
            .unwrap_or_else(|_| Err("the receiver panicked".into()))
    }
}

async fn listener(
    url: &str,
    config: PgmqNotifyConfig,
    listens: oneshot::Sender<()>,
    arrived: mpsc::Sender<Instant>,
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
    listens: oneshot::Sender<()>,
    arrived: mpsc::Sender<Instant>,
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
    listens: oneshot::Sender<()>,
    arrived: mpsc::Sender<Instant>,
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
