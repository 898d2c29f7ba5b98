//! Work and acknowledgement in one transaction: `cargo run --release --example transactional`.
//!
//! A transfer that is made twice would be an error. So its handler acknowledges the message in the transaction that moves the
//! money: both are there or neither, whatever fails in between.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{error::Error, time::Duration};

use pgmq_notify_client::{
    Claim, Consumer, HandlerError, Message, PgmqNotifyClient, PgmqNotifyConfig, RetryPolicy, Source,
};
use pgmq_notify_tests::{Pgmq, Server, TestDatabase};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

const QUEUE: &str = "transfers_queue";
const TRANSFERS: i64 = 200;

#[derive(Debug, Serialize, Deserialize)]
struct Transfer {
    from: String,
    to: String,
    cents: i64,
}

async fn transfer(
    pool: PgPool,
    message: Message<Transfer>,
    claim: Claim,
) -> Result<(), HandlerError> {
    let Transfer { from, to, cents } = message.body;
    // Of the application's pool, and durable: the consumer's connections are others.
    let mut transaction = pool.begin().await?;
    for (account, cents) in [(from, -cents), (to, cents)] {
        sqlx::query("update accounts set cents = cents + $2 where name = $1")
            .bind(account)
            .bind(cents)
            .execute(&mut *transaction)
            .await?;
    }
    // An error if somebody else has the message by now: the transaction is rolled back when it is dropped.
    claim.finish(&mut transaction).await?;
    if message.msg_id % 3 == 0 && claim.attempt() == 1 {
        return Err("the work is done, and the process fails before it commits".into());
    }
    transaction.commit().await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::throwaway().await?;
    let database = TestDatabase::create(&server, Some(Pgmq::chosen(&server).await?)).await?;
    database
        .run("create table accounts (name text primary key, cents bigint not null)")
        .await?;
    database
        .run("insert into accounts values ('alice', 100000), ('bob', 0)")
        .await?;
    let client = PgmqNotifyClient::new(database.url(), PgmqNotifyConfig::new()).await?;
    client.create_queue(QUEUE).await?;
    let transfers = (0..TRANSFERS).map(|_| Transfer {
        from: "alice".into(),
        to: "bob".into(),
        cents: 5,
    });
    client.send_batch(QUEUE, transfers).await?;

    let pool = client.pool().clone();
    let soon = RetryPolicy::new().with_initial_delay(Duration::from_millis(100));
    // A service calls `start` here. `drain` handles what there is, also what comes back within 10 seconds, and ends.
    let stats = Consumer::builder(client.clone())
        .concurrency(4)
        .source(
            Source::queue(QUEUE).with_retry(soon),
            move |message, claim| transfer(pool.clone(), message, claim),
        )
        .drain(Duration::from_secs(10))
        .await?;

    let accounts =
        sqlx::query_as("select name, cents from accounts order by name").fetch_all(client.pool());
    let accounts: Vec<(String, i64)> = accounts.await?;
    println!(
        "{} transfers, {} of them after a failure: {accounts:?}",
        stats.done, stats.retried
    );
    client.pool().close().await;
    let expected = [
        ("alice".to_owned(), 100_000 - 5 * TRANSFERS),
        ("bob".to_owned(), 5 * TRANSFERS),
    ];
    if accounts != expected {
        return Err(format!("a transfer is missing, or was made twice: {expected:?}").into());
    }
    Ok(())
}
