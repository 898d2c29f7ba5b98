//! The consumer, on a real server with the generated SQL.

mod chaos;
mod crash;
mod draining;
mod due;
mod fifo;
mod handling;
mod herd;
mod idle;
mod leases;
mod metering;
mod namespaces;
mod outage;
mod poison;
mod privileges;
mod process;
mod record;
mod shutdown;
mod stop;
mod tracing_names;
mod wake_up;
mod waking;

use std::time::Duration;

use pgmq_notify_client::{
    Claim, Consumer, ConsumerStats, HandlerError, Message, PgmqNotifyClient, PgmqNotifyConfig,
};
use pgmq_notify_tests::{TestDatabase, eventually};

const SOON: Duration = Duration::from_secs(30);

/// A database with PGMQ and the migration, and a client of it.
async fn migrated() -> (TestDatabase, PgmqNotifyClient) {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let client = client_of(&database, config);
    (database, client)
}

fn client_of(database: &TestDatabase, config: PgmqNotifyConfig) -> PgmqNotifyClient {
    PgmqNotifyClient::with_pool(database.pool().clone(), config)
        .expect("the configuration is valid")
}

/// A handler that has nothing to do.
async fn ok(_: Message<u32>, _: Claim) -> Result<(), HandlerError> {
    Ok(())
}

/// How many messages are in the table of a queue, visible or not.
async fn waiting(client: &PgmqNotifyClient, queue: &str) -> u64 {
    client
        .metrics(queue)
        .await
        .expect("the queue is there")
        .length
}

/// Waits until the numbers of a consumer are as wanted.
#[track_caller]
fn until<'a>(
    consumer: &'a Consumer,
    wanted: impl Fn(&ConsumerStats) -> bool + Send + 'a,
) -> impl Future<Output = ()> + 'a {
    eventually(SOON, move || {
        let stats = consumer.stats();
        let is_so = wanted(&stats);
        async move { if is_so { Ok(()) } else { Err(stats) } }
    })
}
