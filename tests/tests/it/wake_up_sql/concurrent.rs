//! Many senders at once, and somebody who attends again and again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};

use super::*;

const SENDERS: usize = 32;

/// What a consumer waits for the lock at most.
const LOCK_TIMEOUT: &str = "50ms";

/// How often it takes the lock.
const ROUNDS: u32 = 400;

/// What a send may take on a loaded machine, with all the others at work.
const A_SEND: Duration = Duration::from_secs(5);

/// Sends until `end`; returns how often, and what took longest.
async fn send_until(mut sender: Session, end: &AtomicBool) -> Result<(u32, Duration), sqlx::Error> {
    let (mut sent, mut longest) = (0, Duration::ZERO);
    while !end.load(Ordering::Relaxed) {
        let start = Instant::now();
        sender
            .attempt("select pgmq.send('orders_queue', '1')")
            .await?;
        longest = longest.max(start.elapsed());
        sent += 1;
    }
    Ok((sent, longest))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_senders_that_never_stop_the_lock_is_had_and_no_sender_fails_or_waits() {
    for by in By::BOTH {
        let orders = Orders::new(by).await;
        // So that whoever finds nobody attending notifies.
        parks(&orders.database, "q_orders_queue", 7, "1 hour").await;
        let end = Arc::new(AtomicBool::new(false));
        let mut senders = Vec::new();
        for _ in 0..SENDERS {
            let (mut sender, end) = (orders.session().await, Arc::clone(&end));
            // So that they look all the time, and do not wait for the disk.
            sender.run("set synchronous_commit = off").await;
            senders.push(tokio::spawn(async move { send_until(sender, &end).await }));
        }
        let mut consumer = orders.session().await;
        consumer
            .run(&format!("set lock_timeout = '{LOCK_TIMEOUT}'"))
            .await;
        let (mut refused, mut longest) = (0, Duration::ZERO);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            match sqlstate(consumer.attempt(ATTEND).await).as_deref() {
                None => {}
                Some("55P03") => {
                    refused += 1;
                    continue;
                }
                other => panic!("{other:?}"),
            }
            longest = longest.max(start.elapsed());
            consumer.run(LEAVE).await;
        }
        end.store(true, Ordering::Relaxed);
        let mut all = 0;
        for sender in join_all(senders).await {
            let (sent, longest) = sender.unwrap().expect("no sender fails");
            assert!(sent > 0, "a sender did not get on");
            assert!(longest < A_SEND, "a send took {longest:?}");
            all += sent;
        }
        // A sender may lose the processor in the midst of its look: not seen in 17,000 times, in 6,000 of them with a
        // load of ten on two processors. Who is starved would be refused nearly always.
        assert!(
            refused * 100 <= ROUNDS,
            "{by:?}: {refused} of {ROUNDS} times, beside {all} sends; the longest wait was {longest:?}"
        );
        assert_eq!(advisory_locks(&orders.database).await, 0);
        let there: i64 = sqlx::query_scalar("select count(*) - 1 from pgmq.q_orders_queue")
            .fetch_one(orders.database.pool())
            .await
            .unwrap();
        assert_eq!(there, i64::from(all), "{by:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senders_do_not_take_each_other_for_somebody_who_attends() {
    for by in By::BOTH {
        let mut orders = Orders::new(by).await;
        parks(&orders.database, "q_orders_queue", 7, "1 hour").await;
        let mut senders = Vec::new();
        for _ in 0..SENDERS {
            senders.push(orders.session().await);
        }
        try_join_all(senders.into_iter().map(|mut sender| {
            tokio::spawn(async move {
                for _ in 0..20 {
                    sender.run("select pgmq.send('orders_queue', '1')").await;
                }
            })
        }))
        .await
        .unwrap();
        let mut told = BTreeSet::new();
        for _ in 0..SENDERS * 20 {
            match orders.heard.event().await {
                PgmqNotifyEvent::MessageWithPayload(event) => {
                    assert_eq!(event.wakes, [7]);
                    assert!(told.insert(event.msg_id), "{} twice", event.msg_id);
                }
                other => panic!("{other:?}"),
            }
        }
        orders.nothing_was_published().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_refreshes_its_row_without_pause_is_told_of_every_message() {
    for refresh in [
        "insert into pgmq_notify.parked as p values ('q_orders_queue', 7, clock_timestamp() + interval '15 s') \
         on conflict (queue, consumer) do update set parked_until = excluded.parked_until",
        "update pgmq_notify.parked set parked_until = clock_timestamp() + interval '15 s'",
    ] {
        let mut orders = Orders::new(By::Triggers).await;
        orders.parks(7).await;
        let end = Arc::new(AtomicBool::new(false));
        let refreshing = {
            let (mut session, end) = (orders.session().await, Arc::clone(&end));
            tokio::spawn(async move {
                let mut refreshed = 0;
                while !end.load(Ordering::Relaxed) {
                    session.run(refresh).await;
                    refreshed += 1;
                }
                refreshed
            })
        };
        let mut sender = orders.session().await;
        for _ in 0..1_000 {
            sender.run("select pgmq.send('orders_queue', '1')").await;
        }
        end.store(true, Ordering::Relaxed);
        assert!(refreshing.await.unwrap() > 100);
        for _ in 0..1_000 {
            assert_eq!(orders.published(Form::Body).await, [7]);
        }
    }
}
