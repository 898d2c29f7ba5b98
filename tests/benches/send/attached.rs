//! Who handles what is sent while it is sent, as a process of its own would: on a thread and a runtime of its own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyClient};
use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::{
    Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    types::Json,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::support::{Failure, QUEUE, Queue};

/// How long [`Attached::Looks`] waits when it has found nothing: the pace of a consumer that attends.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// When [`Attached::IsTold`] looks though it was not told, as `pgmq.read_with_poll` does by default.
const UNTOLD: Duration = Duration::from_millis(100);

/// Who handles.
#[derive(Debug, Clone)]
pub(crate) enum Attached {
    /// A bare loop, which looks again in a moment when it finds nothing.
    Looks,
    /// A bare loop, which waits for a notification when it finds nothing.
    IsTold,
    /// The crate's own consumer.
    Consumer(PgmqNotifyConfig),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Resume,
    Pause,
}

/// A consumer that handles, or rests until the next turn.
#[derive(Debug)]
pub(crate) struct Handling {
    handled: Arc<AtomicU64>,
    commands: mpsc::Sender<(Command, oneshot::Sender<()>)>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Handling {
    /// Returns once it is connected; it rests.
    pub(crate) async fn start(attached: &Attached, queue: &Queue) -> Result<Self, Failure> {
        let handled = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&handled);
        let attached = attached.clone();
        let (options, channel) = (queue.options(), queue.channel().to_owned());
        let (commands, received) = mpsc::channel(1);
        let thread = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(async {
                    match attached {
                        Attached::Looks => bare_loop(options, None, counted, received).await,
                        Attached::IsTold => {
                            bare_loop(options, Some(channel), counted, received).await
                        }
                        Attached::Consumer(config) => {
                            consumer(options, config, counted, received).await
                        }
                    }
                })
        });
        let handling = Self {
            handled,
            commands,
            thread,
        };
        handling.command(Command::Pause).await?;
        Ok(handling)
    }

    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    pub(crate) async fn resume(&self) -> Result<(), Failure> {
        self.command(Command::Resume).await
    }

    pub(crate) async fn pause(&self) -> Result<(), Failure> {
        self.command(Command::Pause).await
    }

    async fn command(&self, command: Command) -> Result<(), Failure> {
        let (done, awaited) = oneshot::channel();
        let sent = self.commands.send((command, done)).await;
        sent.map_err(|_| "who handles has ended")?;
        awaited.await.map_err(|_| "who handles has ended")?;
        Ok(())
    }

    /// Ends it.
    ///
    /// # Errors
    /// What went wrong in its thread.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        drop(self.commands);
        self.thread
            .join()
            .unwrap_or_else(|_| Err("who handles panicked".into()))
    }
}

type Commands = mpsc::Receiver<(Command, oneshot::Sender<()>)>;

async fn consumer(
    options: PgConnectOptions,
    config: PgmqNotifyConfig,
    handled: Arc<AtomicU64>,
    mut commands: Commands,
) -> Result<(), Failure> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options);
    let client = PgmqNotifyClient::with_pool(pool, config)?;
    let handle = move |message: Message<serde_json::Value>, _: Claim| {
        let handled = Arc::clone(&handled);
        async move {
            drop(message.body);
            handled.fetch_add(1, Ordering::Relaxed);
            Ok::<(), HandlerError>(())
        }
    };
    let consumer = Consumer::builder(client)
        .queue(QUEUE, handle)
        .start()
        .await?;
    while let Some((command, done)) = commands.recv().await {
        match command {
            Command::Resume => consumer.resume(QUEUE).await?,
            Command::Pause => consumer.pause(QUEUE).await?,
        }
        let _ = done.send(());
    }
    consumer.shutdown().await;
    Ok(())
}

/// Reads up to 100 messages, which waits for no flush, and deletes them, which does: what the consumer does.
async fn bare_loop(
    options: PgConnectOptions,
    channel: Option<String>,
    handled: Arc<AtomicU64>,
    mut commands: Commands,
) -> Result<(), Failure> {
    let mut reading = PgConnection::connect_with(&options).await?;
    reading.execute("set synchronous_commit = off").await?;
    let mut deleting = PgConnection::connect_with(&options).await?;
    let mut listener = match channel {
        None => None,
        Some(channel) => {
            let pool = PgPoolOptions::new()
                .max_connections(1)
                .connect_lazy_with(options);
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(&channel).await?;
            Some(listener)
        }
    };
    let (run, mut running) = watch::channel(false);
    let handling = async {
        loop {
            running.wait_for(|run| *run).await?;
            while look(&mut reading, &mut deleting, &handled).await? {}
            match &mut listener {
                None => tokio::time::sleep(BETWEEN_LOOKS).await,
                Some(listener) => {
                    if let Ok(told) = tokio::time::timeout(UNTOLD, listener.recv()).await {
                        told?;
                        // The look that follows is an answer to all of them.
                        while listener.next_buffered().is_some() {}
                    }
                }
            }
        }
    };
    let obeying = async {
        while let Some((command, done)) = commands.recv().await {
            run.send_replace(command == Command::Resume);
            let _ = done.send(());
        }
    };
    tokio::select! {
        ended = handling => ended,
        () = obeying => Ok(()),
    }
}

/// Whether there was something.
async fn look(
    reading: &mut PgConnection,
    deleting: &mut PgConnection,
    handled: &AtomicU64,
) -> Result<bool, Failure> {
    let messages: Vec<(i64, Json<serde_json::Value>)> =
        sqlx::query_as("select msg_id, message from pgmq.read($1, 30, 100)")
            .bind(QUEUE)
            .fetch_all(reading)
            .await?;
    if messages.is_empty() {
        return Ok(false);
    }
    let count = u64::try_from(messages.len())?;
    let ids: Vec<i64> = messages.into_iter().map(|(id, _)| id).collect();
    sqlx::query("select pgmq.delete($1, $2::bigint[])")
        .bind(QUEUE)
        .bind(ids)
        .execute(deleting)
        .await?;
    handled.fetch_add(count, Ordering::Relaxed);
    Ok(true)
}
