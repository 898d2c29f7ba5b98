//! Groups that keep their order: `cargo run --release --example fifo`.
//!
//! The header `x-pgmq-group` names a message's group. Within a group one message is handled after the other, in the order in
//! which they were sent, and one that fails holds up its group only; different groups run at the same time.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use pgmq_notify_client::{
    Claim, Consumer, HandlerError, Message, Order, PgmqNotifyClient, PgmqNotifyConfig, Source,
};
use pgmq_notify_tests::{Pgmq, Server, TestDatabase};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

const QUEUE: &str = "parcels_queue";
const CUSTOMERS: [&str; 4] = ["ann", "ben", "cat", "dan"];
const STEPS: [&str; 4] = ["ordered", "packed", "shipped", "received"];

#[derive(Debug, Serialize, Deserialize)]
struct Step {
    customer: String,
    step: String,
}

/// The steps of each customer, in the order in which they were handled.
type Log = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

async fn handle(log: Log, message: Message<Step>, claim: Claim) -> Result<(), HandlerError> {
    let Step { customer, step } = message.body;
    sleep(Duration::from_millis(20)).await;
    if customer == "ben" && step == "packed" && claim.attempt() == 1 {
        let in_a_moment = Duration::from_millis(300);
        return Err(HandlerError::retry_after(
            in_a_moment,
            "the box was too small",
        ));
    }
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    log.entry(customer).or_default().push(step);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::throwaway().await?;
    let database = TestDatabase::create(&server, Some(Pgmq::chosen(&server).await?)).await?;
    let client = PgmqNotifyClient::new(database.url(), PgmqNotifyConfig::new()).await?;
    client.create_queue(QUEUE).await?;
    for step in STEPS {
        for customer in CUSTOMERS {
            let message = Step {
                customer: customer.into(),
                step: step.into(),
            };
            client
                .send(QUEUE, &message)
                .headers(&json!({ "x-pgmq-group": customer }))
                .await?;
        }
    }

    let log = Log::default();
    let handled = Arc::clone(&log);
    let start = Instant::now();
    // A service calls `start` here. `drain` handles what there is, also what comes back within 10 seconds, and ends.
    let stats = Consumer::builder(client.clone())
        .source(
            Source::queue(QUEUE).with_order(Order::FifoGroups),
            move |message, claim| handle(Arc::clone(&handled), message, claim),
        )
        .drain(Duration::from_secs(10))
        .await?;
    println!(
        "{} steps in {:?}, {} of them twice",
        stats.done,
        start.elapsed(),
        stats.retried
    );
    client.pool().close().await;

    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    for customer in CUSTOMERS {
        let steps = log.get(customer).map(Vec::as_slice).unwrap_or_default();
        println!("{customer}: {}", steps.join(", "));
        if steps != STEPS {
            return Err(format!("the steps of {customer} are not those that were sent").into());
        }
    }
    Ok(())
}
