//! Lines of data from a runtime that must not wait for who reads them.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::failure::Failure;
use crate::output::Output;

/// Lines that wait to be written. Whoever fills it waits, not the runtime: the listener's socket is read all the
/// time.
const WAITING: usize = 1024;

/// The most bytes of one write, so that a reader gets the first lines before the last ones are made.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

/// For a reader that is asleep when the command ends.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

/// A thread that writes to standard output, flushed whenever no line waits.
#[derive(Debug)]
pub(crate) struct Lines {
    sender: Sender<String>,
    thread: JoinHandle<Result<(), Failure>>,
}

impl Lines {
    pub(crate) fn start() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self {
            sender,
            thread: thread::spawn(move || write(receiver)),
        }
    }

    /// Writes a line, whose end is added; false when nobody reads any more.
    pub(crate) async fn write(&self, line: String) -> bool {
        self.sender.send(line).await.is_ok()
    }

    /// Returns when a line could not be written.
    pub(crate) async fn failed(&self) {
        self.sender.closed().await;
    }

    /// Writes what still waits, unless the reader sleeps.
    pub(crate) async fn finish(self) -> Result<(), Failure> {
        let Self { sender, thread } = self;
        drop(sender);
        let deadline = tokio::time::Instant::now() + WRITTEN_WITHIN;
        while !thread.is_finished() {
            if tokio::time::Instant::now() >= deadline {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        thread.join().unwrap_or(Ok(()))
    }
}

fn write(mut lines: Receiver<String>) -> Result<(), Failure> {
    let output = Output::from_environment();
    let mut bytes = String::new();
    while let Some(line) = lines.blocking_recv() {
        bytes.push_str(&line);
        bytes.push('\n');
        while bytes.len() < WRITTEN_AT_ONCE
            && let Ok(line) = lines.try_recv()
        {
            bytes.push_str(&line);
            bytes.push('\n');
        }
        if !output.data_while_read(&bytes)? {
            return Ok(());
        }
        bytes.clear();
    }
    Ok(())
}
