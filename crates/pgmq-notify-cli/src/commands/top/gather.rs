//! Looks and listens, apart from the screen: a terminal that stands still must not keep the listener from its socket.

use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::time::{Duration, SystemTime};

use pgmq_notify_client::{ClientError, PgmqNotifyClient};
use pgmq_notify_core::PgmqNotifyEvent;
use pgmq_notify_listener::{CatchUp, ListenerError, ListenerStatus, PgmqNotifyListener};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::heard::Heard;
use super::look::Look;
use super::state::Hearing;
use crate::database::{Installation, client_failure, interrupted, known_queues, listener_failure};
use crate::failure::Failure;

/// Events that wait to be counted.
const BUFFER: usize = 10_000;

/// Until what was not installed is looked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// For a server that does not take leave, or is at work for a look.
const CLOSED_WITHIN: Duration = Duration::from_millis(500);

/// What comes to the screen.
#[derive(Debug)]
pub(super) enum Update {
    Look(Box<Look>, Heard),
    /// The look failed.
    Problem(String),
    Hearing(Hearing),
    /// A signal came.
    Interrupted,
}

/// What comes from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Run,
    Pause,
    Stop,
}

/// A look that was begun.
type Looking = Pin<Box<dyn Future<Output = Result<Look, ClientError>>>>;

/// Until the screen has enough.
pub(super) async fn gather(
    client: PgmqNotifyClient,
    interval: Duration,
    updates: SyncSender<Update>,
    mut wishes: watch::Receiver<Wish>,
) {
    let mut heard = Heard::default();
    let mut ears = Ears::new(client.pool().clone());
    let mut next_look = Instant::now();
    let mut looking: Option<Looking> = None;
    let mut interrupted = pin!(interrupted());
    let mut is_interrupted = false;
    loop {
        let wish = *wishes.borrow_and_update();
        if wish == Wish::Stop {
            break;
        }
        let update = tokio::select! {
            biased;
            () = &mut interrupted, if !is_interrupted => {
                is_interrupted = true;
                Update::Interrupted
            }
            changed = wishes.changed() => match changed {
                Ok(()) => continue,
                Err(_) => break,
            },
            look = poll_fn(|cx| match &mut looking {
                Some(looking) => looking.as_mut().poll(cx),
                None => std::task::Poll::Pending,
            }) => {
                looking = None;
                // A server that takes long is given as long a rest.
                next_look = next_look.max(Instant::now());
                match look {
                    Ok(look) => Update::Look(Box::new(look), std::mem::take(&mut heard)),
                    Err(error) => {
                        let failure = client_failure(&error);
                        Update::Problem(failure.message().to_owned())
                    }
                }
            }
            () = sleep_until(next_look), if looking.is_none() && wish == Wish::Run => {
                next_look = Instant::now() + interval;
                let client = client.clone();
                looking = Some(Box::pin(async move { Look::take(&client).await }));
                continue;
            }
            heard_of = ears.next() => match heard_of {
                HeardOf::Event(event) => {
                    heard.count(&event, SystemTime::now());
                    ears.follow(&event).await;
                    continue;
                }
                HeardOf::Hearing(hearing) => Update::Hearing(hearing),
            },
        };
        // What does not fit is dropped: a terminal stands still, and the next look says the same better.
        if let Err(TrySendError::Disconnected(_)) = updates.try_send(update) {
            break;
        }
    }
    // It holds a connection, which nobody would wait for.
    drop(looking);
    ears.close().await;
    let _ = timeout(CLOSED_WITHIN, client.pool().close()).await;
}

enum HeardOf {
    Event(PgmqNotifyEvent),
    Hearing(Hearing),
}

/// A listener that is made when it can be.
struct Ears {
    pool: PgPool,
    /// Whether the namespaces of new queues are to be listened to.
    follows: bool,
    state: Listening,
}

enum Listening {
    /// Not before this time.
    No(Instant),
    Opening(Opening),
    Yes(Box<PgmqNotifyListener>, watch::Receiver<ListenerStatus>),
}

/// The listener, and whether it has to follow new queues.
type Opening = Pin<Box<dyn Future<Output = Result<(PgmqNotifyListener, bool), Failure>>>>;

impl Ears {
    fn new(pool: PgPool) -> Self {
        Self {
            pool,
            follows: false,
            state: Listening::No(Instant::now()),
        }
    }

    /// The next event or change.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what was begun is kept.
    async fn next(&mut self) -> HeardOf {
        loop {
            match &mut self.state {
                Listening::No(until) => {
                    sleep_until(*until).await;
                    self.state = Listening::Opening(Box::pin(connect(self.pool.clone())));
                }
                Listening::Opening(opening) => {
                    return HeardOf::Hearing(match opening.await {
                        Ok((listener, follows)) => {
                            let status = listener.status();
                            let now = *status.borrow();
                            self.follows = follows;
                            self.state = Listening::Yes(Box::new(listener), status);
                            Hearing::Status(now)
                        }
                        Err(failure) => self.deaf(&failure),
                    });
                }
                Listening::Yes(listener, status) => {
                    let event = tokio::select! {
                        biased;
                        Ok(()) = status.changed() => {
                            return HeardOf::Hearing(Hearing::Status(*status.borrow_and_update()));
                        }
                        event = listener.next_event() => event,
                    };
                    return match event {
                        Ok(Some(event)) => HeardOf::Event(event),
                        Ok(None) => pending().await,
                        Err(error) => HeardOf::Hearing(self.deaf(&listener_failure(&error))),
                    };
                }
            }
        }
    }

    fn deaf(&mut self, failure: &Failure) -> Hearing {
        self.state = Listening::No(Instant::now() + AGAIN_AFTER);
        Hearing::Deaf(failure.message().to_owned())
    }

    /// Listens to the namespace of a new queue, where there is no channel of all.
    async fn follow(&mut self, event: &PgmqNotifyEvent) {
        if let (PgmqNotifyEvent::QueueCreated(created), Listening::Yes(listener, _)) =
            (event, &mut self.state)
            && self.follows
        {
            let namespace = created.namespace.as_str();
            // What is not in effect in time is so with the next session.
            let _ = listener.listen_message_ready_for_namespace(namespace).await;
        }
    }

    async fn close(self) {
        if let Listening::Yes(mut listener, _) = self.state {
            listener.disconnect().await;
        }
    }
}

async fn connect(pool: PgPool) -> Result<(PgmqNotifyListener, bool), Failure> {
    let failed = |error: ListenerError| listener_failure(&error);
    let config = Installation::read(&pool).await?.config();
    let follows = !config.global_channel();
    let listener = PgmqNotifyListener::new(pool.clone(), config, BUFFER).await;
    let mut listener = listener
        .map_err(failed)?
        .with_any_delivery()
        .with_catch_up(CatchUp::Never);
    listener.connect().await.map_err(failed)?;
    if follows {
        for queue in known_queues(&pool).await? {
            let result = listener.listen_message_ready_for_namespace(&queue.namespace);
            result.await.map_err(failed)?;
        }
        listener.listen_queue_created().await.map_err(failed)?;
    } else {
        listener
            .listen_message_ready_global()
            .await
            .map_err(failed)?;
    }
    Ok((listener, follows))
}
