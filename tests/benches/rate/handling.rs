//! Who handles a stream: on a thread and a runtime of its own, as another process would.

use std::{
    thread,
    time::{Duration, Instant},
};

use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyClient};
use pgmq_notify_core::PgmqNotifyConfig;
use serde::Deserialize;
use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
    types::Json,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    stream::{Senders, Times},
    support::{Failure, QUEUE, Queue},
};

/// The last message of a stream is handled within so long.
const PATIENCE: Duration = Duration::from_mins(1);

/// Messages of a claim.
const CLAIM: i32 = 100;

/// When [`Handles::Told`] looks though it was not told, as `pgmq.read_with_poll` does by default.
const UNTOLD: Duration = Duration::from_millis(100);

/// Before the stream begins, so that whoever handles has nothing left to do but wait.
const SETTLED: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub(crate) enum Handles {
    /// The crate's own consumer.
    Consumer(PgmqNotifyConfig),
    /// A bare loop: `pgmq.read` when it is told, and once again when it found something.
    Told,
    /// A bare loop around `pgmq.read_with_poll`, with the function's defaults.
    Polls,
}

#[derive(Debug, Deserialize)]
struct Body {
    number: usize,
}

type Handled = mpsc::UnboundedSender<(usize, Instant)>;

impl Handles {
    /// Handles one stream to its end.
    pub(crate) async fn handle(
        &self,
        queue: &Queue,
        senders: &Senders,
        dues: Vec<Duration>,
    ) -> Result<Times, Failure> {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let (ready, readiness) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let (way, options, channel) = (self.clone(), queue.options(), queue.channel().to_owned());
        let thread = thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(async {
                    tokio::select! {
                        ended = way.run(options, channel, arrived, ready) => ended,
                        _ = stopped => Ok(()),
                    }
                })
        });
        let times = async {
            readiness.await.map_err(|_| "who handles has ended")?;
            tokio::time::sleep(SETTLED).await;
            let count = dues.len();
            let mut sent = senders.begin(dues).await?;
            let (mut was_sent, mut was_handled) = (vec![None; count], vec![None; count]);
            for _ in 0..count {
                let message = sent.recv().await.ok_or("the senders have ended")?;
                was_sent[message.number] = Some(message);
            }
            for _ in 0..count {
                let next = tokio::time::timeout(PATIENCE, arrivals.recv()).await;
                let (number, at) = next
                    .map_err(|_| "a message was not handled in a minute")?
                    .ok_or("who handles has ended")?;
                if was_handled[number].replace(at).is_some() {
                    return Err(Failure::from("a message was handled twice"));
                }
            }
            let mut times = Times::default();
            for (sent, handled) in was_sent.iter().zip(was_handled) {
                let both = sent.as_ref().zip(handled);
                let (sent, handled) = both.ok_or("a message was sent twice")?;
                times.message(sent, handled);
            }
            Ok(times)
        }
        .await;
        // It may have ended by itself; then there is an error to report.
        let _ = stop.send(());
        thread
            .join()
            .unwrap_or_else(|_| Err("who handles panicked".into()))?;
        times
    }

    async fn run(
        self,
        options: PgConnectOptions,
        channel: String,
        handled: Handled,
        ready: oneshot::Sender<()>,
    ) -> Result<(), Failure> {
        match self {
            Self::Consumer(config) => consumer(options, config, handled, ready).await,
            Self::Told => told(options, &channel, handled, ready).await,
            Self::Polls => polls(options, handled, ready).await,
        }
    }
}

async fn consumer(
    options: PgConnectOptions,
    config: PgmqNotifyConfig,
    handled: Handled,
    ready: oneshot::Sender<()>,
) -> Result<(), Failure> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options);
    let client = PgmqNotifyClient::with_pool(pool, config)?;
    let handle = move |message: Message<Body>, _: Claim| {
        let said = handled.send((message.body.number, Instant::now()));
        async move { said.map_err(HandlerError::from) }
    };
    let _consumer = Consumer::builder(client)
        .queue(QUEUE, handle)
        .start()
        .await?;
    let _ = ready.send(());
    std::future::pending().await
}

async fn told(
    options: PgConnectOptions,
    channel: &str,
    handled: Handled,
    ready: oneshot::Sender<()>,
) -> Result<(), Failure> {
    let mut connection = PgConnection::connect_with(&options).await?;
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(channel).await?;
    let _ = ready.send(());
    loop {
        while look(&mut connection, "pgmq.read($1, 30, $2)", &handled).await? {}
        if let Ok(told) = tokio::time::timeout(UNTOLD, listener.recv()).await {
            told?;
            // The look that follows is an answer to all of them.
            while listener.next_buffered().is_some() {}
        }
    }
}

async fn polls(
    options: PgConnectOptions,
    handled: Handled,
    ready: oneshot::Sender<()>,
) -> Result<(), Failure> {
    let mut connection = PgConnection::connect_with(&options).await?;
    let _ = ready.send(());
    loop {
        look(&mut connection, "pgmq.read_with_poll($1, 30, $2)", &handled).await?;
    }
}

/// Whether there was something.
async fn look(
    connection: &mut PgConnection,
    function: &'static str,
    handled: &Handled,
) -> Result<bool, Failure> {
    let select = sqlx::AssertSqlSafe(format!("select msg_id, message from {function}"));
    let messages: Vec<(i64, Json<Body>)> = sqlx::query_as(select)
        .bind(QUEUE)
        .bind(CLAIM)
        .fetch_all(&mut *connection)
        .await?;
    let at = Instant::now();
    if messages.is_empty() {
        return Ok(false);
    }
    let mut ids = Vec::new();
    for (id, body) in messages {
        handled.send((body.number, at))?;
        ids.push(id);
    }
    sqlx::query("select pgmq.delete($1, $2::bigint[])")
        .bind(QUEUE)
        .bind(ids)
        .execute(connection)
        .await?;
    Ok(true)
}
