//! One look at the numbers of all queues, and when it was.

use std::time::{Duration, Instant};

use pgmq_notify_client::{ClientError, Depth, Figures, PgmqNotifyClient, QueueFigures};

/// What was seen, and when.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) at: Instant,
    pub(super) database: String,
    pub(super) server_version: String,
    /// How far the clock of the server is ahead of this one, in seconds.
    pub(super) clock_ahead: f64,
    /// How much of the server's notification queue is in use, 0 to 1.
    pub(super) notification_queue: f64,
    /// Connections of consumers.
    pub(super) consumer_sessions: u64,
    pub(super) queues: Vec<QueueLook>,
}

/// The numbers of a queue.
#[derive(Clone, Debug, Default)]
pub(super) struct QueueLook {
    pub(super) name: String,
    /// What its tables say, if this role may read them.
    pub(super) counted: Option<Counted>,
    /// Consumers that wait for it, and whether one is at work; of work queues.
    pub(super) consumers: Option<(u64, bool)>,
}

/// What is known of the messages in a queue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Counted {
    pub(super) depth: Depth,
    pub(super) visible: Option<Depth>,
    /// Since the oldest visible message was sent.
    pub(super) oldest: Option<Duration>,
    /// Ids that were given out, if this role may read the sequence.
    pub(super) sent: Option<u64>,
    /// Messages that were deleted or archived, as the statistics have it: up to some seconds late.
    pub(super) deleted: u64,
}

impl Look {
    pub(super) async fn take(client: &PgmqNotifyClient) -> Result<Self, ClientError> {
        let Figures { server, queues, .. } = client.figures().await?;
        Ok(Self {
            at: Instant::now(),
            database: server.database,
            server_version: server.version,
            clock_ahead: server.clock_ahead,
            notification_queue: server.notification_queue_usage,
            consumer_sessions: server.sessions.consumers,
            queues: queues.into_iter().map(QueueLook::from).collect(),
        })
    }
}

impl From<QueueFigures> for QueueLook {
    fn from(figures: QueueFigures) -> Self {
        Self {
            name: figures.name,
            counted: figures.messages.map(|it| Counted {
                depth: it.depth,
                visible: it.visible,
                oldest: it.oldest_visible,
                sent: it.sent,
                deleted: it.deleted,
            }),
            consumers: figures.consumers.map(|it| (it.parked, it.is_attended)),
        }
    }
}
