//! The client against a real server: every operation, by theme.

mod bodies;
mod claiming;
mod decoding;
mod errors;
mod queues;
mod reading;
mod releases;
mod sending;
mod settling;
mod topics;
mod transactions;
mod without_triggers;

use std::time::Duration;

use pgmq_notify_client::{Message, PgmqNotifyClient, PgmqNotifyConfig, Received};
use pgmq_notify_tests::{Pgmq, TestDatabase};
use serde::{Deserialize, Serialize};

/// Longer than any test.
const LONG: Duration = Duration::from_mins(10);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    number: u64,
}

/// A database with PGMQ, and a client of it.
async fn client() -> (TestDatabase, PgmqNotifyClient) {
    let database = TestDatabase::new().await;
    let client = client_of(&database);
    (database, client)
}

/// The same with PGMQ 1.13, whatever release the others are tested with.
async fn newest() -> (TestDatabase, PgmqNotifyClient) {
    let database = TestDatabase::with(Pgmq::V1_13).await;
    let client = client_of(&database);
    (database, client)
}

fn client_of(database: &TestDatabase) -> PgmqNotifyClient {
    PgmqNotifyClient::with_pool(database.pool().clone(), PgmqNotifyConfig::new())
        .expect("the default configuration is valid")
}

/// Messages that all decode.
fn decoded<T: std::fmt::Debug>(received: Vec<Received<T>>) -> Vec<Message<T>> {
    received
        .into_iter()
        .map(|message| message.unwrap_or_else(|error| panic!("{error:?}")))
        .collect()
}

fn ids<T: std::fmt::Debug>(received: Vec<Received<T>>) -> Vec<i64> {
    decoded(received)
        .iter()
        .map(|message| message.msg_id)
        .collect()
}

/// The text of an error and of all its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str("; ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
