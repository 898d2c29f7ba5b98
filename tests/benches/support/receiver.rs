//! Who receives what was sent, in a thread of its own.

use std::{
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::{mpsc, oneshot};

use super::Failure;

const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// Where a receiver says that it listens, and when something arrives.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) listens: oneshot::Sender<()>,
    pub(crate) arrived: mpsc::Sender<Instant>,
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
    pub(crate) async fn start<R>(
        receive: impl FnOnce(Report) -> R + Send + 'static,
    ) -> Result<Self, Failure>
    where
        R: Future<Output = Result<(), Failure>>,
    {
        // One message is on its way at a time: a second arrival is one too many, and `arrival` says so.
        let (arrived, arrivals) = mpsc::channel(2);
        let (stop, stopped) = oneshot::channel();
        let (listens, listening) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                tokio::select! {
                    ended = receive(Report { listens, arrived }) => ended,
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

    /// When the message that was just sent was received.
    ///
    /// # Errors
    /// None was within 10 seconds, or more than one.
    pub(crate) async fn arrival(&mut self) -> Result<Instant, Failure> {
        let arrival = match tokio::time::timeout(ARRIVES_WITHIN, self.arrivals.recv()).await {
            Ok(Some(arrival)) => arrival,
            Ok(None) => return Err("the receiver has ended".into()),
            Err(_) => return Err(format!("nothing within {ARRIVES_WITHIN:?}").into()),
        };
        match self.arrivals.try_recv() {
            Err(mpsc::error::TryRecvError::Empty) => Ok(arrival),
            _ => Err("one message arrived twice".into()),
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
