use std::sync::Arc;
use std::time::Duration;

use pgmq_notify_core::{Namespace, QueueName};
use pgmq_notify_listener::{CatchUp, PgmqNotifyListener};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::connection::{Durability, OwnConnection};
use super::dispatcher::{Dispatcher, Parts, Route, Until};
use super::engine::Engine;
use super::handler::{HandlerError, Typed};
use super::queue::{Found, find};
use super::settler::Settler;
use super::source::{Queues, Source};
use super::supervise::Tasks;
use super::{Claim, Consumer, ConsumerError, ConsumerErrorKind, ConsumerStats};
use crate::call::Call;
use crate::failure::explain;
use crate::{ErrorKind, Message, PgmqNotifyClient};

/// Events that wait for the consumer; when they are more, it looks at every queue.
const EVENTS: usize = 10_000;
/// Beyond what the consumer keeps unsettled at a time, with the largest batches.
const SETTLEMENTS: usize = 32_768;
/// No shorter, or the safety poll would be a poll.
const SHORTEST_POLL: Duration = Duration::from_secs(1);
/// As the listener bounds its times: nobody means more, and a clock cannot add everything.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// Makes a [`Consumer`]: queues with their handlers, and what holds for all of them.
///
/// Nothing happens before [`start`](Self::start) or [`drain`](Self::drain), which also say what is wrong
/// with a setting.
///
/// ```no_run
/// use std::time::Duration;
///
/// use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, Order, PgmqNotifyClient, Source};
///
/// async fn ship(order: Message<u64>, claim: Claim) -> Result<(), HandlerError> {
///     println!("{}: order {}", claim.queue(), order.body);
///     Ok(())
/// }
///
/// # async fn example(client: PgmqNotifyClient) -> Result<(), Box<dyn std::error::Error>> {
/// let consumer = Consumer::builder(client)
///     .concurrency(64)
///     .shutdown_deadline(Duration::from_secs(10))
///     .queue("orders_queue", ship)
///     .source(Source::namespace("parcels").with_order(Order::FifoGroups), ship)
///     .start()
///     .await?;
/// # drop(consumer);
/// # Ok(())
/// # }
/// ```
pub struct ConsumerBuilder {
    client: PgmqNotifyClient,
    routes: Vec<Route>,
    concurrency: usize,
    connections: usize,
    safety_poll: Duration,
    shutdown_deadline: Duration,
    acknowledgements: Durability,
    heartbeat: Option<(Duration, Duration)>,
}

impl ConsumerBuilder {
    pub(crate) fn new(client: PgmqNotifyClient) -> Self {
        Self {
            client,
            routes: Vec::new(),
            concurrency: 16,
            connections: 2,
            safety_poll: Duration::from_secs(30),
            shutdown_deadline: Duration::from_secs(30),
            acknowledgements: Durability::Durable,
            heartbeat: None,
        }
    }

    /// Messages of one queue go to `handler`, with the defaults of [`Source`].
    ///
    /// `handler` is an async function from a message and its claim to a result: `Ok` acknowledges the
    /// message, what an error does is up to the [policy](Source::with_retry) and to [`HandlerError`]. It runs
    /// in a task of its own, several at a time, and a panic in it is a failure like any other. One that
    /// blocks its thread belongs into `tokio::task::spawn_blocking`.
    pub fn queue<T, F, H, E>(self, name: impl Into<String>, handler: F) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(Message<T>, Claim) -> H + Send + Sync + 'static,
        H: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        self.source(Source::queue(name), handler)
    }

    /// Messages of all queues of a namespace go to `handler`, with the defaults of [`Source`]; as
    /// [`Source::namespace`] and [`queue`](Self::queue) otherwise.
    pub fn namespace<T, F, H, E>(self, namespace: impl Into<String>, handler: F) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(Message<T>, Claim) -> H + Send + Sync + 'static,
        H: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        self.source(Source::namespace(namespace), handler)
    }

    /// Messages of `source` go to `handler`, as with [`queue`](Self::queue). A queue that several sources
    /// name belongs to the first.
    pub fn source<T, F, H, E>(mut self, source: Source, handler: F) -> Self
    where
        T: DeserializeOwned + Send + 'static,
        F: Fn(Message<T>, Claim) -> H + Send + Sync + 'static,
        H: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<HandlerError> + 'static,
    {
        let handler = Arc::new(Typed::<T, F>::new(handler));
        self.routes.push(Route::new(source, handler));
        self
    }

    /// How many handlers run at a time, of all sources; 1 to 100,000. Queues take turns for those that are
    /// free, so a backlog of one does not hold up another. Defaults to 16.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers;
        self
    }

    /// How many connections claim messages, 1 to 16. More of them make readers wait for each other
    /// rather than faster. Besides, a consumer has one that listens, one that settles and one that
    /// extends leases; none is taken from the client's pool. Defaults to 2.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// How often a queue of which nothing is heard is looked at, in case that everything else has
    /// failed; at least 1 second, and at most 365 days. It costs one statement for each queue, and is the
    /// only one that an idle consumer runs. Defaults to 30 seconds.
    pub fn safety_poll(mut self, every: Duration) -> Self {
        self.safety_poll = every;
        self
    }

    /// How long [`shutdown`](Consumer::shutdown) takes at most, up to 365 days. A quarter of it, and at most
    /// 1 second, is kept for acknowledging what the handlers did in the last moment. Defaults to 30 seconds.
    pub fn shutdown_deadline(mut self, deadline: Duration) -> Self {
        self.shutdown_deadline = deadline;
        self
    }

    /// Whether an acknowledgement waits until it is safe on disk, and with it whatever else becomes of a
    /// message: a retry, a dead letter. One that is lost by a crash of the server means that the message is
    /// handled again, so [`Asynchronous`](Durability::Asynchronous) costs repetitions after a crash, never a
    /// message. Claims and lease extensions never wait, and [`Claim::finish`] commits as the handler's own
    /// transaction does. Defaults to [`Durable`](Durability::Durable).
    pub fn acknowledgements(mut self, durability: Durability) -> Self {
        self.acknowledgements = durability;
        self
    }

    /// When nothing has been heard for `quiet`, the server is asked on the listening connection whether it
    /// is still there; when it does not answer within `answer`, the connection is made again, and every queue
    /// is looked at. Both are at least 10 milliseconds and at most 365 days. Defaults to 15 seconds and 5
    /// seconds. The same as [`PgmqNotifyListener::with_heartbeat`].
    pub fn heartbeat(mut self, quiet: Duration, answer: Duration) -> Self {
        self.heartbeat = Some((quiet, answer));
        self
    }

    /// Connects, proves that events arrive, and begins, in tasks of the runtime that this is called on.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, nothing has begun.
    ///
    /// # Errors
    ///
    /// [`InvalidArgument`](ConsumerErrorKind::InvalidArgument) when a setting is wrong or there is no queue,
    /// with the value; [`Client`](ConsumerErrorKind::Client) when a named queue does not exist or the queues
    /// cannot be read; [`Listener`](ConsumerErrorKind::Listener) when the migration is not installed or of
    /// another configuration, or events would not arrive (a pooler, a standby). Once it has begun, none of
    /// that ends it.
    pub async fn start(self) -> Result<Consumer, ConsumerError> {
        self.validate()?;
        let (pool, config) = (self.client.pool().clone(), self.client.config().clone());
        let mut listener = PgmqNotifyListener::new(pool, config, EVENTS)
            .await?
            .with_any_delivery()
            .with_catch_up(CatchUp::Never);
        if let Some((quiet, answer)) = self.heartbeat {
            listener = listener.with_heartbeat(quiet, answer);
        }
        listener.connect().await?;
        listener.listen_queue_created().await?;
        listener.listen_queue_dropped().await?;
        let found = self.find(true).await?;
        self.check_names(&found)?;
        let mut namespaces: Vec<&str> = self.namespaces(&found);
        namespaces.sort_unstable();
        namespaces.dedup();
        for namespace in namespaces {
            listener
                .listen_message_ready_for_namespace(namespace)
                .await?;
        }
        // From here on an event tells of each message; those that were there before are looked for.
        let found = self.find(true).await?;
        let deadline = self.shutdown_deadline;
        let (tasks, commands) = self.tasks(Some(listener), Until::Shutdown, &found).await?;
        Ok(Consumer::spawn(tasks, commands, deadline))
    }

    /// Handles what is visible now, or becomes so `within` that time, and returns what was done: for
    /// tests and for jobs that run once. It needs no migration unless a source is a namespace.
    ///
    /// A message that is sent meanwhile is handled too. One that failed is tried again if its time
    /// comes early enough. `within` is at most 365 days; with [`Duration::ZERO`] only what is visible is
    /// handled.
    ///
    /// # Cancel safety
    ///
    /// Dropped early, handlers are ended in the middle, and their messages come back when their
    /// visibility timeout ends.
    ///
    /// # Errors
    ///
    /// When a setting is wrong, a named queue does not exist, or the database cannot be reached: as for
    /// [`start`](Self::start). Once it has begun it goes on trying.
    pub async fn drain(self, within: Duration) -> Result<ConsumerStats, ConsumerError> {
        self.validate()?;
        not_too_long("a drain", within)?;
        let by_namespace = |it: &Route| matches!(it.source.queues, Queues::Namespace(_));
        let found = self.find(self.routes.iter().any(by_namespace)).await?;
        self.check_names(&found)?;
        let until = Until::Drained(Instant::now() + within);
        let (tasks, _commands) = self.tasks(None, until, &found).await?;
        let engine = Arc::clone(&tasks.engine);
        Box::pin(tasks.run()).await;
        Ok(engine.stats())
    }

    fn validate(&self) -> Result<(), ConsumerError> {
        if self.routes.is_empty() {
            return Err(ConsumerError::argument(
                "a consumer without a queue has nothing to do: give it one with queue, namespace or source",
            ));
        }
        for route in &self.routes {
            route.source.validate()?;
        }
        if !(1..=100_000).contains(&self.concurrency) {
            return Err(ConsumerError::argument(format!(
                "a concurrency of {} is not between 1 and 100000",
                self.concurrency
            )));
        }
        if !(1..=16).contains(&self.connections) {
            return Err(ConsumerError::argument(format!(
                "{} claiming connections are not between 1 and 16",
                self.connections
            )));
        }
        if self.safety_poll < SHORTEST_POLL {
            return Err(ConsumerError::argument(format!(
                "a safety poll every {:?} is more often than every {SHORTEST_POLL:?}",
                self.safety_poll
            )));
        }
        not_too_long("a safety poll", self.safety_poll)?;
        not_too_long("a shutdown deadline", self.shutdown_deadline)
    }

    async fn find(&self, with_namespaces: bool) -> Result<Vec<Found>, ConsumerError> {
        let look = async {
            let mut connection = self.client.pool().acquire().await?;
            find(&mut connection, with_namespaces).await
        };
        let call = Call::new("look at the queues", &[]);
        Ok(look.await.map_err(|error| explain(&call, error))?)
    }

    fn check_names(&self, found: &[Found]) -> Result<(), ConsumerError> {
        for route in &self.routes {
            let Queues::Named(names) = &route.source.queues else {
                continue;
            };
            for name in names {
                if !found.iter().any(|it| it.name == name.as_str()) {
                    return Err(ConsumerError::new(
                        ConsumerErrorKind::Client(ErrorKind::QueueNotFound),
                        format!("there is no queue {name:?}: create it with create_queue first"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Those in which events of the consumer's queues are published.
    fn namespaces<'a>(&'a self, found: &'a [Found]) -> Vec<&'a str> {
        let of_route = |route: &'a Route| match &route.source.queues {
            Queues::Namespace(namespace) => vec![namespace.as_str()],
            Queues::Named(names) => {
                let is_named = |name: &QueueName| names.iter().any(|it| *name == it.as_str());
                found
                    .iter()
                    .filter(|it| is_named(&it.name))
                    .filter_map(|it| it.namespace.as_ref().map(Namespace::as_str))
                    .collect()
            }
        };
        self.routes.iter().flat_map(of_route).collect()
    }

    async fn tasks(
        self,
        listener: Option<PgmqNotifyListener>,
        until: Until,
        found: &[Found],
    ) -> Result<(Tasks, mpsc::Sender<super::dispatcher::Command>), ConsumerError> {
        let pool = self.client.pool().clone();
        let mut connections: Vec<OwnConnection> = (0..self.connections)
            .map(|_| OwnConnection::claiming(&pool))
            .collect();
        // The others are made when they are needed.
        if let Some(first) = connections.last_mut() {
            let call = Call::new("connect the consumer", &[]);
            first.open().await.map_err(|error| explain(&call, error))?;
        }
        let settling = OwnConnection::changing(&pool, self.acknowledgements);
        let speaking = OwnConnection::parking(&pool);
        let keeping = OwnConnection::changing(&pool, Durability::Asynchronous);
        let shortest = self.routes.iter().map(|it| it.source.visibility_timeout);
        let shortest = shortest.min().unwrap_or(Duration::from_secs(30));
        let engine = Arc::new(Engine::new(self.client));
        let (settlements, inbox) = mpsc::channel(SETTLEMENTS + self.concurrency);
        let (told, settled) = mpsc::channel(1_024);
        let (command, commands) = mpsc::channel(16);
        let settler = Settler::new(Arc::clone(&engine), settling, inbox, told);
        let mut dispatcher = Dispatcher::new(Parts {
            engine: Arc::clone(&engine),
            routes: self.routes,
            concurrency: self.concurrency,
            until,
            safety_poll: self.safety_poll,
            listener,
            connections,
            speaking,
            settling: settlements,
            settled,
            commands,
        });
        dispatcher.consume(found);
        dispatcher.park().await?;
        let tasks = Tasks {
            engine,
            dispatcher,
            settler,
            keeping,
            shortest,
        };
        Ok((tasks, command))
    }
}

fn not_too_long(what: &str, time: Duration) -> Result<(), ConsumerError> {
    if time <= LONGEST {
        return Ok(());
    }
    let text = format!("{what} of {time:?} is longer than 365 days");
    Err(ConsumerError::argument(text))
}

impl std::fmt::Debug for ConsumerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sources: Vec<&Source> = self.routes.iter().map(|it| &it.source).collect();
        f.debug_struct("ConsumerBuilder")
            .field("sources", &sources)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}
