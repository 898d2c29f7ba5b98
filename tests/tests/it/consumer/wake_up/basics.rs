//! Who is told of what.

use sqlx::Executor as _;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;

#[tokio::test]
async fn one_that_sleeps_is_told_of_each_message_and_nobody_attends() {
    let (database, client) = orders().await;
    let mut heard = Heard::messages(&database, &config()).await;
    let consumer = Consumer::builder(client.clone())
        .safety_poll(NEVER)
        .queue("orders_queue", ok)
        .start()
        .await
        .unwrap();
    assert_eq!(parked(&database).await, 1);
    for number in 1..=20_u64 {
        client.send("orders_queue", &number).await.unwrap();
        heard.event().await;
        until(&consumer, |it| it.done == number).await;
    }
    assert_eq!(attending(&database).await, 0);
    let stats = consumer.stats();
    assert_eq!(stats.wake_ups.event, 20, "{stats:?}");
    assert!(stats.wake_ups.attending <= 1, "{stats:?}");
    let report = consumer.shutdown().await;
    assert_eq!(report.unsettled, 0);
    assert_eq!(parked(&database).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_attended_to_and_nobody_is_told_until_it_ends() {
    let (database, client) = orders().await;
    let mut heard = Heard::messages(&database, &config()).await;
    let consumer = Consumer::builder(client.clone())
        .safety_poll(NEVER)
        .queue("orders_queue", ok)
        .start()
        .await
        .unwrap();
    let sent = Arc::new(AtomicU64::new(0));
    let mut sending = JoinSet::new();
    for _ in 0..8 {
        let (client, sent) = (client.clone(), Arc::clone(&sent));
        sending.spawn(async move {
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end {
                client.send("orders_queue", &1).await.unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    eventually(SOON, async || match attending(&database).await {
        1 => Ok(()),
        other => Err(other),
    })
    .await;
    sending.join_all().await;
    let sent = sent.load(Ordering::Relaxed);
    until(&consumer, |it| it.done == sent).await;
    assert_eq!(waiting(&client, "orders_queue").await, 0);
    eventually(SOON, async || match attending(&database).await {
        0 => Ok(()),
        other => Err(other),
    })
    .await;
    client.send("orders_queue", &1).await.unwrap();
    until(&consumer, |it| it.done == sent + 1).await;
    let stats = consumer.stats();
    let mut told = 0;
    while timeout(Duration::from_millis(200), heard.notification())
        .await
        .is_ok()
    {
        told += 1;
    }
    assert!(
        told * 10 < sent,
        "{told} of {sent} were published: {stats:?}"
    );
}

/// For handlers that take their time.
async fn slowly(_: Message<u32>, _: Claim) -> Result<(), HandlerError> {
    tokio::time::sleep(Duration::from_millis(300)).await;
    Ok(())
}

#[tokio::test]
async fn a_burst_wakes_as_many_as_it_needs() {
    let (_database, client) = orders().await;
    let mut consumers = Vec::new();
    for _ in 0..4 {
        consumers.push(
            Consumer::builder(client.clone())
                .safety_poll(NEVER)
                .concurrency(4)
                .queue("orders_queue", slowly)
                .start()
                .await
                .unwrap(),
        );
    }
    let begin = Instant::now();
    client
        .send_batch("orders_queue", (0..16).collect::<Vec<u32>>())
        .await
        .unwrap();
    eventually(SOON, async || {
        let done: u64 = consumers.iter().map(|it| it.stats().done).sum();
        if done == 16 { Ok(()) } else { Err(done) }
    })
    .await;
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(900), "{took:?}");
}

/// Whom is a message for that was sent while the one who attended had the queue, and commits when that has paused it?
#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_to_one_that_pauses_is_anothers_when_it_commits() {
    let (database, client) = orders().await;
    let start = async || {
        Consumer::builder(client.clone())
            .safety_poll(NEVER)
            .queue("orders_queue", ok)
            .start()
            .await
            .unwrap()
    };
    let first = start().await;
    let mut sender = database.pool().acquire().await.unwrap();
    let mut sent = 0;
    let insert = "select pgmq.send('orders_queue', '1')";
    let mut second = None;
    for attempt in 1.. {
        // The lock is given back when the queue has been quiet for some milliseconds.
        let end = Instant::now() + Duration::from_millis(300);
        while Instant::now() < end || attending(&database).await == 0 {
            sender.execute(insert).await.unwrap();
            sent += 1;
        }
        if second.is_none() {
            second = Some(start().await);
            continue;
        }
        sender.execute("begin").await.unwrap();
        sender.execute(insert).await.unwrap();
        if attending(&database).await == 1 {
            break;
        }
        assert!(attempt < 20, "it was always too late");
        sender.execute("rollback").await.unwrap();
    }
    let second = second.unwrap();
    first.pause("orders_queue").await.unwrap();
    eventually(SOON, async || match attending(&database).await {
        0 => Ok(()),
        other => Err(other),
    })
    .await;
    let done = || first.stats().done + second.stats().done;
    eventually(SOON, async || match done() {
        all if all == sent => Ok(()),
        other => Err(other),
    })
    .await;
    assert_eq!(parked(&database).await, 1);
    sender.execute("commit").await.unwrap();
    eventually(Duration::from_secs(10), async || match done() {
        all if all == sent + 1 => Ok(()),
        other => Err(other),
    })
    .await;
}
