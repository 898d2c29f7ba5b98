//! Where nobody may put triggers on PGMQ's tables: functions send and notify in one transaction.

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_tests::{Heard, TestDatabase};

fn config() -> PgmqNotifyConfig {
    PgmqNotifyConfig::new().with_triggers_enabled(false)
}

async fn own_triggers(database: &TestDatabase) -> i64 {
    sqlx::query_scalar("select count(*) from pg_trigger where tgname like 'pgmq_notify%'")
        .fetch_one(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_functions_send_and_publish_every_event() {
    let database = TestDatabase::migrated(&config()).await;
    let channels = config().channels().unwrap();
    let mut heard = Heard::on(
        &database,
        [
            channels.queue_created().as_str(),
            channels.queue_dropped().as_str(),
            channels.message_ready_global().as_str(),
        ],
    )
    .await;
    assert_eq!(own_triggers(&database).await, 0);

    database
        .run("select pgmq_notify.\"create\"('Orders_queue')")
        .await
        .unwrap();
    assert!(
        matches!(heard.event().await, PgmqNotifyEvent::QueueCreated(e) if e.queue_name == "Orders_queue")
    );
    database
        .run("select pgmq_notify.\"create\"('Orders_queue')")
        .await
        .unwrap();
    database
        .run("select pgmq_notify.create_unlogged('fast_queue')")
        .await
        .unwrap();
    assert!(
        matches!(heard.event().await, PgmqNotifyEvent::QueueCreated(e) if e.is_unlogged),
        "created once only"
    );

    let id: i64 = sqlx::query_scalar("select pgmq_notify.send('Orders_queue', '{\"a\": 1}', '{\"h\": 2}', now() + interval '1 hour')")
        .fetch_one(database.pool())
        .await
        .unwrap();
    let PgmqNotifyEvent::MessageWithPayload(event) = heard.event().await else {
        panic!("a small message has its body with it");
    };
    assert_eq!((event.msg_id, event.message.as_str()), (id, "{\"a\": 1}"));
    assert_eq!(event.headers.unwrap().as_str(), "{\"h\": 2}");
    assert!(
        (3599..=3600).contains(&event.delay_seconds),
        "{}",
        event.delay_seconds
    );

    database
        .run("select pgmq_notify.send('Orders_queue', to_jsonb(repeat('x', 9000)))")
        .await
        .unwrap();
    assert!(matches!(
        heard.event().await,
        PgmqNotifyEvent::MessageReady(_)
    ));

    let ids: Vec<i64> = sqlx::query_scalar(
        "select pgmq_notify.send_batch('Orders_queue', array['1', '2', '3']::jsonb[])",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert!(matches!(heard.event().await, PgmqNotifyEvent::BatchReady(e) if e.msg_ids == ids));

    database
        .run("select pgmq_notify.drop_queue('Orders_queue')")
        .await
        .unwrap();
    assert!(
        matches!(heard.event().await, PgmqNotifyEvent::QueueDropped(e) if e.queue_name == "Orders_queue")
    );
}

#[tokio::test]
async fn a_topic_publishes_one_event_per_queue_it_reaches() {
    let database = TestDatabase::migrated(&config()).await;
    let mut heard = Heard::messages(&database, &config()).await;
    for queue in ["a_queue", "b_queue", "c_queue"] {
        database
            .run(format!("select pgmq_notify.\"create\"('{queue}')"))
            .await
            .unwrap();
    }
    database
        .run("select pgmq.bind_topic('logs.*', 'a_queue'), pgmq.bind_topic('logs.#', 'b_queue'), pgmq.bind_topic('logs.#', 'a_queue')")
        .await
        .unwrap();
    let reached: i32 = sqlx::query_scalar("select pgmq_notify.send_topic('logs.error', '1')")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(reached, 2);
    for queue in ["a_queue", "b_queue"] {
        assert!(
            matches!(heard.event().await, PgmqNotifyEvent::MessageWithPayload(e) if e.queue_name == queue)
        );
    }
    let sent = sqlx::query(
        "select * from pgmq_notify.send_batch_topic('logs.error', array['1', '2']::jsonb[])",
    )
    .fetch_all(database.pool())
    .await
    .unwrap();
    assert_eq!(sent.len(), 4);
    for queue in ["a_queue", "b_queue"] {
        assert!(
            matches!(heard.event().await, PgmqNotifyEvent::BatchReady(e) if e.queue_name == queue)
        );
    }
}

#[tokio::test]
async fn switching_between_triggers_and_functions_leaves_nothing_of_the_other() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    database
        .run("select pgmq.create('orders_queue')")
        .await
        .unwrap();
    assert_eq!(own_triggers(&database).await, 3);
    database.migrate(&config()).await;
    assert_eq!(own_triggers(&database).await, 0);
    let mut heard = Heard::messages(&database, &config()).await;
    database.run("select pgmq_notify.send('orders_queue', '1'); select pgmq_notify.send('orders_queue', '2')").await.unwrap();
    for body in ["1", "2"] {
        let event = heard.event().await;
        assert!(
            matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == body),
            "{event:?}"
        );
    }
    database.migrate(&PgmqNotifyConfig::new()).await;
    assert_eq!(own_triggers(&database).await, 3);
    let functions: i64 = sqlx::query_scalar(
        "select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace where nspname = 'pgmq_notify' and proname = 'send'",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert_eq!(functions, 0);
}
