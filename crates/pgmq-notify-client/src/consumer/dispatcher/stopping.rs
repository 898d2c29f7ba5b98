//! The end of a consumer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::{Dispatcher, Waiting};
use crate::consumer::connection::OwnConnection;
use crate::consumer::queue::QueueId;
use crate::consumer::settlement::End;

/// A handler that was told to end, and does not block its thread.
const ENDED_WITHIN: Duration = Duration::from_millis(100);

impl Dispatcher {
    /// Claims nothing more, gives back what has not begun, lets the handlers finish until `deadline`,
    /// and ends the others.
    pub(crate) async fn stop(mut self, deadline: Instant) -> usize {
        let leaving = self.leave_senders();
        let (aborted, _) = tokio::join!(self.stop_working(deadline), timeout_at(deadline, leaving));
        aborted
    }

    async fn stop_working(&mut self, deadline: Instant) -> usize {
        self.settled.close();
        let ahead: Vec<VecDeque<Waiting>> = self
            .queues
            .values_mut()
            .map(|it| std::mem::take(&mut it.ahead))
            .collect();
        for ahead in ahead {
            self.forgo(ahead);
        }
        let groups: Vec<(QueueId, i64)> = self.groups.keys().copied().collect();
        for (id, group) in groups {
            self.give_back_group(id, group);
        }
        // What is in the middle of being claimed is claimed.
        while let Ok(Some(looked)) = timeout_at(deadline, self.looking.next()).await {
            if let Ok(batch) = looked.result
                && let Some(consumed) = self.queues.get(&looked.id)
            {
                let queue = Arc::clone(&consumed.queue);
                self.engine
                    .counters
                    .claimed
                    .add(batch.messages.len() as u64);
                let now = Instant::now();
                for visible in batch.messages {
                    let (_, waiting) = self.waiting(&queue, visible, now);
                    let ends = looked.before + queue.visibility_timeout;
                    self.engine
                        .held
                        .insert([Arc::clone(&waiting.claimed)], ends);
                    self.settle(waiting.claimed, End::GiveBack);
                }
            }
            self.idle.push(looked.connection);
        }
        self.take_leave_and_finish(deadline).await;
        let aborted = self.abort().await;
        for claimed in self.engine.held.snapshot() {
            if claimed.is_running() {
                // Nobody can end a handler that blocks its thread. It keeps its message until the
                // visibility timeout ends.
                claimed.lost.cancel();
            } else if claimed.is_released() {
                self.engine.counters.released.add(1);
                self.engine.held.remove(claimed.key);
            } else if claimed.is_open() || claimed.is_finished() {
                // One that had finished is rolled back: its transaction has ended with it.
                claimed.lost.cancel();
                self.settle(claimed, End::Return);
            }
        }
        aborted
    }

    /// A server that does not answer must cost the handlers no time.
    pub(super) async fn take_leave_and_finish(&mut self, deadline: Instant) {
        let listener = self.listener.take();
        let connections = std::mem::take(&mut self.idle);
        let leave = async {
            let disconnect = async {
                if let Some(mut listener) = listener {
                    listener.disconnect().await;
                }
            };
            let close = join_all(connections.into_iter().map(OwnConnection::close));
            tokio::join!(disconnect, close);
        };
        let finish = async {
            while let Ok(Some(ended)) = timeout_at(deadline, self.handlers.join_next()).await {
                if let Ok(ended) = ended {
                    self.conclude(&ended.claimed, ended.outcome);
                }
            }
        };
        let _ = tokio::join!(timeout_at(deadline, leave), finish);
    }

    /// Ends the handlers that still run, and says how many they were.
    pub(super) async fn abort(&mut self) -> usize {
        self.handlers.abort_all();
        let until = Instant::now() + ENDED_WITHIN;
        let mut aborted = 0;
        while let Ok(Some(ended)) = timeout_at(until, self.handlers.join_next()).await {
            match ended {
                // In the last moment.
                Ok(ended) => {
                    self.conclude(&ended.claimed, ended.outcome);
                }
                Err(_) => aborted += 1,
            }
        }
        aborted + self.handlers.len()
    }
}
