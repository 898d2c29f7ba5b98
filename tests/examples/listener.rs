//! A program that listens and does nothing else, with the crate `pgmq-notify-listener` alone:
//! `cargo run --release --example listener`.
//!
//! It keeps a picture of what waits in the queues, as a dashboard would. A notification is only a hint, so a lost session costs it
//! nothing: `Resumed` comes, and then the messages that wait, from the tables. To show that, the server ends its session here.

#![expect(clippy::print_stdout, reason = "an example talks to whoever runs it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    error::Error,
    time::Duration,
};

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::PgmqNotifyListener;
use pgmq_notify_sql::Migration;
use pgmq_notify_tests::{Pgmq, Server, TestDatabase};
use tokio::time::timeout;

/// The ids that were announced, of each queue.
#[derive(Debug, Default)]
struct Picture(BTreeMap<String, BTreeSet<i64>>);

impl Picture {
    fn has(&mut self, event: PgmqNotifyEvent) {
        let (queue, ids) = match event {
            PgmqNotifyEvent::MessageWithPayload(e) => (e.queue_name, vec![e.msg_id]),
            PgmqNotifyEvent::MessageReady(e) => (e.queue_name, vec![e.msg_id]),
            PgmqNotifyEvent::BatchReady(e) => (e.queue_name, e.msg_ids),
            PgmqNotifyEvent::QueueCreated(e) => (e.queue_name, Vec::new()),
            PgmqNotifyEvent::QueueDropped(e) => {
                self.0.remove(e.queue_name.as_str());
                return;
            }
            PgmqNotifyEvent::Resumed(e) => {
                println!("something may have been missed: {:?}", e.reason);
                return;
            }
            // Newer triggers may say more.
            _ => return,
        };
        self.0.entry(queue.to_string()).or_default().extend(ids);
    }

    fn count(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }
}

/// Listens until so many messages are known.
async fn until(
    listener: &mut PgmqNotifyListener,
    picture: &mut Picture,
    messages: usize,
) -> Result<(), Box<dyn Error>> {
    while picture.count() < messages {
        let event = timeout(Duration::from_secs(30), listener.next_event()).await??;
        picture.has(event.ok_or("the listener ended")?);
    }
    println!("{picture:?}");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Yours is there already, and has its migration from `pgmq-notify generate-migration`.
    let server = Server::throwaway().await?;
    let database = TestDatabase::create(&server, Some(Pgmq::chosen(&server).await?)).await?;
    let config = PgmqNotifyConfig::new();
    database.run(Migration::new(&config)?.up()).await?;

    let mut listener = PgmqNotifyListener::new(database.pool().clone(), config, 1000).await?;
    listener.connect().await?;
    listener.listen_queue_created().await?;
    listener.listen_message_ready_global().await?;
    let mut picture = Picture::default();

    // What producers do.
    let sql = "select pgmq.create('orders_queue'); select pgmq.send('orders_queue', '1'); \
               select pgmq.send_batch('orders_queue', array['2', '3']::jsonb[])";
    database.run(sql).await?;
    until(&mut listener, &mut picture, 3).await?;

    let sql = "select pg_terminate_backend(pid) from pg_stat_activity \
               where application_name like 'pgmq-notify-listener%' and datname = current_database(); \
               select pgmq.send('orders_queue', '4')";
    database.run(sql).await?;
    until(&mut listener, &mut picture, 4).await?;

    listener.disconnect().await;
    Ok(())
}
