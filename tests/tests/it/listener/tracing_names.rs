//! The spans and events that the listener's documentation names, and no others.

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_listener::{Handlers, PgmqNotifyListener};
use pgmq_notify_tests::{TestDatabase, eventually};
use sqlx::postgres::PgPoolOptions;
use tracing::Level;

use super::silence::{server, signal, the_backend};
use super::{SOON, gap, next, next_message, send, terminate};
use crate::observed::{Documented, Recorder, check, check_text, documented, levels, values};

const BUFFER: usize = 10;

const DOCUMENTED: [Documented; 14] = [
    documented("pgmq_notify_listener.connect", "span, info", &["attempt"]),
    documented(
        "pgmq_notify_listener.catch_up",
        "span, info",
        &["namespaces", "queues"],
    ),
    documented(
        "pgmq_notify_listener.handle",
        "span, info",
        &["kind", "queue"],
    ),
    documented(
        "the listener has no session",
        "event, warn",
        &["attempt", "reason", "wait_ms"],
    ),
    documented(
        "the listener has a session again",
        "event, info",
        &["gap_ms"],
    ),
    documented(
        "the buffer is full",
        "event, warn or debug",
        &["capacity", "count"],
    ),
    documented(
        "unreadable notification",
        "event, warn or debug",
        &["channel", "count", "reason"],
    ),
    documented(
        "the catch-up looks again",
        "event, debug",
        &["at", "attempt", "reason"],
    ),
    documented(
        "the catch-up leaves something out",
        "event, warn",
        &["at", "cause", "reason"],
    ),
    documented("the queues are not known yet", "event, debug", &["reason"]),
    documented(
        "the server has not heard of an unlisten yet",
        "event, debug",
        &["reason"],
    ),
    documented(
        "a handler failed",
        "event, warn",
        &["cause", "kind", "queue"],
    ),
    documented("a handler panicked", "event, error", &["kind", "queue"]),
    documented(
        "the server did not close the listening connection in time",
        "event, warn",
        &[],
    ),
];

// One thread: the recorder is the default of this one, and the listener's tasks run here.
#[tokio::test]
async fn every_documented_span_and_event_is_seen_with_its_level_and_fields_and_no_other() {
    let (server, database) = server().await;
    let recorder = Recorder::of("pgmq_notify_listener");
    let _default = tracing::subscriber::set_default(recorder.clone());
    // Closed at the end, and the database's own is not.
    let pool = PgPoolOptions::new().connect_lazy_with(database.options());
    let mut listener = PgmqNotifyListener::new(pool.clone(), PgmqNotifyConfig::new(), BUFFER)
        .await
        .unwrap();
    listener
        .listen_message_ready_for_namespace("orders")
        .await
        .unwrap();
    listener.connect().await.unwrap();
    let connects = recorder.named("pgmq_notify_listener.connect");
    assert_eq!(values(&connects, "attempt"), ["0"]);

    unreadable_notifications(&database, &recorder, &mut listener).await;
    queues_that_cannot_be_seen(&database, &mut listener).await;
    a_lost_session(&database, &recorder, &mut listener).await;
    overflows(&database, &recorder, &mut listener).await;
    handlers(&database, &recorder, &mut listener).await;

    pool.close().await;
    listener.unlisten_queue_created().await.unwrap();
    let backend = the_backend(&database).await;
    signal("-STOP", backend);
    listener.disconnect().await;
    signal("-CONT", backend);

    check(&DOCUMENTED, &recorder.all(), &[], &[]);
    drop(server);
}

async fn unreadable_notifications(
    database: &TestDatabase,
    recorder: &Recorder,
    listener: &mut PgmqNotifyListener,
) {
    for nonsense in ["'1'", "'2'", "'3'"] {
        let notify = format!("notify \"pgmq_message_ready.orders\", {nonsense}");
        database.run(notify).await.unwrap();
    }
    let id = send(database, "orders_queue").await;
    assert_eq!(next_message(listener).await, ("orders".into(), id));
    let unreadable = recorder.named("unreadable notification");
    assert_eq!(
        levels(&unreadable),
        [Level::WARN, Level::WARN, Level::DEBUG]
    );
    assert_eq!(values(&unreadable, "count"), ["1", "2", "3"]);
    assert_eq!(
        values(&unreadable, "channel"),
        ["pgmq_message_ready.orders"; 3]
    );
}

async fn queues_that_cannot_be_seen(database: &TestDatabase, listener: &mut PgmqNotifyListener) {
    database
        .run("alter table pgmq.meta rename to not_there")
        .await
        .unwrap();
    listener.listen_queue_created().await.unwrap();
    database
        .run("alter table pgmq.not_there rename to meta")
        .await
        .unwrap();
}

/// And a catch-up that cannot see the messages of a queue.
async fn a_lost_session(
    database: &TestDatabase,
    recorder: &Recorder,
    listener: &mut PgmqNotifyListener,
) {
    database
        .run("alter table pgmq.q_orders_queue rename column vt to not_there")
        .await
        .unwrap();
    terminate(database).await;
    gap(listener).await;
    eventually(SOON, || async {
        match recorder.named("the catch-up leaves something out").len() {
            1 => Ok(()),
            _ => Err(recorder.all()),
        }
    })
    .await;
    database
        .run("alter table pgmq.q_orders_queue rename column not_there to vt")
        .await
        .unwrap();
    let id = send(database, "orders_queue").await;
    assert_eq!(next_message(listener).await, ("orders".into(), id));

    let connects = recorder.named("pgmq_notify_listener.connect");
    assert_eq!(values(&connects, "attempt"), ["0", "1"]);
    let lost = recorder.named("the listener has no session");
    assert_eq!(values(&lost, "attempt"), ["1"]);
    assert_eq!(recorder.named("the listener has a session again").len(), 1);
    let catch_ups = recorder.named("pgmq_notify_listener.catch_up");
    assert_eq!(values(&catch_ups, "namespaces"), ["1"]);
    assert_eq!(values(&catch_ups, "queues"), ["true"]);
    let again = recorder.named("the catch-up looks again");
    assert_eq!(values(&again, "attempt"), ["1", "2", "3", "4"]);
    assert_eq!(values(&again, "at"), ["orders_queue"; 4]);
}

async fn overflows(
    database: &TestDatabase,
    recorder: &Recorder,
    listener: &mut PgmqNotifyListener,
) {
    for overflows in 1..=3 {
        database
            .run(
                "do $$ begin for i in 1..30 loop perform pgmq.send('orders_queue', '{}'); end loop; end $$;
                 select pgmq.purge_queue('orders_queue')",
            )
            .await
            .unwrap();
        eventually(SOON, || async {
            let stats = listener.stats();
            if stats.overflowed_events == 20 * overflows {
                Ok(())
            } else {
                Err(stats)
            }
        })
        .await;
        while !matches!(next(listener).await, PgmqNotifyEvent::Resumed(_)) {}
        // The first may be found by the catch-up and published too; when it was seen, the catch-up has ended.
        for _ in 0..2 {
            let id = send(database, "orders_queue").await;
            while next_message(listener).await.1 != id {}
        }
    }
    let full = recorder.named("the buffer is full");
    assert_eq!(levels(&full), [Level::WARN, Level::WARN, Level::DEBUG]);
    assert_eq!(values(&full, "count"), ["1", "2", "3"]);
    assert_eq!(values(&full, "capacity"), ["10"; 3]);
}

async fn handlers(database: &TestDatabase, recorder: &Recorder, listener: &mut PgmqNotifyListener) {
    let first = send(database, "orders_queue").await;
    send(database, "orders_queue").await;
    let handlers = Handlers::new(1).unwrap();
    let handler = move |event: PgmqNotifyEvent| async move {
        let (_, id) = super::message(&event);
        assert_eq!(id, first, "which is the second");
        Err::<(), _>("the first")
    };
    let both = eventually(SOON, || async {
        let stats = handlers.stats();
        if (stats.failed, stats.panicked) == (1, 1) {
            Ok(())
        } else {
            Err(stats)
        }
    });
    listener
        .listen_with_handler_until(&handlers, handler, both)
        .await
        .unwrap();
    let failed = recorder.named("a handler failed");
    assert_eq!(values(&failed, "cause"), ["\"the first\""]);
    let calls = recorder.named("pgmq_notify_listener.handle");
    for traced in [failed, recorder.named("a handler panicked"), calls] {
        for one in &traced {
            assert_eq!(one.fields["kind"], "message_with_payload");
            assert_eq!(one.fields["queue"], "orders_queue");
        }
    }
}

#[test]
fn the_documentation_has_these_names_levels_and_fields() {
    let documentation = include_str!("../../../../crates/pgmq-notify-listener/src/lib.rs");
    check_text(&DOCUMENTED, documentation);
}
