//! The ways to tell that a message was sent, each with a queue in a database of its own.

use pgmq_notify_core::{Namespace, PgmqNotifyConfig};
use pgmq_notify_tests::{Pgmq, TestDatabase};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{Environment, Failure, QUEUE};

/// Where [`Publisher::OneNotify`] notifies, and benchmarks that notify by themselves.
const CHANNEL: &str = "orders";

/// The least that a trigger can do to tell of each message. The payload is the id, because PostgreSQL delivers equal
/// ones of a transaction only once.
const ONE_NOTIFY: &str = "
create function public.notify() returns trigger language plpgsql as $$
begin
  perform pg_catalog.pg_notify('orders', new.msg_id::text);
  return null;
end $$;
create trigger notify after insert on pgmq.q_orders_queue
  for each row execute function public.notify();
";

/// Who notifies.
#[derive(Debug, Clone)]
pub(crate) enum Publisher {
    /// Nobody: the bare queue, unless the statement that sends does it.
    Nobody,
    /// A trigger that does nothing but one `pg_notify`.
    OneNotify,
    /// PGMQ itself, at most once in so many milliseconds; 0 is for every message.
    Pgmq { throttle: i32 },
    /// The generated SQL.
    Ours(PgmqNotifyConfig),
}

/// A queue, in a database that holds nothing else: a notification wakes every listening backend of its database.
#[derive(Debug)]
pub(crate) struct Queue {
    database: TestDatabase,
    channel: String,
}

impl Queue {
    pub(crate) async fn create(
        environment: &Environment,
        publisher: &Publisher,
    ) -> Result<Self, Failure> {
        let database = TestDatabase::create(environment.server(), Some(Pgmq::V1_13)).await?;
        if let Publisher::Ours(config) = publisher {
            database.migrate(config).await;
        }
        database
            .run(format!("select pgmq.create('{QUEUE}')"))
            .await?;
        let channel = match publisher {
            Publisher::Nobody => CHANNEL.to_owned(),
            Publisher::OneNotify => {
                database.run(ONE_NOTIFY).await?;
                CHANNEL.to_owned()
            }
            Publisher::Pgmq { throttle } => {
                let enable = format!("select pgmq.enable_notify_insert('{QUEUE}', {throttle})");
                database.run(enable).await?;
                format!("pgmq.q_{QUEUE}.INSERT")
            }
            Publisher::Ours(config) => {
                let namespace = Namespace::new("orders")?;
                config.channels()?.message_ready(&namespace).to_string()
            }
        };
        Ok(Self { database, channel })
    }

    /// Where its notifications arrive.
    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    pub(crate) fn database(&self) -> &TestDatabase {
        &self.database
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        self.database.options()
    }

    pub(crate) async fn connect(&self) -> Result<PgConnection, Failure> {
        Ok(PgConnection::connect_with(&self.options()).await?)
    }
}
