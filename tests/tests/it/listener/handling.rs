//! `listen_with_handler`: order, concurrency, and what goes wrong in a handler.

mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::{
    CatchUp, HandlerStats, Handlers, ListenerErrorKind, ListenerStatus, PgmqNotifyListener,
};
use pgmq_notify_tests::{TestDatabase, eventually};
use tokio::sync::watch;
use tokio::time::timeout;

use self::work::Work;
use super::{SOON, create, metering, next_message, send, terminate};
use crate::observed::Recorded;

/// A connected listener to all messages, and queues named `a_queue`, `b_queue`…
async fn listening(queues: &str, buffer: usize) -> (TestDatabase, PgmqNotifyListener) {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    for queue in queues.chars() {
        create(&database, &format!("{queue}_queue")).await;
    }
    let mut listener = PgmqNotifyListener::new(database.pool().clone(), config, buffer)
        .await
        .expect("a valid configuration")
        .with_catch_up(CatchUp::Never);
    listener
        .listen_message_ready_global()
        .await
        .expect("subscribe");
    listener.connect().await.expect("connect");
    (database, listener)
}

async fn burst(database: &TestDatabase, queue: char, count: usize) {
    database
        .run(format!(
            "do $$ begin for i in 1..{count} loop perform pgmq.send('{queue}_queue', '{{}}'); end loop; end $$"
        ))
        .await
        .expect("send a burst");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_queue_keeps_its_order_whatever_time_a_handler_takes() {
    const EACH: usize = 40;
    let queues = "abcdef";
    let (database, mut listener) = listening(queues, 1_000).await;
    let handlers = Arc::new(Handlers::new(4).unwrap());
    let work = Work::default();
    let (stop, mut stopped) = watch::channel(false);
    let driving = tokio::spawn({
        let (handlers, work) = (Arc::clone(&handlers), work.clone());
        async move {
            let handler = move |event: PgmqNotifyEvent| {
                let work = work.clone();
                async move {
                    let name = work.begin(&event);
                    let time = Duration::from_micros(fastrand::u64(..5_000));
                    tokio::time::sleep(time).await;
                    work.end(&name);
                    Ok::<_, String>(())
                }
            };
            let stop = async move {
                let _closed = stopped.wait_for(|stop| *stop).await;
            };
            listener
                .listen_with_handler_until(&handlers, handler, stop)
                .await
        }
    });
    database
        .run(format!(
            "do $$ begin for i in 1..{EACH} loop
               perform pgmq.send(q || '_queue', '{{}}') from pg_catalog.unnest(array['a', 'b', 'c', 'd', 'e', 'f']) q;
             end loop; end $$"
        ))
        .await
        .unwrap();
    work.ends(EACH * queues.len()).await;
    stop.send_replace(true);
    timeout(SOON, driving).await.unwrap().unwrap().unwrap();
    let mut by_queue: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in work.log() {
        by_queue
            .entry(line[1..2].to_owned())
            .or_default()
            .push(line);
    }
    assert_eq!(by_queue.len(), queues.len());
    for (queue, log) in by_queue {
        let one_by_one: Vec<_> = (1..=EACH)
            .flat_map(|id| [format!("+{queue}{id}"), format!("-{queue}{id}")])
            .collect();
        assert_eq!(log, one_by_one);
    }
    assert_eq!(work.most.load(Ordering::SeqCst), 4);
    let stats = handlers.stats();
    let handled = u64::try_from(EACH * queues.len()).unwrap();
    assert_eq!(
        (stats.handled, stats.failed, stats.panicked),
        (handled, 0, 0)
    );
}

#[tokio::test]
async fn as_many_work_as_allowed_and_the_end_waits_for_them() {
    let (database, mut listener) = listening("abcde", 100).await;
    let handlers = Handlers::new(3).unwrap();
    let work = Work::default();
    let (gate, _) = watch::channel(false);
    let handling = listener.listen_with_handler_until(&handlers, work.until_open(&gate), async {
        for queue in "abcde".chars() {
            send(&database, &format!("{queue}_queue")).await;
        }
        work.reach(&["+a1", "+b1", "+c1"]).await;
        // The gate opens after the shutdown has begun.
        let gate = gate.clone();
        tokio::spawn(async move { gate.send_replace(true) });
    });
    timeout(SOON, handling).await.unwrap().unwrap();
    let mut ends = work.log().split_off(3);
    ends.sort();
    assert_eq!(ends, ["-a1", "-b1", "-c1"]);
    assert_eq!(handlers.stats().handled, 3);
    // The others were not touched.
    assert_eq!(next_message(&mut listener).await, ("d".into(), 1));
    assert_eq!(next_message(&mut listener).await, ("e".into(), 1));
}

#[tokio::test]
async fn a_queue_that_waits_does_not_hold_up_another_and_what_was_taken_ahead_is_kept() {
    let (database, mut listener) = listening("ab", 100).await;
    let handlers = Handlers::new(4).unwrap();
    let work = Work::default();
    let (gate, _) = watch::channel(false);
    let handling = listener.listen_with_handler_until(&handlers, work.until_open(&gate), async {
        burst(&database, 'a', 3).await;
        send(&database, "b_queue").await;
        work.reach(&["+a1", "+b1"]).await;
        let gate = gate.clone();
        tokio::spawn(async move { gate.send_replace(true) });
    });
    timeout(SOON, handling).await.unwrap().unwrap();
    work.ends(2).await;
    // What waits for the next call is unsubscribed like everything else.
    listener
        .listen_message_ready_for_namespace("a")
        .await
        .unwrap();
    listener.unlisten_message_ready_global().await.unwrap();
    assert_eq!(next_message(&mut listener).await, ("a".into(), 2));
    listener
        .unlisten_message_ready_for_namespace("a")
        .await
        .unwrap();
    assert_eq!(listener.stats().unsubscribed, 1);
    listener
        .listen_message_ready_for_namespace("a")
        .await
        .unwrap();
    let id = send(&database, "a_queue").await;
    assert_eq!(next_message(&mut listener).await, ("a".into(), id));
}

#[tokio::test]
async fn errors_and_panics_are_counted_and_stop_nothing() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create(&database, "a_queue").await;
    let recorded = Recorded::default();
    let mut listener = metering::listener(&database, &recorded).await;
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    let handlers = Handlers::new(2).unwrap();
    let work = Work::default();
    let handler = {
        let work = work.clone();
        move |event: PgmqNotifyEvent| {
            let work = work.clone();
            let name = work.begin(&event);
            assert!(name != "a1", "before there is a future");
            async move {
                assert!(name != "a2", "at work");
                work.end(&name);
                if name == "a3" { Err("no") } else { Ok(()) }
            }
        }
    };
    let handling = listener.listen_with_handler_until(&handlers, handler, async {
        burst(&database, 'a', 5).await;
        work.ends(3).await;
        eventually(SOON, || async {
            let HandlerStats {
                handled,
                failed,
                panicked,
                ..
            } = handlers.stats();
            let stats = (handled, failed, panicked);
            if stats == (2, 1, 2) {
                Ok(())
            } else {
                Err(stats)
            }
        })
        .await;
    });
    timeout(SOON, handling).await.unwrap().unwrap();
    let begun: Vec<_> = work
        .log()
        .into_iter()
        .filter(|line| line.starts_with('+'))
        .collect();
    assert_eq!(begun, ["+a1", "+a2", "+a3", "+a4", "+a5"]);
    let sums = recorded.sums(metering::PREFIX);
    for (outcome, count) in [("ok", 2.0), ("error", 1.0), ("panic", 2.0)] {
        let sum = sums[&format!("handled_total{{outcome={outcome}}}")];
        assert!((sum - count).abs() < 0.1, "{outcome}: {sum}");
    }
}

#[tokio::test]
async fn resumed_is_handled_alone_between_what_was_before_and_what_comes_after() {
    let (database, mut listener) = listening("abc", 100).await;
    let handlers = Handlers::new(4).unwrap();
    let work = Work::default();
    let (gate, _) = watch::channel(false);
    let mut status = listener.status();
    let handling = listener.listen_with_handler_until(&handlers, work.until_open(&gate), async {
        send(&database, "a_queue").await;
        send(&database, "b_queue").await;
        work.reach(&["+a1", "+b1"]).await;
        status.mark_unchanged();
        terminate(&database).await;
        timeout(SOON, status.changed()).await.unwrap().unwrap();
        let is_back = |it: &ListenerStatus| *it == ListenerStatus::Connected;
        timeout(SOON, status.wait_for(is_back))
            .await
            .unwrap()
            .unwrap();
        send(&database, "c_queue").await;
        gate.send_replace(true);
        work.ends(4).await;
    });
    timeout(SOON, handling).await.unwrap().unwrap();
    let mut log = work.log();
    assert_eq!(
        log.split_off(4),
        ["+resumed", "-resumed", "+c1", "-c1"],
        "after {log:?}"
    );
}

#[tokio::test]
async fn while_handlers_are_busy_the_buffer_overflows_and_the_catch_up_finds_the_rest() {
    const COUNT: usize = 100;
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create(&database, "a_queue").await;
    let recorded = Recorded::default();
    // With a buffer of ten.
    let mut listener = metering::listener(&database, &recorded).await;
    listener.listen_message_ready_global().await.unwrap();
    listener.connect().await.unwrap();
    let handlers = Handlers::new(2).unwrap();
    let (gate, opened) = watch::channel(false);
    let told = Arc::new(Mutex::new(BTreeSet::new()));
    let handler = {
        let told = Arc::clone(&told);
        move |event: PgmqNotifyEvent| {
            let (told, mut opened) = (Arc::clone(&told), opened.clone());
            async move {
                let waited = opened.wait_for(|is_open| *is_open).await;
                waited.map_err(|error| error.to_string())?;
                let mut told = told.lock().map_err(|error| error.to_string())?;
                match event {
                    PgmqNotifyEvent::BatchReady(event) => told.extend(event.msg_ids),
                    PgmqNotifyEvent::Resumed(_) => {}
                    event => told.extend([super::message(&event).1]),
                }
                Ok::<_, String>(())
            }
        }
    };
    let handling = listener.listen_with_handler_until(&handlers, handler, async {
        burst(&database, 'a', COUNT).await;
        eventually(SOON, || async {
            let sums = recorded.sums(metering::PREFIX);
            // One is handled, two are taken ahead, ten are in the buffer; at least the ten.
            match sums.get("overflowed_events_total") {
                Some(overflowed) if (87.0..=90.0).contains(overflowed) => Ok(()),
                _ => Err(sums),
            }
        })
        .await;
        gate.send_replace(true);
        eventually(SOON, || async {
            let told = told.lock().unwrap().len();
            if told == COUNT { Ok(()) } else { Err(told) }
        })
        .await;
    });
    timeout(SOON, handling).await.unwrap().unwrap();
    let stats = listener.stats();
    assert_eq!((stats.overflows, stats.resumed), (1, 1));
}

#[tokio::test]
async fn after_a_disconnect_the_rest_is_handled_and_then_it_ends() {
    let (database, mut listener) = listening("a", 10).await;
    burst(&database, 'a', 15).await;
    // Then ten are in the buffer.
    eventually(SOON, || async {
        let stats = listener.stats();
        if stats.overflowed_events == 5 {
            Ok(())
        } else {
            Err(stats)
        }
    })
    .await;
    listener.disconnect().await;
    let handlers = Handlers::new(3).unwrap();
    let work = Work::default();
    let (gate, _) = watch::channel(true);
    let handling = listener.listen_with_handler(&handlers, work.until_open(&gate));
    timeout(SOON, handling).await.unwrap().unwrap();
    let mut expected: Vec<_> = (1..=10)
        .flat_map(|id| [format!("+a{id}"), format!("-a{id}")])
        .collect();
    expected.extend(["+resumed".to_owned(), "-resumed".to_owned()]);
    assert_eq!(work.log(), expected);
    assert_eq!(handlers.stats().handled, 11);
}

#[tokio::test]
async fn cancelled_it_leaves_no_task_and_loses_nothing_that_was_not_begun() {
    let (database, mut listener) = listening("a", 100).await;
    let handlers = Handlers::new(4).unwrap();
    let work = Work::default();
    let (gate, _) = watch::channel(false);
    let handler = work.until_open(&gate);
    tokio::select! {
        biased;
        () = async {
            burst(&database, 'a', 6).await;
            work.reach(&["+a1"]).await;
        } => {}
        ended = listener.listen_with_handler(&handlers, handler) => panic!("{ended:?}"),
    }
    // Each handler holds a receiver while there is one.
    eventually(SOON, || async {
        let left = gate.receiver_count();
        if left == 0 { Ok(()) } else { Err(left) }
    })
    .await;
    for id in 2..=6 {
        assert_eq!(next_message(&mut listener).await, ("a".into(), id));
    }
    assert_eq!(work.log(), ["+a1"]);
    assert_eq!(handlers.stats(), HandlerStats::default());
}

#[tokio::test]
async fn what_cannot_work_is_an_error() {
    let kind = Handlers::new(0).unwrap_err().kind();
    assert_eq!(kind, ListenerErrorKind::Argument);
    let (_database, mut listener) = {
        let config = PgmqNotifyConfig::new();
        let database = TestDatabase::migrated(&config).await;
        let pool = database.pool().clone();
        (
            database,
            PgmqNotifyListener::new(pool, config, 1).await.unwrap(),
        )
    };
    let handlers = Handlers::new(1).unwrap();
    let handler =
        async |event: PgmqNotifyEvent| -> Result<(), String> { Err(format!("{event:?}")) };
    let handling = listener.listen_with_handler(&handlers, handler);
    let error = timeout(SOON, handling).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ListenerErrorKind::NotConnected);
}
