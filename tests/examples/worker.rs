//! A complete service, on a throwaway server: `cargo run --release --example worker`.
//!
//! Two queues and a namespace, each with settings of its own. It ends when its messages are done, or, as a service does, at
//! Ctrl-C or SIGTERM: with `-- --forever` only then. Either way handlers finish, and what has not begun is given back.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{env, error::Error, time::Duration};

use pgmq_notify_client::{
    Acknowledgement, Claim, Consumer, HandlerError, Message, PgmqNotifyClient, PgmqNotifyConfig,
    RetryPolicy, Source,
};
use pgmq_notify_sql::Migration;
use pgmq_notify_tests::{Pgmq, Server, TestDatabase};
use serde::{Deserialize, Serialize};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: u32,
    cents: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct Mail {
    to: String,
}

/// Of orders and of refunds; the claim says which.
async fn book(order: Message<Order>, claim: Claim) -> Result<(), HandlerError> {
    let Order { id, cents } = order.body;
    if cents == 0 {
        // Trying again would not help: it becomes a dead letter.
        return Err(HandlerError::fatal("there is nothing to book"));
    }
    sleep(Duration::from_millis(5)).await;
    if id == 7 {
        println!("{}: order {id} of {cents} cents is booked", claim.queue());
    }
    Ok(())
}

async fn deliver(mail: Message<Mail>, claim: Claim) -> Result<(), HandlerError> {
    let to = mail.body.to;
    if claim.attempt() == 1 && to == "greylisted@example.org" {
        let in_a_moment = Duration::from_millis(200);
        return Err(HandlerError::retry_after(in_a_moment, "they said: later"));
    }
    println!("{}: a mail to {to} is delivered", claim.queue());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let is_service = env::args().any(|argument| argument == "--forever");
    // From here on neither ends the process by itself.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    // Yours is there already, and has its migration from `pgmq-notify generate-migration`.
    let server = Server::throwaway().await?;
    let database = TestDatabase::create(&server, Some(Pgmq::chosen(&server).await?)).await?;
    // Of `mail_welcome` the namespace is `mail`.
    let config = PgmqNotifyConfig::new().with_queue_naming_pattern(r"^(?P<namespace>[a-z]+)_\w+$");
    database.run(Migration::new(&config)?.up()).await?;

    let client = PgmqNotifyClient::new(database.url(), config).await?;
    client.create_queue("orders_new").await?;
    client.create_queue("orders_refunds").await?;

    let bookings = Source::queues(["orders_new", "orders_refunds"])
        .with_acknowledgement(Acknowledgement::Archive)
        .with_retry(RetryPolicy::new().with_max_attempts(3))
        .with_dead_letter_queue("orders_dead");
    let mails = Source::namespace("mail")
        .with_concurrency(4)
        .with_visibility_timeout(Duration::from_mins(1));
    let consumer = Consumer::builder(client.clone())
        .concurrency(16)
        .shutdown_deadline(Duration::from_secs(20))
        .source(bookings, book)
        .source(mails, deliver)
        .start()
        .await?;
    let done = produce(&client).await?;

    let finished = async {
        if is_service {
            let send = r#"select pgmq.send('mail_welcome', '{"to": "you"}')"#;
            println!("now try: {send}\nin: psql '{}'", database.url());
            return std::future::pending().await;
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        while consumer.stats().done < done && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        _ = interrupt.recv() => println!("interrupted"),
        _ = terminate.recv() => println!("terminated"),
        () = finished => {}
    }
    let report = consumer.shutdown().await;
    println!("{report:#?}");

    // What was wrong with the dead one is in its headers; `redrive` would put it back into its queue.
    let dead = client.read::<Order>("orders_dead", Duration::from_secs(30));
    if let Some(message) = dead.await?.transpose()?
        && let Some(letter) = message.dead_letter()
    {
        println!("dead in {}: {}", letter.queue, letter.last_error);
    }
    client.pool().close().await;
    if !is_service && report.stats.done != done {
        return Err(format!("{} of {done} messages are done", report.stats.done).into());
    }
    Ok(())
}

/// What other services do. Returns how many messages are to succeed.
async fn produce(client: &PgmqNotifyClient) -> Result<u64, Box<dyn Error>> {
    let order = |id| Order { id, cents: 10 * id };
    client.send_batch("orders_new", (0..500).map(order)).await?;
    client.send("orders_refunds", &order(7)).await?;
    // A queue that is created later joins its namespace.
    client.create_queue("mail_welcome").await?;
    for to in ["greylisted@example.org", "somebody@example.org"] {
        let to = to.to_owned();
        client.send("mail_welcome", &Mail { to }).await?;
    }
    let later = Mail {
        to: "delayed@example.org".into(),
    };
    let one_second = Duration::from_secs(1);
    client
        .send("mail_welcome", &later)
        .delay(one_second)
        .await?;
    // The order of 0 cents is the one that does not.
    Ok(499 + 1 + 3)
}
