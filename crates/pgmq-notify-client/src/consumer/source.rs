use std::time::Duration;

use super::{ConsumerError, RetryPolicy};
use crate::client::queue_name;
use crate::seconds;

/// Which queues messages come from, and how they are treated.
///
/// Values that are out of their bounds are refused by [`start`](crate::ConsumerBuilder::start) and
/// [`drain`](crate::ConsumerBuilder::drain).
///
/// ```
/// use std::time::Duration;
///
/// use pgmq_notify_client::{Acknowledgement, RetryPolicy, Source};
///
/// let reports = Source::queue("reports_queue")
///     .with_visibility_timeout(Duration::from_secs(120))
///     .with_concurrency(2)
///     .with_acknowledgement(Acknowledgement::Archive)
///     .with_retry(RetryPolicy::new().with_max_attempts(3));
/// # drop(reports);
/// ```
#[derive(Clone, Debug)]
pub struct Source {
    pub(crate) queues: Queues,
    pub(crate) concurrency: Option<usize>,
    pub(crate) batch_size: usize,
    pub(crate) visibility_timeout: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) dead_letters: DeadLetters,
    pub(crate) acknowledgement: Acknowledgement,
    pub(crate) order: Order,
}

#[derive(Clone, Debug)]
pub(crate) enum Queues {
    Named(Vec<String>),
    Namespace(String),
}

#[derive(Clone, Debug)]
pub(crate) enum DeadLetters {
    Suffix(String),
    Queue(String),
}

impl DeadLetters {
    /// The dead-letter queue of `queue`.
    pub(crate) fn of(&self, queue: &str) -> String {
        match self {
            Self::Suffix(suffix) => format!("{queue}{suffix}"),
            Self::Queue(name) => name.clone(),
        }
    }

    /// Whether `queue` looks like a dead-letter queue itself: a namespace leaves those out.
    pub(crate) fn is_one(&self, queue: &str) -> bool {
        match self {
            Self::Suffix(suffix) => queue.ends_with(suffix.as_str()),
            Self::Queue(name) => queue == name,
        }
    }
}

/// What becomes of a message whose handler succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acknowledgement {
    /// It is deleted.
    #[default]
    Delete,
    /// It moves to the archive of its queue, as `pgmq.archive` does.
    Archive,
}

/// In what order messages are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Oldest first, but several at the same time, and one that failed is overtaken.
    #[default]
    Unordered,
    /// Messages with the same header `x-pgmq-group` one after the other, in the order of their ids,
    /// and different groups at the same time. Those without that header are one group. One that
    /// failed holds up its group until it succeeds or becomes a dead letter.
    FifoGroups,
}

impl Source {
    /// One queue, which has to exist. One that is dropped is consumed again once it is there again.
    pub fn queue(name: impl Into<String>) -> Self {
        Self::queues([name])
    }

    /// Several queues, with one handler; as [`queue`](Self::queue) otherwise.
    pub fn queues<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::new(Queues::Named(names.into_iter().map(Into::into).collect()))
    }

    /// All queues of a namespace, except for those whose name ends as dead-letter queues do. A queue
    /// that is created later joins, one that is dropped leaves. There may be none yet.
    pub fn namespace(namespace: impl Into<String>) -> Self {
        Self::new(Queues::Namespace(namespace.into()))
    }

    fn new(queues: Queues) -> Self {
        Self {
            queues,
            concurrency: None,
            batch_size: 100,
            visibility_timeout: Duration::from_secs(30),
            retry: RetryPolicy::default(),
            dead_letters: DeadLetters::Suffix("_dlq".to_owned()),
            acknowledgement: Acknowledgement::default(),
            order: Order::default(),
        }
    }

    /// How many handlers of this source may run at a time, at least 1, of those of the
    /// [consumer](crate::ConsumerBuilder::concurrency). Defaults to all of them.
    pub fn with_concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = Some(handlers);
        self
    }

    /// How many messages one statement claims at most, 1 to 10,000. Defaults to 100.
    ///
    /// Whatever the size, claims never exceed the handlers that are free, plus, where handlers are quicker
    /// than a claim, those that by the recent pace will be free when its answer comes. A message that has
    /// waited unstarted for 1 second is given back, visible at once and its read not counted.
    ///
    /// With [`FifoGroups`](Order::FifoGroups) it is groups that never exceed the free handlers, and further
    /// messages of a claimed group are claimed with it, up to this size.
    pub fn with_batch_size(mut self, messages: usize) -> Self {
        self.batch_size = messages;
        self
    }

    /// For how long a claim holds; at least 1 second and at most 2,147,483,647, fractions are rounded up. It
    /// is extended while the handler runs, once less than two thirds of it are left, so it need not be
    /// longer than the handler: what it bounds is how late the messages of a dead process come back, and how
    /// long the database may be out of reach before others may claim them. Defaults to 30 seconds.
    pub fn with_visibility_timeout(mut self, timeout: Duration) -> Self {
        self.visibility_timeout = timeout;
        self
    }

    /// What happens after a failure. Defaults to [`RetryPolicy::default`]: 10 attempts.
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// The queue that dead letters go to. It is created when the first one comes. Defaults to one for each
    /// queue, named by a [suffix](Self::with_dead_letter_suffix).
    pub fn with_dead_letter_queue(mut self, queue: impl Into<String>) -> Self {
        self.dead_letters = DeadLetters::Queue(queue.into());
        self
    }

    /// Each queue has a dead-letter queue of its name and `suffix`, which together are at most 47 characters;
    /// it is created when the first dead letter comes. Of a namespace, queues with a longer name are not
    /// consumed, and an error is traced. Defaults to `_dlq`.
    pub fn with_dead_letter_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.dead_letters = DeadLetters::Suffix(suffix.into());
        self
    }

    /// What becomes of a message whose handler succeeded. Defaults to
    /// [`Delete`](Acknowledgement::Delete).
    pub fn with_acknowledgement(mut self, acknowledgement: Acknowledgement) -> Self {
        self.acknowledgement = acknowledgement;
        self
    }

    /// In what order messages are handled. Defaults to [`Unordered`](Order::Unordered).
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// What can be told to be wrong without a look at the database.
    pub(crate) fn validate(&self) -> Result<(), ConsumerError> {
        if let Queues::Named(names) = &self.queues {
            if names.is_empty() {
                return Err(ConsumerError::argument(
                    "a source without queues has no messages: name at least one",
                ));
            }
            for name in names {
                queue_name(name)?;
                let dead = self.dead_letters.of(name);
                queue_name(&dead)?;
                if dead == *name {
                    return Err(ConsumerError::argument(format!(
                        "queue {name:?} cannot be its own dead-letter queue"
                    )));
                }
            }
        }
        if matches!(&self.dead_letters, DeadLetters::Suffix(suffix) if suffix.is_empty()) {
            return Err(ConsumerError::argument(
                "the suffix of dead-letter queues is empty: each queue would be its own",
            ));
        }
        if let DeadLetters::Queue(name) = &self.dead_letters {
            queue_name(name)?;
        }
        if self.concurrency == Some(0) {
            return Err(ConsumerError::argument(
                "a source with a concurrency of 0 handles nothing, use at least 1",
            ));
        }
        if !(1..=10_000).contains(&self.batch_size) {
            return Err(ConsumerError::argument(format!(
                "a batch size of {} is not between 1 and 10000",
                self.batch_size
            )));
        }
        if self.visibility_timeout < Duration::from_secs(1) {
            return Err(ConsumerError::argument(format!(
                "a visibility timeout of {:?} is shorter than 1 second",
                self.visibility_timeout
            )));
        }
        seconds::whole("a visibility timeout", self.visibility_timeout)?;
        if self.retry.max_attempts() == 0 {
            return Err(ConsumerError::argument(
                "a retry policy of 0 attempts tries nothing, use at least 1",
            ));
        }
        Ok(())
    }
}
