//! What a person reaches for who runs this in production.

mod at_once;
mod command_line;
mod dead_letters;
mod doctor;
mod install;
mod listen;
mod running;
mod secrets;
mod send;
mod status;
mod top;
mod uninstall;
mod upgrade_chain;

use pgmq_notify_client::{PgmqNotifyClient, PgmqNotifyConfig};
use pgmq_notify_core::Delivery;
use pgmq_notify_tests::TestDatabase;

/// One of each shape that the SQL has.
fn configs() -> [PgmqNotifyConfig; 4] {
    let every = PgmqNotifyConfig::new().with_channels_prefix("app");
    let wake_up = PgmqNotifyConfig::new()
        .with_delivery(Delivery::WakeUp)
        .with_namespace_delivery("audit", Delivery::Every)
        .with_namespace_payload("payments", false);
    [
        every.clone(),
        wake_up.clone(),
        every
            .with_triggers_enabled(false)
            .with_max_payload_size(4000),
        wake_up.with_triggers_enabled(false),
    ]
}

fn client(database: &TestDatabase, config: &PgmqNotifyConfig) -> PgmqNotifyClient {
    PgmqNotifyClient::with_pool(database.pool().clone(), config.clone()).unwrap()
}

async fn create_queues(database: &TestDatabase, count: usize) {
    database
        .run(format!(
            "select pgmq.create(format('q%s_queue', n)) from generate_series(1, {count}) n"
        ))
        .await
        .unwrap();
}
