//! What was missed in a gap, from the tables.

mod look;
mod messages;
mod queues;

use std::collections::{BTreeSet, VecDeque};
use std::task::{Context, Poll};

use pgmq_notify_core::{Namespace, PgmqNotifyEvent};
use sqlx::PgPool;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::Instrument;

use self::look::Look;
pub(crate) use self::queues::{Found, KnownQueues, all_queues};

/// Whether a listener looks into the tables after a gap; see
/// [`with_catch_up`](crate::PgmqNotifyListener::with_catch_up).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CatchUp {
    /// After every gap.
    #[default]
    AfterEveryGap,
    /// Never: `Resumed` is all that the application gets.
    Never,
}

/// What there is to look for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) messages: MessageScope,
    pub(crate) queues: bool,
}

/// Whose messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MessageScope {
    All,
    Of(BTreeSet<Namespace>),
}

impl Default for MessageScope {
    fn default() -> Self {
        Self::Of(BTreeSet::new())
    }
}

impl MessageScope {
    fn is_empty(&self) -> bool {
        matches!(self, Self::Of(namespaces) if namespaces.is_empty())
    }

    /// How many namespaces; `None` for all.
    fn count(&self) -> Option<usize> {
        match self {
            Self::All => None,
            Self::Of(namespaces) => Some(namespaces.len()),
        }
    }

    fn contains(&self, namespace: &Namespace) -> bool {
        match self {
            Self::All => true,
            Self::Of(namespaces) => namespaces.contains(namespace),
        }
    }
}

/// What one look has found.
#[derive(Debug)]
pub(crate) enum Page {
    /// All queues that there are, when the scope has them.
    Queues(Vec<Found>),
    /// Some messages of one queue.
    Messages(VecDeque<PgmqNotifyEvent>),
}

/// A catch-up under way: a task that looks, page by page, as the application takes them.
///
/// A task of its own, because the application may ask for an event today and for the next one
/// tomorrow: a look that has begun ends by itself, and gives its connection back. It is never more
/// than one page ahead of what waits in the channel, which is one.
#[derive(Debug)]
pub(crate) struct CatchingUp {
    pages: mpsc::Receiver<Page>,
    task: JoinHandle<()>,
}

impl CatchingUp {
    /// Begins. `LISTEN` has to be in effect: what is committed from now on is published to the listener,
    /// and what was before is in the tables.
    pub(crate) fn begin(runtime: &Handle, pool: PgPool, scope: Scope) -> Self {
        let (pages, taken) = mpsc::channel(1);
        let span = tracing::info_span!(
            "pgmq_notify_listener.catch_up",
            namespaces = scope.messages.count(),
            queues = scope.queues,
        );
        let looking = async move {
            // `None` when nobody takes the pages any more.
            let _: Option<()> = look(&Look::new(pool), &scope, &pages).await;
        };
        let task = runtime.spawn(looking.instrument(span));
        Self { pages: taken, task }
    }

    /// The next page; `None` at the end.
    pub(crate) fn poll_page(&mut self, cx: &mut Context<'_>) -> Poll<Option<Page>> {
        self.pages.poll_recv(cx)
    }
}

impl Drop for CatchingUp {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(look: &Look, scope: &Scope, pages: &mpsc::Sender<Page>) -> Option<()> {
    if scope.messages.is_empty() && !scope.queues {
        return Some(());
    }
    let queues = look.until_seen("all queues", &queues::AllQueues).await?;
    let mut to_look_into = Vec::new();
    for queue in &queues {
        if let Some(table) = &queue.table
            && scope.messages.contains(&queue.namespace)
        {
            to_look_into.push((queue.name.clone(), queue.namespace.clone(), table.clone()));
        }
    }
    if scope.queues {
        pages.send(Page::Queues(queues)).await.ok()?;
    }
    for (name, namespace, table) in to_look_into {
        let mut messages = messages::Messages::of(name, namespace, &table);
        while let Some(events) = messages.next_page(look).await {
            if !events.is_empty() {
                pages.send(Page::Messages(events)).await.ok()?;
            }
        }
    }
    Some(())
}
