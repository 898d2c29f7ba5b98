//! Queues whose senders notify only while somebody sleeps.

mod basics;
mod broken;
mod lost;
mod open;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pgmq_notify_client::{Claim, Consumer, ConsumerStats, HandlerError, Message, PgmqNotifyClient};
use pgmq_notify_core::{Delivery, PgmqNotifyConfig};
use pgmq_notify_tests::{Heard, TestDatabase, eventually};

use super::{SOON, client_of, ok, until, waiting};

/// No test waits for a safety poll.
const NEVER: Duration = Duration::from_hours(24);

fn config() -> PgmqNotifyConfig {
    PgmqNotifyConfig::new().with_delivery(Delivery::WakeUp)
}

async fn orders() -> (TestDatabase, PgmqNotifyClient) {
    let database = TestDatabase::migrated(&config()).await;
    let client = client_of(&database, config());
    client.create_queue("orders_queue").await.unwrap();
    (database, client)
}

/// How many rows of consumers are valid.
async fn parked(database: &TestDatabase) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pgmq_notify.parked where parked_until > clock_timestamp()",
    )
    .fetch_one(database.pool())
    .await
    .unwrap()
}

/// How many sessions attend to a queue.
async fn attending(database: &TestDatabase) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_locks
        where locktype = 'advisory' and mode = 'ExclusiveLock' and granted
          and database = (select oid from pg_database where datname = current_database())",
    )
    .fetch_one(database.pool())
    .await
    .unwrap()
}
