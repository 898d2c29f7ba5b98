//! The program that shows all public names at once: it compiles as written, and every arm of it runs.

use std::{error::Error, time::Duration};

use pgmq_notify_client::PgmqNotifyClient;
use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_tests::{TestDatabase, eventually};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

#[derive(Serialize, Deserialize)]
struct Order {
    id: u32,
    note: String,
}

fn config() -> PgmqNotifyConfig {
    PgmqNotifyConfig::new()
        .with_queue_naming_pattern(r"(?P<namespace>\w+)_queue") // default; needs a group called namespace
        .with_channels_prefix("myapp") // channels become myapp.pgmq_*
        .with_triggers_enabled(true) // default true
        .with_default_namespace("orders") // repeatable; also with_default_namespaces
        .with_max_payload_size(7800) // bytes of the whole notification, at most 7999
}

#[expect(
    unused_variables,
    reason = "what the program decodes is for its reader"
)]
async fn program(
    database_url: &str,
    pool: PgPool,
    order: Order,
    vt: Duration,
) -> Result<(), Box<dyn Error>> {
    let config = config();
    let client = PgmqNotifyClient::new(database_url, config.clone()).await?; // also ::with_pool(pool, config)
    let mut listener = PgmqNotifyListener::new(pool, config, 1000).await?; // 1000 = bounded event buffer
    listener.connect().await?;
    listener
        .listen_message_ready_for_namespace("orders")
        .await?;
    client.create_queue("orders_queue").await?;
    client.send("orders_queue", &order).await?; // returns the message id
    while let Some(event) = listener.next_event().await? {
        match event {
            PgmqNotifyEvent::MessageWithPayload(e) => {
                let order: Order = e.message.decode()?;
            }
            PgmqNotifyEvent::MessageReady(e) => {
                client
                    .read_by_id::<Order>(&e.queue_name, e.msg_id, vt)
                    .await?;
            }
            PgmqNotifyEvent::BatchReady(e) => { /* e.msg_ids, e.message_count */ }
            PgmqNotifyEvent::QueueCreated(e) => {}
            _ => {}
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_program_of_the_documentation_claims_a_large_message_by_its_id() {
    let database = TestDatabase::migrated(&config()).await;
    let order = Order {
        id: 7,
        note: "ä".repeat(10_000),
    };
    let url = database.url();
    let program = program(
        &url,
        database.pool().clone(),
        order,
        Duration::from_secs(30),
    );
    let claimed = eventually(Duration::from_secs(20), || async {
        // The queue is there once the program has created it.
        let reads: Result<i32, _> = sqlx::query_scalar("select read_ct from pgmq.q_orders_queue")
            .fetch_one(database.pool())
            .await;
        reads.is_ok_and(|reads| reads == 1)
    });
    tokio::select! {
        ended = program => panic!("the program ended: {ended:?}"),
        () = claimed => {}
    }
}
