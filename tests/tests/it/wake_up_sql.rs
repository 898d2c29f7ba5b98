//! What the SQL of wake-up delivery does, without any consumer: who sleeps and who attends is made by hand.

mod asleep;
mod attended;
mod concurrent;
mod isolation;
mod kinds;
mod named;
mod old_transaction;
mod prepared;
mod privileges;
mod restart;
mod switching;
mod ways;

use pgmq_notify_core::{Delivery, PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_tests::{Heard, TestDatabase};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use ways::{By, Form};

/// A database with `orders_queue`, and who hears of every message from now on.
struct Orders {
    by: By,
    database: TestDatabase,
    heard: Heard,
}

impl Orders {
    async fn new(by: By) -> Self {
        let database = TestDatabase::new().await;
        Self::on(database, by).await
    }

    /// With a message that somebody holds.
    async fn on(database: TestDatabase, by: By) -> Self {
        let config = by.config();
        database.migrate(&config).await;
        database
            .run(
                "select pgmq.create(name) from unnest(array['orders_queue', 'fence_queue']) name; \
                 select pgmq.bind_topic('logs.*', 'orders_queue'); \
                 set local pgmq_notify.mute = 'on'; \
                 select pgmq.send('orders_queue', '0', 3600)",
            )
            .await
            .unwrap();
        let heard = Heard::messages(&database, &config).await;
        Self {
            by,
            database,
            heard,
        }
    }

    async fn run(&self, sql: &str) {
        let sql = self.by.spelled(sql);
        let done = self.database.run(sql.as_str()).await;
        done.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    async fn session(&self) -> Session {
        Session::of(&self.database, self.by).await
    }

    /// A consumer sleeps at `orders_queue`.
    async fn parks(&self, consumer: i64) {
        parks(&self.database, "q_orders_queue", consumer, "15 s").await;
    }

    /// Nobody sleeps any more.
    async fn nobody_parks(&self) {
        self.run("delete from pgmq_notify.parked").await;
    }

    /// A consumer attends to `orders_queue` until its session unlocks it.
    async fn attends(&self) -> Session {
        let mut session = self.session().await;
        session.run(ATTEND).await;
        session
    }

    /// What was done before published nothing: the next event is that of a message sent now to a queue
    /// whose every message is published.
    #[track_caller]
    fn nothing_was_published(&mut self) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            self.run("select pgmq.send('fence_queue', '\"fence\"')")
                .await;
            let event = self.heard.event().await;
            assert!(
                matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == "\"fence\""),
                "{place}: {event:?}"
            );
        }
    }

    /// The next event is of `orders_queue`, and has this form; returns whom it names.
    #[track_caller]
    fn published(&mut self, form: Form) -> impl Future<Output = Vec<i64>> {
        let place = std::panic::Location::caller();
        async move {
            let event = self.heard.event().await;
            let (found, wakes) = parts(&event);
            assert_eq!(found, form, "{place}: {event:?}");
            assert_eq!(
                event.queue_name().map(AsRef::as_ref),
                Some("orders_queue"),
                "{place}: {event:?}"
            );
            wakes.to_vec()
        }
    }
}

const ATTEND: &str =
    "select pg_advisory_lock(r.attention) from pgmq_notify.route('orders_queue') r";
const LEAVE: &str =
    "select pg_advisory_unlock(r.attention) from pgmq_notify.route('orders_queue') r";

/// A connection of its own.
struct Session {
    by: By,
    connection: PgConnection,
}

impl Session {
    async fn of(database: &TestDatabase, by: By) -> Self {
        let connection = PgConnection::connect_with(&database.options())
            .await
            .unwrap();
        Self { by, connection }
    }

    async fn run(&mut self, sql: &str) {
        if let Err(error) = self.attempt(sql).await {
            panic!("{sql}: {error:?}");
        }
    }

    async fn attempt(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(self.by.spelled(sql)))
            .execute(&mut self.connection)
            .await
            .map(drop)
    }

    /// The SQLSTATE that a statement ends with; nothing when it succeeds. In an open transaction, which goes on.
    async fn refusal(&mut self, sql: &str) -> Option<String> {
        self.run("savepoint attempt").await;
        let state = sqlstate(self.attempt(sql).await);
        self.run("rollback to savepoint attempt").await;
        state
    }
}

/// The code of a failure that the server reported.
fn sqlstate(result: Result<(), sqlx::Error>) -> Option<String> {
    match result {
        Ok(()) => None,
        Err(sqlx::Error::Database(error)) => error.code().map(std::borrow::Cow::into_owned),
        Err(error) => panic!("{error:?}"),
    }
}

/// A consumer sleeps at a queue, by the name of its table, for so long from now.
async fn parks(database: &TestDatabase, table: &str, consumer: i64, interval: &str) {
    sqlx::query(
        "insert into pgmq_notify.parked as p values ($1, $2, clock_timestamp() + $3::text::interval) \
         on conflict (queue, consumer) do update set parked_until = excluded.parked_until",
    )
    .bind(table)
    .bind(consumer)
    .bind(interval)
    .execute(database.pool())
    .await
    .unwrap();
}

/// How many advisory locks somebody holds or waits for in this database.
async fn advisory_locks(database: &TestDatabase) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_locks where locktype = 'advisory' \
         and database = (select oid from pg_database where datname = current_database())",
    )
    .fetch_one(database.pool())
    .await
    .unwrap()
}

/// How an event tells of its messages, and whom it names.
fn parts(event: &PgmqNotifyEvent) -> (Form, &[i64]) {
    match event {
        PgmqNotifyEvent::MessageWithPayload(e) => (Form::Body, &e.wakes),
        PgmqNotifyEvent::MessageReady(e) => (Form::Ready, &e.wakes),
        PgmqNotifyEvent::BatchReady(e) => (Form::Batch, &e.wakes),
        other => panic!("not of a message: {other:?}"),
    }
}
