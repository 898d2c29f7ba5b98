//! The main job, on a throwaway server: `cargo run --release --example quickstart`.
//!
//! It installs PGMQ, applies the generated migration, and only then creates a queue. A message of each kind is sent, its event
//! printed as it arrives, the message claimed by its id, and acknowledged.

use std::{
    error::Error,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use pgmq_notify_client::PgmqNotifyClient;
use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_sql::Migration;
use pgmq_notify_tests::{Pgmq, Server, TestDatabase};
use serde::{Deserialize, Serialize};

const QUEUE: &str = "orders_queue";
const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(30);
/// An event takes about a millisecond. Without a bound, one that is missing would be waited for in vain.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

type Result<T, E = Box<dyn Error>> = std::result::Result<T, E>;

#[derive(Debug, Serialize, Deserialize)]
struct Order {
    id: u32,
    note: String,
}

impl Order {
    fn new(id: u32) -> Self {
        Self {
            id,
            note: "two of the blue ones".into(),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let start = Instant::now();
    let server = Server::throwaway().await?;
    let database = TestDatabase::create(&server, Some(Pgmq::chosen(&server).await?)).await?;
    say(format!(
        "PostgreSQL {} with PGMQ, after {:.1} s",
        server.version().await?,
        start.elapsed().as_secs_f64()
    ))?;

    let config = PgmqNotifyConfig::new().with_default_namespace("orders");
    database.run(Migration::new(&config)?.up()).await?;
    say("the generated migration is applied; now comes the queue\n")?;

    let client = PgmqNotifyClient::new(database.url(), config.clone()).await?;
    let mut listener = PgmqNotifyListener::new(database.pool().clone(), config, 1000).await?;
    listener.connect().await?;
    listener.listen_queue_created().await?;
    listener.listen_default_namespaces().await?;

    let create = client.create_queue(QUEUE);
    heard("a queue", &mut listener, create).await?;

    let small = client.send(QUEUE, &Order::new(1));
    let event = heard("a small message", &mut listener, small).await?;
    acknowledge(&client, event).await?;

    let large = Order {
        note: "x".repeat(20_000),
        ..Order::new(2)
    };
    let large = client.send(QUEUE, &large);
    let event = heard("20 kB", &mut listener, large).await?;
    acknowledge(&client, event).await?;

    let batch = client.send_batch(QUEUE, (3..53).map(Order::new));
    let event = heard("a batch", &mut listener, batch).await?;
    acknowledge(&client, event).await?;

    let delayed = client
        .send(QUEUE, &Order::new(53))
        .delay(Duration::from_secs(1));
    let event = heard("a delayed message", &mut listener, delayed).await?;
    acknowledge(&client, event).await?;

    // What a producer in any language does.
    let plain =
        sqlx::query(r#"select pgmq.send('orders_queue', '{"id": 54, "note": "from plain SQL"}')"#)
            .execute(database.pool());
    let event = heard("plain SQL", &mut listener, plain).await?;
    acknowledge(&client, event).await?;

    let left = client.metrics(QUEUE).await?.length;
    say(format!(
        "\n{left} messages are left, after {:.1} s",
        start.elapsed().as_secs_f64()
    ))?;
    // The last handle ends the server and removes its files.
    listener.disconnect().await;
    client.pool().close().await;
    Ok(())
}

/// Does it, and prints the event that comes of it, with the time since before the call.
async fn heard<D, T, E>(
    what: &str,
    listener: &mut PgmqNotifyListener,
    done: D,
) -> Result<PgmqNotifyEvent>
where
    D: IntoFuture<Output = std::result::Result<T, E>>,
    E: Error + 'static,
{
    let start = Instant::now();
    let done = async { done.await.map_err(Box::<dyn Error>::from) };
    let arrived = async {
        let event = listener.next_event().await?.ok_or("the listener ended")?;
        Ok((event, start.elapsed()))
    };
    let both = async { tokio::try_join!(done, arrived) };
    let (_, (event, latency)) = tokio::time::timeout(ARRIVES_WITHIN, both)
        .await
        .map_err(|_| format!("no event for {what} within {ARRIVES_WITHIN:?}"))??;
    let about = match &event {
        PgmqNotifyEvent::QueueCreated(e) => e.queue_name.to_string(),
        PgmqNotifyEvent::MessageWithPayload(e) => {
            let visible = match e.delay_seconds {
                0 => String::new(),
                seconds => format!(", visible in {seconds} s"),
            };
            format!("#{} {}{visible}", e.msg_id, e.message)
        }
        PgmqNotifyEvent::MessageReady(e) => format!("#{}, to be fetched by its id", e.msg_id),
        PgmqNotifyEvent::BatchReady(e) => format!("{} messages", e.message_count),
        other => format!("{other:?}"),
    };
    say(format!(
        "{what:<18} {:>7.3} ms  {:<20} {about}",
        latency.as_secs_f64() * 1000.0,
        event.event_type(),
    ))?;
    Ok(event)
}

/// Claims the messages of an event, because an event is only a hint, and deletes them.
async fn acknowledge(client: &PgmqNotifyClient, event: PgmqNotifyEvent) -> Result<()> {
    let (queue, msg_ids, visible_at, ready_at) = match event {
        PgmqNotifyEvent::MessageWithPayload(e) => {
            (e.queue_name, vec![e.msg_id], e.visible_at, e.ready_at)
        }
        PgmqNotifyEvent::MessageReady(e) => {
            (e.queue_name, vec![e.msg_id], e.visible_at, e.ready_at)
        }
        PgmqNotifyEvent::BatchReady(e) => (e.queue_name, e.msg_ids, e.visible_at, e.ready_at),
        other => return Err(format!("not an event of messages: {other:?}").into()),
    };
    tokio::time::sleep(visible_at.duration_since(ready_at)?).await;
    let claimed = client
        .read_by_ids::<Order>(&queue, &msg_ids, VISIBILITY_TIMEOUT)
        .await?;
    let mut done = Vec::new();
    let mut bytes = 0;
    for message in claimed {
        let message = message?;
        bytes += message.body.note.len();
        done.push(message.msg_id);
    }
    let mut deleted = client.delete_batch(&queue, &done).await?;
    deleted.sort_unstable();
    if deleted != msg_ids {
        return Err(format!("claimed and deleted {deleted:?} of {msg_ids:?}").into());
    }
    say(format!(
        "{:<18} {} claimed, {bytes} bytes of notes, deleted",
        "",
        deleted.len()
    ))
}

fn say(line: impl AsRef<str>) -> Result<()> {
    writeln!(io::stdout(), "{}", line.as_ref())?;
    Ok(())
}
