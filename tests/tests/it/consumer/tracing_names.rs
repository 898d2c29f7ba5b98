//! The spans and events that the consumer's documentation names, and no others.

use std::sync::Arc;

use pgmq_notify_client::{HandlerError, Message, RetryPolicy, Source};
use pgmq_notify_core::Delivery;
use sqlx::AssertSqlSafe;
use tokio::sync::Semaphore;
use tracing::Level;

use super::*;
use crate::observed::{
    Documented, Recorder, Traced, check, check_text, documented, levels, values,
};

/// What stands in the table of the documentation: the levels and the fields of each name.
const DOCUMENTED: [Documented; 22] = [
    documented(
        "pgmq_notify_consumer.claim",
        "span, debug",
        &["asked", "claimed", "queue", "reason"],
    ),
    documented(
        "pgmq_notify_consumer.handle",
        "span, info",
        &["attempt", "msg_id", "queue"],
    ),
    documented("a queue is consumed", "event, debug", &["queue"]),
    documented(
        "a queue is not consumed any more",
        "event, debug",
        &["queue"],
    ),
    documented("a queue is gone", "event, warn", &["cause", "queue"]),
    documented(
        "a queue cannot be consumed",
        "event, error",
        &["cause", "queue"],
    ),
    documented(
        "the queues could not be looked at",
        "event, warn",
        &["cause"],
    ),
    documented(
        "the consumer has no connection",
        "event, warn",
        &["cause", "queue"],
    ),
    documented(
        "senders could not be told whether the consumer sleeps",
        "event, warn",
        &["cause"],
    ),
    documented(
        "senders could not be told that the consumer has left",
        "event, warn",
        &["cause"],
    ),
    documented(
        "messages could not be claimed",
        "event, error",
        &["cause", "queue"],
    ),
    documented(
        "a handler failed",
        "event, warn",
        &["attempt", "cause", "delay_ms", "msg_id", "queue"],
    ),
    documented(
        "a dead letter",
        "event, error",
        &[
            "attempt",
            "cause",
            "dead_letters",
            "msg_id",
            "queue",
            "reason",
        ],
    ),
    documented(
        "a dead letter could not be moved, its message stays",
        "event, error",
        &["attempt", "cause", "dead_letters", "msg_id", "queue"],
    ),
    documented(
        "leases were not extended",
        "event, warn",
        &["cause", "messages", "queue"],
    ),
    documented(
        "a lease could not be extended in time",
        "event, warn",
        &["attempt", "msg_id", "queue"],
    ),
    documented(
        "a lease was lost",
        "event, warn",
        &["attempt", "msg_id", "noticed", "queue"],
    ),
    documented(
        "messages are not settled yet",
        "event, warn",
        &["cause", "messages", "queue"],
    ),
    documented(
        "messages were not settled, and will come back",
        "event, error",
        &["cause", "messages", "queue"],
    ),
    documented(
        "a message could not be settled",
        "event, error",
        &["attempt", "cause", "msg_id", "queue"],
    ),
    documented("no more events", "event, error", &["cause"]),
    documented(
        "the consumer has stopped",
        "event, info",
        &["aborted", "unsettled"],
    ),
];

/// They would tell of a fault of the consumer itself: one of its tasks has ended before the others.
const UNSEEN: [&str; 2] = ["a message could not be settled", "no more events"];

const ORDERS: &str = "orders_queue";
/// Its leases are short.
const BRIEF: &str = "brief_queue";

struct Scene {
    database: TestDatabase,
    client: PgmqNotifyClient,
    recorder: Recorder,
    consumer: Consumer,
    /// A handler of `wait` ends with a permit of it.
    gate: Arc<Semaphore>,
}

impl Scene {
    async fn run(&self, sql: &str) {
        self.database.run(sql).await.unwrap();
    }

    async fn send(&self, queue: &str, body: &str) -> String {
        let id = self.client.send(queue, &body).await.unwrap();
        id.to_string()
    }

    /// Waits until there are so many of this name.
    async fn seen(&self, name: &str, times: usize) {
        eventually(SOON, || async {
            if self.recorder.named(name).len() >= times {
                Ok(())
            } else {
                Err(self.recorder.all())
            }
        })
        .await;
    }

    /// While nothing else is.
    async fn in_flight(&self, messages: u64) {
        until(&self.consumer, |it| it.in_flight == messages).await;
    }

    /// The values of a field of a name, in their order.
    fn values(&self, name: &str, field: &str) -> Vec<String> {
        let traced = self.recorder.named(name);
        values(&traced, field)
            .into_iter()
            .map(str::to_owned)
            .collect()
    }
}

async fn handle(
    message: Message<String>,
    _: Claim,
    gate: Arc<Semaphore>,
) -> Result<(), HandlerError> {
    match message.body.as_str() {
        "wait" => gate.acquire().await?.forget(),
        "fail" => return Err("it is in the body".into()),
        "never" => return Err(HandlerError::fatal("not this one")),
        _ => {}
    }
    Ok(())
}

// One thread: the recorder is the default of this one, and the consumer's tasks run here.
#[tokio::test]
async fn every_documented_span_and_event_is_seen_with_its_level_and_fields_and_no_other() {
    let config = PgmqNotifyConfig::new().with_namespace_delivery("brief", Delivery::WakeUp);
    let database = TestDatabase::migrated(&config).await;
    let client = client_of(&database, config);
    for queue in [ORDERS, BRIEF, "mail_queue"] {
        client.create_queue(queue).await.unwrap();
    }
    let recorder = Recorder::of("pgmq_notify_client::consumer");
    let _default = tracing::subscriber::set_default(recorder.clone());
    let gate = Arc::new(Semaphore::new(0));
    let handler = |gate: &Arc<Semaphore>| {
        let gate = Arc::clone(gate);
        move |message: Message<String>, claim: Claim| handle(message, claim, Arc::clone(&gate))
    };
    let retry = RetryPolicy::new()
        .with_initial_delay(Duration::from_millis(10))
        .with_max_attempts(2);
    let brief = Source::queue(BRIEF).with_visibility_timeout(Duration::from_secs(1));
    let consumer = Consumer::builder(client.clone())
        .source(Source::queue(ORDERS).with_retry(retry), handler(&gate))
        .source(brief, handler(&gate))
        .namespace("mail", handler(&gate))
        .start()
        .await
        .unwrap();
    let scene = Scene {
        database,
        client,
        recorder,
        consumer,
        gate,
    };

    handlers(&scene).await;
    dead_letters(&scene).await;
    queues(&scene).await;
    claims(&scene).await;
    settlements(&scene).await;
    leases(&scene).await;
    // The senders to one queue are told.
    scene
        .run("alter table pgmq_notify.parked rename to not_there")
        .await;
    let untold = "senders could not be told whether the consumer sleeps";
    scene.seen(untold, 1).await;

    scene.consumer.shutdown().await;
    check(&DOCUMENTED, &scene.recorder.all(), &UNSEEN, &["claimed"]);
}

async fn handlers(scene: &Scene) {
    scene.seen("a queue is consumed", 3).await;
    until(&scene.consumer, |it| it.empty_claims == 3).await;
    let id = scene.send(ORDERS, "well").await;
    until(&scene.consumer, |it| it.done == 1).await;
    let handled = "pgmq_notify_consumer.handle";
    assert_eq!(scene.values(handled, "queue"), [ORDERS]);
    assert_eq!(scene.values(handled, "msg_id"), [id]);
    assert_eq!(scene.values(handled, "attempt"), ["1"]);
    let claims = scene.recorder.named("pgmq_notify_consumer.claim");
    let brought = |it: &&Traced| it.fields.get("claimed").is_some_and(|it| it == "1");
    let woken = claims.iter().filter(brought);
    let woken: Vec<_> = woken.map(|it| it.fields["reason"].as_str()).collect();
    assert_eq!(woken, ["event"]);
    let looked = claims.iter().filter(|it| it.fields["reason"] == "start");
    assert_eq!(looked.count(), 3, "{claims:?}");
}

async fn dead_letters(scene: &Scene) {
    let id = scene.send(ORDERS, "fail").await;
    scene.seen("a dead letter", 1).await;
    for name in ["a handler failed", "a dead letter"] {
        assert_eq!(scene.values(name, "msg_id"), [id.as_str()]);
        assert_eq!(scene.values(name, "queue"), [ORDERS]);
        assert_eq!(scene.values(name, "cause"), ["it is in the body"]);
    }
    assert_eq!(scene.values("a handler failed", "attempt"), ["1"]);
    assert_eq!(scene.values("a dead letter", "attempt"), ["2"]);
    assert_eq!(scene.values("a dead letter", "reason"), ["attempts"]);
    let dlq = scene.values("a dead letter", "dead_letters");
    assert_eq!(dlq, ["orders_queue_dlq"]);

    scene
        .run("alter table pgmq.q_orders_queue_dlq add constraint is_full check (msg_id < 2)")
        .await;
    scene.send(ORDERS, "never").await;
    let stays = "a dead letter could not be moved, its message stays";
    scene.seen(stays, 1).await;
    scene
        .run("alter table pgmq.q_orders_queue_dlq drop constraint is_full")
        .await;
    scene.seen("a dead letter", 2).await;
    let reasons = scene.values("a dead letter", "reason");
    assert_eq!(reasons, ["attempts", "fatal"]);
    scene.in_flight(0).await;
}

async fn queues(scene: &Scene) {
    // First, while no other look at the queues can notice it.
    scene.consumer.pause("mail_queue").await.unwrap();
    scene.run("drop table pgmq.q_mail_queue cascade").await;
    scene.consumer.resume("mail_queue").await.unwrap();
    scene.seen("a queue is gone", 1).await;
    let gone = "a queue is not consumed any more";
    scene.seen(gone, 1).await;
    assert_eq!(scene.values(gone, "queue"), ["mail_queue"]);

    // Of 47 characters: there is no room for the suffix.
    let long = format!("mail_queue_{}", "x".repeat(36));
    scene.client.create_queue(&long).await.unwrap();
    scene.seen("a queue cannot be consumed", 1).await;
    assert_eq!(scene.values("a queue cannot be consumed", "queue"), [long]);

    // Nobody may look, and somebody who forges an event makes it look.
    scene.run("alter table pgmq.meta rename to not_there").await;
    scene
        .run(
            r#"select pg_notify('pgmq_queue_created', '{"event_type": "queue_created", "queue_name": "mail_queue_2",
              "namespace": "mail", "created_at": "2026-01-02T03:04:05Z", "is_partitioned": false, "is_unlogged": false}')"#,
        )
        .await;
    scene.seen("the queues could not be looked at", 1).await;
    scene.run("alter table pgmq.not_there rename to meta").await;
}

async fn claims(scene: &Scene) {
    scene
        .run(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and application_name like 'pgmq-notify-consumer%'",
        )
        .await;
    let done = scene.consumer.stats().done;
    scene.send(ORDERS, "well").await;
    until(&scene.consumer, |it| it.done > done).await;
    scene.seen("the consumer has no connection", 1).await;

    scene.consumer.pause(ORDERS).await.unwrap();
    let rename = "alter table pgmq.q_orders_queue rename column";
    scene.run(&format!("{rename} headers to not_there")).await;
    scene.consumer.resume(ORDERS).await.unwrap();
    scene.seen("messages could not be claimed", 1).await;
    scene.run(&format!("{rename} not_there to headers")).await;
    scene.send(ORDERS, "well").await;
    until(&scene.consumer, |it| it.done > done + 1).await;
    scene.in_flight(0).await;
}

async fn settlements(scene: &Scene) {
    let counted = "update pgmq.q_orders_queue set read_ct = read_ct + 1 where msg_id =";
    let id = scene.send(ORDERS, "wait").await;
    scene.in_flight(1).await;
    // Somebody else has claimed it.
    scene.run(&format!("{counted} {id}")).await;
    scene.gate.add_permits(1);
    scene.seen("a lease was lost", 1).await;
    assert_eq!(scene.values("a lease was lost", "noticed"), ["settlement"]);
    assert_eq!(scene.values("a lease was lost", "msg_id"), [id]);
    scene.in_flight(0).await;

    scene.send(ORDERS, "wait").await;
    scene.in_flight(1).await;
    let mut blocker = scene.database.pool().begin().await.unwrap();
    let lock = "lock table pgmq.q_orders_queue in access exclusive mode";
    sqlx::raw_sql(AssertSqlSafe(lock))
        .execute(&mut *blocker)
        .await
        .unwrap();
    scene.gate.add_permits(1);
    scene.seen("messages are not settled yet", 1).await;
    blocker.rollback().await.unwrap();
    scene.in_flight(0).await;

    scene.send(ORDERS, "wait").await;
    scene.in_flight(1).await;
    let rename = "alter table pgmq.q_orders_queue rename column";
    scene.run(&format!("{rename} read_ct to not_there")).await;
    scene.gate.add_permits(1);
    let refused = "messages were not settled, and will come back";
    scene.seen(refused, 1).await;
    assert_eq!(scene.values(refused, "messages"), ["1"]);
    scene.run(&format!("{rename} not_there to read_ct")).await;
    scene.in_flight(0).await;
}

async fn leases(scene: &Scene) {
    let id = scene.send(BRIEF, "wait").await;
    scene.in_flight(1).await;
    let mut other = scene.database.pool().begin().await.unwrap();
    let sql = format!("update pgmq.q_brief_queue set read_ct = read_ct + 1 where msg_id = {id}");
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *other)
        .await
        .unwrap();
    let late = "a lease could not be extended in time";
    scene.seen(late, 1).await;
    scene.seen("leases were not extended", 1).await;
    other.commit().await.unwrap();
    scene.seen("a lease was lost", 2).await;
    let noticed = scene.values("a lease was lost", "noticed");
    assert_eq!(noticed, ["settlement", "extension"]);
    assert_eq!(scene.values(late, "queue"), [BRIEF]);
    assert_eq!(scene.values(late, "msg_id"), [id]);
    let not_extended = scene.recorder.named("leases were not extended");
    assert!(levels(&not_extended).iter().all(|it| *it == Level::WARN));
    scene.gate.add_permits(1);
    scene.in_flight(0).await;
}

#[test]
fn the_documentation_has_these_names_levels_and_fields() {
    let documentation = include_str!("../../../../crates/pgmq-notify-client/src/lib.rs");
    check_text(&DOCUMENTED, documentation);
}
