//! Producers in other languages, which need nothing of these crates: `cargo run --release --example producers`.
//!
//! `producers/producer.sql` and `producers/producer.py` send with PGMQ's own functions, and a consumer here is woken by them. Needs
//! `python3` with psycopg 3 (`pip install "psycopg[binary]"`).

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{error::Error, time::Duration};

use pgmq_notify_client::{
    Claim, Consumer, HandlerError, Message, PgmqNotifyClient, PgmqNotifyConfig,
};
use pgmq_notify_tests::{Pgmq, Server, TestDatabase};
use serde::Deserialize;
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

const PYTHON: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/examples/producers/producer.py"
);

#[derive(Debug, Deserialize)]
struct Order {
    from: String,
    number: i64,
}

async fn ship(order: Message<Order>, claim: Claim) -> Result<(), HandlerError> {
    let Order { from, number } = order.body;
    println!("message {}: order {number} from {from}", claim.msg_id());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::throwaway().await?;
    let database = TestDatabase::create(&server, Some(Pgmq::chosen(&server).await?)).await?;
    let client = PgmqNotifyClient::new(database.url(), PgmqNotifyConfig::new()).await?;
    client.install().await?;
    client.create_queue("orders_queue").await?;
    let consumer = Consumer::builder(client.clone())
        .queue("orders_queue", ship)
        .start()
        .await?;

    database.run(include_str!("producers/producer.sql")).await?;
    let url = database.url();
    // What follows is for sqlx.
    let (url, _) = url.split_once('?').unwrap_or((&url, ""));
    let mut python = Command::new("python3");
    python.arg(PYTHON).env("DATABASE_URL", url);
    if !python.status().await?.success() {
        return Err("the producer in Python failed: is psycopg installed?".into());
    }

    // Five from SQL, three from Python.
    let deadline = Instant::now() + Duration::from_secs(30);
    while consumer.stats().done < 8 && Instant::now() < deadline {
        sleep(Duration::from_millis(10)).await;
    }
    let report = consumer.shutdown().await;
    client.pool().close().await;
    if report.stats.done != 8 {
        return Err(format!("{} of 8 messages are done", report.stats.done).into());
    }
    Ok(())
}
