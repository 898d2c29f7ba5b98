//! `listen_*` and `unlisten_*`.

use std::time::Duration;

use pgmq_notify_core::Namespace;
use tokio::time::timeout;

use crate::beside::Beside;
use crate::catch_up::{KnownQueues, all_queues};
use crate::listener::Reading;
use crate::{
    CatchUp, ListenerError, ListenerErrorKind, ListenerStatus, PgmqNotifyListener, Subscription,
};

/// How long a change may take to reach the server.
const IN_EFFECT_WITHIN: Duration = Duration::from_secs(5);

/// For the look at the queues that there are.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// Subscriptions may be changed at any time: before `connect`, while events flow, while the session
/// is being made again.
///
/// **`listen_*`** returns when the server publishes to this listener, so that an event of what is sent
/// afterwards arrives. Without a session it is remembered for the next one. The reading task learns of
/// the change through a connection of the application's pool; when it does not within 5 seconds, an
/// error of the kind [`Delayed`](ListenerErrorKind::Delayed) says so: the subscription is
/// remembered, and takes effect with the next notification, the next change or the next session.
///
/// **`unlisten_*`** returns when no event of what was removed is delivered any more. That does not
/// depend on the server; when it cannot be told within 5 seconds, it goes on sending what the listener
/// then leaves out, until one of the occasions above.
///
/// No change loses or repeats an event of a subscription that stays. All of them are idempotent, and
/// cancelled they have happened all the same. Their errors are a namespace that no queue can have, and
/// what is said of each.
impl PgmqNotifyListener {
    /// Listens to the messages of one namespace.
    pub async fn listen_message_ready_for_namespace(
        &mut self,
        namespace: &str,
    ) -> Result<(), ListenerError> {
        let namespace = parse(namespace)?;
        self.listen([Subscription::MessageReady(namespace)]).await
    }

    /// Listens no longer to the messages of one namespace. They go on arriving while
    /// [`listen_message_ready_global`](Self::listen_message_ready_global) is in effect.
    pub async fn unlisten_message_ready_for_namespace(
        &mut self,
        namespace: &str,
    ) -> Result<(), ListenerError> {
        let namespace = parse(namespace)?;
        self.unlisten([Subscription::MessageReady(namespace)]).await;
        Ok(())
    }

    /// Listens to the messages of the
    /// [default namespaces](pgmq_notify_core::PgmqNotifyConfig::with_default_namespace).
    ///
    /// # Errors
    ///
    /// When the configuration has none.
    pub async fn listen_default_namespaces(&mut self) -> Result<(), ListenerError> {
        let subscriptions = self.default_namespaces()?;
        self.listen(subscriptions).await
    }

    /// Listens no longer to the messages of the default namespaces.
    ///
    /// # Errors
    ///
    /// When the configuration has none.
    pub async fn unlisten_default_namespaces(&mut self) -> Result<(), ListenerError> {
        let subscriptions = self.default_namespaces()?;
        self.unlisten(subscriptions).await;
        Ok(())
    }

    /// Listens to the messages of every namespace. A message whose namespace is subscribed too arrives
    /// once.
    ///
    /// # Errors
    ///
    /// When the configuration has no
    /// [global channel](pgmq_notify_core::PgmqNotifyConfig::with_global_channel).
    pub async fn listen_message_ready_global(&mut self) -> Result<(), ListenerError> {
        if !self.config.global_channel() {
            return Err(ListenerError::new(
                ListenerErrorKind::Configuration,
                "nothing is published on the global channel with `with_global_channel(false)`: \
                 set it to true and migrate, or listen to each namespace",
            ));
        }
        self.listen([Subscription::MessageReadyGlobal]).await
    }

    /// Listens no longer to every namespace, but still to those that are subscribed by name.
    pub async fn unlisten_message_ready_global(&mut self) -> Result<(), ListenerError> {
        self.unlisten([Subscription::MessageReadyGlobal]).await;
        Ok(())
    }

    /// Listens to created queues.
    pub async fn listen_queue_created(&mut self) -> Result<(), ListenerError> {
        self.listen_to_queues(Subscription::QueueCreated).await
    }

    /// Listens no longer to created queues.
    pub async fn unlisten_queue_created(&mut self) -> Result<(), ListenerError> {
        self.unlisten([Subscription::QueueCreated]).await;
        Ok(())
    }

    /// Listens to dropped queues.
    pub async fn listen_queue_dropped(&mut self) -> Result<(), ListenerError> {
        self.listen_to_queues(Subscription::QueueDropped).await
    }

    /// Listens no longer to dropped queues.
    pub async fn unlisten_queue_dropped(&mut self) -> Result<(), ListenerError> {
        self.unlisten([Subscription::QueueDropped]).await;
        Ok(())
    }

    /// What is subscribed now, namespaces first, in ascending order.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        self.subscriptions.iter().collect()
    }

    fn default_namespaces(&self) -> Result<Vec<Subscription>, ListenerError> {
        let namespaces = self.config.default_namespaces();
        if namespaces.is_empty() {
            return Err(ListenerError::new(
                ListenerErrorKind::Configuration,
                "the configuration has no default namespace, add one by `with_default_namespace`",
            ));
        }
        let namespaces = namespaces.iter();
        namespaces
            .map(|namespace| parse(namespace).map(Subscription::MessageReady))
            .collect()
    }

    async fn listen(
        &mut self,
        added: impl IntoIterator<Item = Subscription>,
    ) -> Result<(), ListenerError> {
        for subscription in added {
            self.subscriptions.insert(subscription);
        }
        self.apply().await
    }

    /// Also remembers which queues there are, to tell after a gap what has changed. Where that cannot be
    /// seen now, the next look is the first.
    async fn listen_to_queues(&mut self, added: Subscription) -> Result<(), ListenerError> {
        let listening = self.listen([added]).await;
        if matches!(self.reading, Reading::Task { .. })
            && let Err(error) = self.learn_queues().await
        {
            tracing::debug!(reason = ?error.kind(), "the queues are not known yet");
        }
        listening
    }

    /// Remembers which queues there are, if it matters and is not known.
    pub(crate) async fn learn_queues(&mut self) -> Result<(), ListenerError> {
        if self.catch_up == CatchUp::Never
            || self.known_queues.is_some()
            || !self.subscriptions.want_queues()
        {
            return Ok(());
        }
        let operation = "look which queues there are";
        let look = timeout(SEEN_WITHIN, async {
            let mut beside = Beside::acquire(&self.pool, operation).await?;
            let queues = all_queues(beside.connection()).await;
            beside.done().await;
            queues.map_err(ListenerError::database(operation))
        });
        let queues = look
            .await
            .unwrap_or_else(|_| Err(ListenerError::new(ListenerErrorKind::Timeout, operation)))?;
        self.known_queues = Some(KnownQueues::new(queues));
        Ok(())
    }

    async fn unlisten(&mut self, removed: impl IntoIterator<Item = Subscription>) {
        for subscription in removed {
            self.subscriptions.remove(&subscription);
        }
        let before = self.unhandled.len();
        self.unhandled
            .retain(|event| self.subscriptions.want(event));
        self.stats.unsubscribed += (before - self.unhandled.len()) as u64;
        if !self.subscriptions.want_queues() {
            self.known_queues = None;
        }
        if let Err(error) = self.apply().await {
            tracing::debug!(reason = ?error.kind(), "the server has not heard of an unlisten yet");
        }
    }

    /// Has the present session listen to the channels of the present subscriptions.
    async fn apply(&self) -> Result<(), ListenerError> {
        let channels = self.subscriptions.channels(&self.channels);
        let version = self.shared.wanted.replace(channels);
        let applied = timeout(IN_EFFECT_WITHIN, async {
            tokio::select! {
                biased;
                () = self.in_effect(version) => return Ok::<_, ListenerError>(()),
                knocked = self.shared.private.knock(&self.pool) => knocked?,
            }
            self.in_effect(version).await;
            Ok(())
        });
        let delayed = "listen at once, the subscription is remembered for later";
        match applied.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(ListenerError::because(
                ListenerErrorKind::Delayed,
                delayed,
                error,
            )),
            Err(_) => Err(ListenerError::new(ListenerErrorKind::Delayed, delayed)),
        }
    }

    /// Waits until the session has come as far as `version`, or there is none.
    async fn in_effect(&self, version: u64) {
        let mut status = self.status();
        let mut in_effect = self.shared.wanted.in_effect();
        while *status.borrow_and_update() == ListenerStatus::Connected
            && *in_effect.borrow_and_update() < version
        {
            // Neither sender goes away while `self` is borrowed.
            tokio::select! {
                _ = status.changed() => {}
                _ = in_effect.changed() => {}
            }
        }
    }
}

fn parse(namespace: &str) -> Result<Namespace, ListenerError> {
    Namespace::new(namespace).map_err(|error| {
        let operation = "listen to the messages of this namespace";
        ListenerError::because(ListenerErrorKind::Argument, operation, error)
    })
}
