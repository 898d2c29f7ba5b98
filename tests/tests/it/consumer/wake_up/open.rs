//! Transactions that stay open.

use sqlx::{Connection as _, Executor as _, PgConnection};
use tokio::time::sleep;

use super::*;
use crate::variable::variable;

async fn connection(database: &TestDatabase) -> PgConnection {
    PgConnection::connect_with(&database.options())
        .await
        .unwrap()
}

/// `PGMQ_NOTIFY_TEST_OPEN_SECONDS` makes it long.
#[tokio::test]
async fn one_that_stays_open_costs_a_question_now_and_then_and_its_message_begins_at_once() {
    let seconds = variable("PGMQ_NOTIFY_TEST_OPEN_SECONDS").unwrap_or(5);
    let (database, client) = orders().await;
    let mut sender = connection(&database).await;
    sender
        .execute("begin; select pgmq.send('orders_queue', '1')")
        .await
        .unwrap();
    // Nobody was parked when it looked.
    let started = Arc::new(std::sync::Mutex::new(Vec::new()));
    let handler = {
        let started = Arc::clone(&started);
        move |message: Message<u32>, _: Claim| {
            started.lock().unwrap().push((message.body, Instant::now()));
            async { Ok::<(), HandlerError>(()) }
        }
    };
    let consumer = Consumer::builder(client.clone())
        .safety_poll(NEVER)
        .queue("orders_queue", handler)
        .start()
        .await
        .unwrap();
    let before = consumer.stats();
    sleep(Duration::from_secs(seconds)).await;
    // Others are told of meanwhile.
    client.send("orders_queue", &2).await.unwrap();
    until(&consumer, |it| it.done == 1).await;
    let after = consumer.stats();
    let said = after.parking - before.parking;
    let looked = after.claims - before.claims;
    assert!(said <= seconds * 40 + 10, "{said} questions in {seconds} s");
    assert!(said >= seconds * 20, "{said} questions in {seconds} s");
    assert!(looked <= 10, "{looked} looks in {seconds} s");
    sender.execute("commit").await.unwrap();
    let committed = Instant::now();
    until(&consumer, |it| it.done == 2).await;
    let started = started.lock().unwrap().clone();
    assert_eq!([started[0].0, started[1].0], [2, 1]);
    let waited = started[1].1.saturating_duration_since(committed);
    eprintln!(
        "{said} questions and {looked} looks in {seconds} s; started {waited:.1?} after the commit"
    );
    // 30 ms at the longest, and what a loaded machine adds.
    assert!(waited < Duration::from_millis(200), "{waited:?}");
    // And then it asks no more.
    let before = consumer.stats().parking;
    sleep(Duration::from_secs(1)).await;
    assert!(consumer.stats().parking <= before + 2);
}

#[tokio::test]
async fn long_ones_elsewhere_change_nothing() {
    let (database, client) = orders().await;
    client.create_queue("other_queue").await.unwrap();
    let mut elsewhere = Vec::new();
    for sql in [
        "begin; create table elsewhere (id int); insert into elsewhere values (1)",
        "begin; select pgmq.send('other_queue', '1')",
        "begin isolation level serializable; select * from pgmq.q_orders_queue",
    ] {
        let mut connection = connection(&database).await;
        connection.execute(sql).await.unwrap();
        elsewhere.push(connection);
    }
    let consumer = Consumer::builder(client.clone())
        .safety_poll(NEVER)
        .queue("orders_queue", ok)
        .start()
        .await
        .unwrap();
    until(&consumer, |it| it.claims > 0).await;
    let before = consumer.stats();
    sleep(Duration::from_secs(1)).await;
    client.send("orders_queue", &1).await.unwrap();
    until(&consumer, |it| it.done == 1).await;
    let after = consumer.stats();
    assert!(after.parking <= before.parking + 1, "{after:?}");
    assert!(after.claims <= before.claims + 2, "{after:?}");
}
