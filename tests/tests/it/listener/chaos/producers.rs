//! Applications that send about 300 messages a second, and go on when the server is back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pgmq_notify_tests::TestDatabase;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::told::Message;
use super::{NAMESPACES, QUEUES};

const SINGLE: &str = r#"select pgmq.send($1, '{"some": "body"}')"#;
const BATCH: &str = "select pgmq.send_batch($1, array_fill('{}'::jsonb, array[40]))";
const DELAYED: &str = "select pgmq.send($1, '{}', 1 + floor(random() * 3)::int)";
const FIVE: &str = "select pgmq.send($1, '{}') from generate_series(1, 5)";

/// What is sent, and how often by one task.
const FLOWS: [(&str, Duration); 5] = [
    (SINGLE, Duration::from_millis(20)),
    (SINGLE, Duration::from_millis(20)),
    (BATCH, Duration::from_millis(200)),
    (BATCH, Duration::from_millis(200)),
    (DELAYED, Duration::from_millis(20)),
];

/// How often a queue is created.
const CREATES_EVERY: Duration = Duration::from_millis(500);

/// One in so many of these stays.
const STAYS: usize = 8;

/// So many of the others are there at a time.
const PASSING: usize = 3;

/// How long a server may be away.
const BACK_WITHIN: Duration = Duration::from_mins(1);

/// They connect directly.
#[derive(Debug)]
pub(super) struct Producers(JoinSet<Vec<Message>>);

impl Producers {
    pub(super) fn start(database: &TestDatabase, until: Instant) -> Self {
        let pool = PgPoolOptions::new()
            .acquire_timeout(BACK_WITHIN)
            .connect_lazy_with(database.options());
        let mut tasks = JoinSet::new();
        for (sql, every) in FLOWS {
            tasks.spawn(send(pool.clone(), sql, every, until));
        }
        tasks.spawn(create_and_drop(pool, until));
        Self(tasks)
    }

    /// All messages that the server said it has, those of dropped queues apart. There may be more: an answer can be lost.
    pub(super) async fn join(self) -> Vec<Message> {
        self.0.join_all().await.concat()
    }
}

async fn send(pool: PgPool, sql: &'static str, every: Duration, until: Instant) -> Vec<Message> {
    let mut sent = Vec::new();
    let mut ticks = ticks(every);
    for queue in QUEUES.into_iter().cycle() {
        ticks.tick().await;
        if Instant::now() >= until {
            break;
        }
        sent.extend(send_once(&pool, sql, queue).await);
    }
    sent
}

async fn create_and_drop(pool: PgPool, until: Instant) -> Vec<Message> {
    let mut sent = Vec::new();
    let mut passing = VecDeque::new();
    let mut ticks = ticks(CREATES_EVERY);
    for (n, namespace) in NAMESPACES.into_iter().cycle().enumerate() {
        ticks.tick().await;
        if Instant::now() >= until {
            break;
        }
        let queue = format!("{namespace}_new{n}");
        let create = "select pgmq.create($1)";
        until_done(|| sqlx::query(create).bind(&queue).execute(&pool)).await;
        let messages = send_once(&pool, FIVE, &queue).await;
        if n % STAYS == 0 {
            sent.extend(messages);
        } else {
            passing.push_back(queue);
        }
        if passing.len() > PASSING
            && let Some(queue) = passing.pop_front()
        {
            // A drop whose answer was lost has happened.
            let drop = "select pgmq.drop_queue(queue_name) from pgmq.meta where queue_name = $1";
            until_done(|| sqlx::query(drop).bind(&queue).execute(&pool)).await;
        }
    }
    sent
}

async fn send_once(pool: &PgPool, sql: &'static str, queue: &str) -> Vec<Message> {
    let ids: Vec<i64> = until_done(|| sqlx::query_scalar(sql).bind(queue).fetch_all(pool)).await;
    ids.into_iter().map(|id| (queue.to_owned(), id)).collect()
}

async fn until_done<T, F>(mut attempt: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(error) => assert!(start.elapsed() < BACK_WITHIN, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a server that was away did not get is not made up for.
fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
