//! Messages that come when they are due.

use std::{
    iter,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::support::{Failure, Queue};

const SEND: &str = "select pgmq.send('orders_queue', jsonb_build_object('number', $1::bigint, 'padding', repeat('x', 80)))";

/// When each message is due, from the beginning of the stream on; at least one.
pub(crate) fn draw(rate: u32, length: Duration, seed: u64) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut at = 0.0;
    let dues = iter::repeat_with(|| {
        at += -(1.0 - random.f64()).ln() / f64::from(rate);
        Duration::from_secs_f64(at)
    });
    let mut dues: Vec<Duration> = dues.take_while(|due| *due < length).collect();
    if dues.is_empty() {
        dues.push(length);
    }
    dues
}

/// Seconds of each message.
#[derive(Debug, Default)]
pub(crate) struct Times {
    /// From when it was due until it was in its handler.
    pub(crate) due: Vec<f64>,
    /// From when its sender knew that it was committed; negative when the handler had it before.
    pub(crate) committed: Vec<f64>,
    /// From when it was due until its sender knew that it was committed.
    pub(crate) sent: Vec<f64>,
}

impl Times {
    pub(crate) fn message(&mut self, sent: &Sent, handled: Instant) {
        let since = |from: Instant| match handled.checked_duration_since(from) {
            Some(after) => after.as_secs_f64(),
            None => -from.duration_since(handled).as_secs_f64(),
        };
        self.due.push(since(sent.due));
        self.committed.push(since(sent.committed));
        self.sent.push((sent.committed - sent.due).as_secs_f64());
    }

    pub(crate) fn add(&mut self, mut other: Self) {
        self.due.append(&mut other.due);
        self.committed.append(&mut other.committed);
        self.sent.append(&mut other.sent);
    }
}

/// One message, seen by its sender.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    pub(crate) number: usize,
    pub(crate) due: Instant,
    pub(crate) committed: Instant,
}

#[derive(Debug)]
struct Stream {
    dues: Vec<Duration>,
    sent: mpsc::UnboundedSender<Sent>,
}

/// Connections that send what is due, on a thread of their own.
#[derive(Debug)]
pub(crate) struct Senders {
    streams: mpsc::Sender<Stream>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Senders {
    pub(crate) fn connect(queue: &Queue, count: usize) -> Result<Self, Failure> {
        let options = queue.options();
        let (streams, mut next) = mpsc::channel::<Stream>(1);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = thread::spawn(move || {
            runtime.block_on(async move {
                let mut connections = Vec::new();
                for _ in 0..count {
                    let mut connection = PgConnection::connect_with(&options).await?;
                    // PostgreSQL settles on its plans.
                    for _ in 0..10 {
                        sqlx::query("begin").execute(&mut connection).await?;
                        sqlx::query(SEND)
                            .bind(0_i64)
                            .execute(&mut connection)
                            .await?;
                        sqlx::query("rollback").execute(&mut connection).await?;
                    }
                    connections.push(connection);
                }
                while let Some(stream) = next.recv().await {
                    connections = send(connections, stream).await?;
                }
                Ok(())
            })
        });
        Ok(Self { streams, thread })
    }

    /// Begins to send; what was sent is received in the order of the commits.
    pub(crate) async fn begin(
        &self,
        dues: Vec<Duration>,
    ) -> Result<mpsc::UnboundedReceiver<Sent>, Failure> {
        // It holds as much as the stream is long.
        let (sent, received) = mpsc::unbounded_channel();
        let begun = self.streams.send(Stream { dues, sent }).await;
        begun.map_err(|_| "the senders have ended")?;
        Ok(received)
    }

    /// # Errors
    /// What went wrong in their thread.
    pub(crate) fn stop(self) -> Result<(), Failure> {
        drop(self.streams);
        self.thread
            .join()
            .unwrap_or_else(|_| Err("the senders panicked".into()))
    }
}

/// A thread that sleeps tells what is due, because a runtime's timers are of whole milliseconds.
async fn send(
    connections: Vec<PgConnection>,
    Stream { dues, sent }: Stream,
) -> Result<Vec<PgConnection>, Failure> {
    // It never waits for the senders.
    let (due, awaited) = mpsc::channel(dues.len());
    let awaited = Arc::new(Mutex::new(awaited));
    let start = Instant::now();
    let clock = thread::spawn(move || {
        for (number, after) in dues.into_iter().enumerate() {
            let at = start + after;
            if let Some(pause) = at.checked_duration_since(Instant::now()) {
                thread::sleep(pause);
            }
            if due.blocking_send((number, at)).is_err() {
                break;
            }
        }
    });
    let mut tasks = JoinSet::new();
    for mut connection in connections {
        let (awaited, sent) = (Arc::clone(&awaited), sent.clone());
        tasks.spawn(async move {
            loop {
                let next = awaited.lock().await.recv().await;
                let Some((number, due)) = next else {
                    return Ok::<_, Failure>(connection);
                };
                sqlx::query(SEND)
                    .bind(i64::try_from(number)?)
                    .execute(&mut connection)
                    .await?;
                let committed = Instant::now();
                // Who receives it may have given up, and says so itself.
                let _ = sent.send(Sent {
                    number,
                    due,
                    committed,
                });
            }
        });
    }
    let mut connections = Vec::new();
    while let Some(connection) = tasks.join_next().await {
        connections.push(connection??);
    }
    clock.join().map_err(|_| "the clock panicked")?;
    Ok(connections)
}
