//! An application that does nothing with its events, in a thread and a runtime of its own.

use std::{
    hint::black_box,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::{CatchUp, PgmqNotifyListener};
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
};

use crate::support::{Failure, Queue};

const ARRIVE_WITHIN: Duration = Duration::from_mins(1);

/// What the documentation's examples have.
const BUFFER: usize = 1_000;

/// What it receives with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum With {
    /// A bare `PgListener`, without a look at what arrives.
    Loop,
    /// The same, and each notification is decoded into an event there and then.
    DecodingLoop,
    /// The crate's own listener.
    Listener,
}

/// Of its runtime.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Threads {
    One,
    PerProcessor,
}

/// When the first and the last event of a burst were in the application's hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrivals {
    pub(crate) first: Instant,
    pub(crate) last: Instant,
    /// How many there were: what a full buffer drops never arrives.
    pub(crate) events: u32,
}

#[derive(Debug)]
pub(crate) struct Receiver {
    arrivals: mpsc::Receiver<Arrivals>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<u64, Failure>>,
}

impl Receiver {
    /// Returns once it listens.
    pub(crate) async fn start(
        queue: &Queue,
        with: With,
        threads: Threads,
        bursts: [u32; 2],
    ) -> Result<Self, Failure> {
        let (arrived, arrivals) = mpsc::channel(bursts.len());
        let (listens, listening) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (url, channel) = (queue.database().url(), queue.channel().to_owned());
        // By its name a profiler tells them apart.
        let named = thread::Builder::new().name(format!("{with:?}"));
        let thread = named.spawn(move || {
            let receiving = async move {
                let mut source = Source::new(with, &url, &channel).await?;
                let _ = listens.send(());
                for events in bursts {
                    arrived.send(source.burst(events).await?).await?;
                }
                // So long its threads are there, and with them the time that they have used.
                let _ = stopped.await;
                Ok(source.dropped())
            };
            let runtime = runtime(threads)?;
            match threads {
                Threads::One => runtime.block_on(receiving),
                // Where `main` runs is no worker; what an application spawns is on one.
                Threads::PerProcessor => runtime.block_on(runtime.spawn(receiving))?,
            }
        })?;
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

    /// When the events of the next burst arrived.
    pub(crate) async fn arrivals(&mut self) -> Result<Arrivals, Failure> {
        match tokio::time::timeout(ARRIVE_WITHIN, self.arrivals.recv()).await {
            Ok(Some(arrivals)) => Ok(arrivals),
            Ok(None) => Err("the receiver has ended".into()),
            Err(_) => Err(format!("not all events within {ARRIVE_WITHIN:?}").into()),
        }
    }

    /// Ends it, and returns how many events a full buffer did not take.
    ///
    /// # Errors
    /// What went wrong in its thread.
    pub(crate) fn stop(self) -> Result<u64, Failure> {
        // It may have ended by itself; then there is an error to report.
        let _ = self.stop.send(());
        self.thread
            .join()
            .unwrap_or_else(|_| Err("the receiver panicked".into()))
    }
}

fn runtime(threads: Threads) -> Result<Runtime, Failure> {
    let mut builder = match threads {
        Threads::One => Builder::new_current_thread(),
        Threads::PerProcessor => Builder::new_multi_thread(),
    };
    Ok(builder.enable_all().build()?)
}

enum Next {
    Event,
    /// Some were dropped.
    Gap,
}

#[expect(clippy::large_enum_variant, reason = "there is one, for a whole run")]
enum Source {
    Loop(PgListener),
    DecodingLoop(PgListener),
    Listener(PgmqNotifyListener),
}

impl Source {
    async fn new(with: With, url: &str, channel: &str) -> Result<Self, Failure> {
        if let With::Listener = with {
            let pool = PgPoolOptions::new().max_connections(1).connect_lazy(url)?;
            let config = PgmqNotifyConfig::new();
            let listener = PgmqNotifyListener::new(pool, config, BUFFER).await?;
            // The messages of these events are not in the queue.
            let mut listener = listener.with_catch_up(CatchUp::Never);
            listener.connect().await?;
            listener
                .listen_message_ready_for_namespace("orders")
                .await?;
            return Ok(Self::Listener(listener));
        }
        let mut listener = PgListener::connect(url).await?;
        listener.listen(channel).await?;
        Ok(match with {
            With::DecodingLoop => Self::DecodingLoop(listener),
            _ => Self::Loop(listener),
        })
    }

    async fn burst(&mut self, events: u32) -> Result<Arrivals, Failure> {
        let before = self.dropped();
        let (mut arrived, mut dropped) = (0_u32, 0);
        let mut first = None;
        while u64::from(arrived) + dropped < u64::from(events) {
            match self.next().await? {
                Next::Event => arrived += 1,
                // All that was dropped is known by then.
                Next::Gap => dropped = self.dropped() - before,
            }
            first.get_or_insert_with(Instant::now);
        }
        let last = Instant::now();
        let first = first.ok_or("a burst of nothing")?;
        Ok(Arrivals {
            first,
            last,
            events: arrived,
        })
    }

    async fn next(&mut self) -> Result<Next, Failure> {
        match self {
            Self::Loop(listener) => drop(black_box(listener.recv().await?)),
            Self::DecodingLoop(listener) => {
                let notification = listener.recv().await?;
                let event = PgmqNotifyEvent::from_json(notification.payload())?;
                drop(black_box(event));
            }
            Self::Listener(listener) => {
                let event = listener.next_event().await?.ok_or("disconnected")?;
                if let PgmqNotifyEvent::Resumed(_) = black_box(event) {
                    return Ok(Next::Gap);
                }
            }
        }
        Ok(Next::Event)
    }

    fn dropped(&self) -> u64 {
        match self {
            Self::Listener(listener) => listener.stats().overflowed_events,
            _ => 0,
        }
    }
}
