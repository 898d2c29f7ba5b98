//! Who waits for events, in a thread of its own.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::PgmqNotifyListener;
use sqlx::{
    PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::sync::{mpsc, oneshot};

use crate::support::{Failure, Queue};

const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// What it receives with.
#[derive(Debug, Clone)]
pub(crate) enum With {
    /// A loop over a bare `PgListener`, which looks at nothing.
    Loop,
    /// The crate's own listener, which decodes the events.
    Listener(PgmqNotifyConfig),
}

/// A thread that notes when something arrives.
///
/// A thread of its own with a runtime of its own, as the receiver in another process would have: it is woken by the
/// socket, not by the sender.
#[derive(Debug)]
pub(crate) struct Receiver {
    arrivals: mpsc::Receiver<Instant>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Receiver {
    /// Returns once it listens.
    pub(crate) async fn start(queue: &Queue, with: &With) -> Result<Self, Failure> {
        // One message is on its way at a time: a second arrival is one too many, and `arrival` says so.
        let (arrived, arrivals) = mpsc::channel(2);
        let (stop, stopped) = oneshot::channel();
        let (listens, listening) = oneshot::channel();
        let (url, channel, with) = (
            queue.database().url(),
            queue.channel().to_owned(),
            with.clone(),
        );
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let receiving = async {
                    match with {
                        With::Loop => bare_loop(&url, &channel, listens, arrived).await,
                        With::Listener(config) => listener(&url, config, listens, arrived).await,
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

    /// When the event of the message that was just sent was received.
    ///
    /// # Errors
    /// None was within 10 seconds, or more than one.
    pub(crate) async fn arrival(&mut self) -> Result<Instant, Failure> {
        let arrival = match tokio::time::timeout(ARRIVES_WITHIN, self.arrivals.recv()).await {
            Ok(Some(arrival)) => arrival,
            Ok(None) => return Err("the receiver has ended".into()),
            Err(_) => return Err(format!("no event within {ARRIVES_WITHIN:?}").into()),
        };
        match self.arrivals.try_recv() {
            Err(mpsc::error::TryRecvError::Empty) => Ok(arrival),
            _ => Err("one message, but two events".into()),
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

async fn bare_loop(
    url: &str,
    channel: &str,
    listens: oneshot::Sender<()>,
    arrived: mpsc::Sender<Instant>,
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
    while let Some(event) = listener.next_event().await? {
        let at = Instant::now();
        match event {
            PgmqNotifyEvent::MessageWithPayload(_) => arrived.send(at).await?,
            other => return Err(format!("not the event of a small message: {other:?}").into()),
        }
    }
    Err("the listener has disconnected".into())
}
