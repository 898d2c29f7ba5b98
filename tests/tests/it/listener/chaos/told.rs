//! What the application was told, and what there is.

use std::collections::{BTreeSet, HashMap};
use std::time::{Instant, SystemTime};

use pgmq_notify_core::PgmqNotifyEvent;
use pgmq_notify_tests::TestDatabase;
use sqlx::AssertSqlSafe;

/// Queue and id.
pub(super) type Message = (String, i64);

/// Everything that an application knows from events alone.
#[derive(Debug)]
pub(super) struct Told {
    /// When each message was told last.
    messages: HashMap<Message, Micros>,
    /// The queues that there are.
    queues: BTreeSet<String>,
    /// When there was an event.
    pub(super) events: Vec<Instant>,
    /// When there was a `Resumed`.
    pub(super) gaps: Vec<Instant>,
}

/// Since 1970; the server and this process have the same clock.
type Micros = i64;

impl Told {
    pub(super) fn knowing(queues: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            messages: HashMap::new(),
            queues: queues.into_iter().map(str::to_owned).collect(),
            events: Vec::new(),
            gaps: Vec::new(),
        }
    }

    pub(super) fn note(&mut self, event: &PgmqNotifyEvent) {
        let now = Instant::now();
        if let PgmqNotifyEvent::Resumed(_) = event {
            return self.gaps.push(now);
        }
        self.events.push(now);
        let queue = event.queue_name().expect("an event of a queue").to_string();
        match event {
            PgmqNotifyEvent::QueueCreated(_) => drop(self.queues.insert(queue)),
            PgmqNotifyEvent::QueueDropped(_) => drop(self.queues.remove(&queue)),
            PgmqNotifyEvent::MessageReady(e) => self.messages_told(&queue, &[e.msg_id]),
            PgmqNotifyEvent::MessageWithPayload(e) => self.messages_told(&queue, &[e.msg_id]),
            PgmqNotifyEvent::BatchReady(e) => self.messages_told(&queue, &e.msg_ids),
            other => panic!("of a kind that nobody sends: {other:?}"),
        }
    }

    fn messages_told(&mut self, queue: &str, ids: &[i64]) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = now.expect("it is after 1970").as_micros();
        let now = Micros::try_from(now).expect("it is before the year 200000");
        let messages = ids.iter().map(|id| ((queue.to_owned(), *id), now));
        self.messages.extend(messages);
    }

    /// Whether each queue is known, and each message was told when it was visible; otherwise what is missing.
    pub(super) fn has_all(&self, waiting: &Waiting) -> Result<(), String> {
        if self.queues != waiting.queues {
            let differing = self.queues.symmetric_difference(&waiting.queues);
            let differing: Vec<_> = differing.collect();
            return Err(format!("queues: {differing:?}"));
        }
        let untold = waiting.messages.iter().filter(|(message, visible_at)| {
            let told_at = self.messages.get(*message);
            told_at.is_none_or(|told_at| told_at < *visible_at)
        });
        let untold: Vec<_> = untold.collect();
        if untold.is_empty() {
            return Ok(());
        }
        let some = &untold[..untold.len().min(10)];
        Err(format!("{} messages, such as {some:?}", untold.len()))
    }
}

/// What is in the tables.
#[derive(Debug)]
pub(super) struct Waiting {
    queues: BTreeSet<String>,
    /// With the time from which on they are visible.
    messages: HashMap<Message, Micros>,
}

impl Waiting {
    pub(super) fn has(&self, message: &Message) -> bool {
        self.messages.contains_key(message)
    }

    pub(super) fn messages(&self) -> usize {
        self.messages.len()
    }
}

pub(super) async fn waiting(database: &TestDatabase) -> Result<Waiting, sqlx::Error> {
    let pool = database.pool();
    let queues: Vec<String> = sqlx::query_scalar("select queue_name::text from pgmq.meta")
        .fetch_all(pool)
        .await?;
    let mut messages = HashMap::new();
    for queue in &queues {
        let sql = format!(
            "select msg_id, (extract(epoch from vt) * 1000000)::bigint from pgmq.q_{queue}"
        );
        let rows: Vec<(i64, Micros)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(pool).await?;
        let rows = rows.into_iter();
        messages.extend(rows.map(|(id, visible_at)| ((queue.clone(), id), visible_at)));
    }
    let queues = queues.into_iter().collect();
    Ok(Waiting { queues, messages })
}
