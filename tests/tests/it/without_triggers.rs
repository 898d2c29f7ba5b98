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
async fn set_vt_publishes_what_becomes_visible_early_and_nothing_else() {
    let config = config();
    let database = TestDatabase::migrated(&config).await;
    database
        .run("select pgmq.create('Orders_queue'); select pgmq.send_batch('Orders_queue', array['1', '2', '3']::jsonb[])")
        .await
        .unwrap();
    let mut heard = Heard::messages(&database, &config).await;
    let read = "select pgmq.read('Orders_queue', 3600, 3)";
    for (times, expected) in [
        // The overloads, and which messages each of them releases.
        (["'Orders_queue', 1, 7200", "'Orders_queue', 2, 0"], vec![2]),
        (
            [
                "'Orders_queue', 1, now() + '3 hours'",
                "'Orders_queue', 1, now()",
            ],
            vec![1],
        ),
        (
            [
                "'Orders_queue', array[1, 2], 7200",
                "'Orders_queue', array[3, 1], 0",
            ],
            vec![1, 3],
        ),
        (
            [
                "'Orders_queue', array[2], 'infinity'::timestamptz",
                "'Orders_queue', array[1, 2, 3, 99], now() + '1 min'",
            ],
            vec![1, 2, 3],
        ),
    ] {
        database
            .run("update pgmq.q_orders_queue set vt = now()")
            .await
            .unwrap();
        database.run(read).await.unwrap();
        let mut changed = Vec::new();
        for arguments in times {
            let sql = format!("select msg_id from pgmq_notify.set_vt({arguments})");
            changed = sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(sql))
                .fetch_all(database.pool())
                .await
                .unwrap_or_else(|error| panic!("{arguments}: {error:?}"));
        }
        changed.sort_unstable();
        assert_eq!(changed, expected);
        let mut told = Vec::new();
        for _ in &expected {
            match heard.event().await {
                PgmqNotifyEvent::MessageReady(event) => {
                    assert_eq!(event.queue_name, "Orders_queue");
                    told.push(event.msg_id);
                }
                other => panic!("{other:?}"),
            }
        }
        told.sort_unstable();
        assert_eq!(told, expected);
    }
    // It was visible before.
    database
        .run("select pgmq_notify.set_vt('Orders_queue', 1, 0); select pgmq_notify.set_vt('Orders_queue', 1, -9); select pgmq_notify.send('Orders_queue', '7')")
        .await
        .unwrap();
    assert!(matches!(heard.event().await, PgmqNotifyEvent::MessageReady(e) if e.msg_id == 1));
    assert!(matches!(
        heard.event().await,
        PgmqNotifyEvent::MessageWithPayload(_)
    ));
}

#[tokio::test]
async fn switching_between_triggers_and_functions_leaves_nothing_of_the_other() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    database
        .run("select pgmq.create('orders_queue')")
        .await
        .unwrap();
    assert_eq!(own_triggers(&database).await, 4);
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
    assert_eq!(own_triggers(&database).await, 4);
    let functions: i64 = sqlx::query_scalar(
        "select count(*) from pg_proc p join pg_namespace n on n.oid = p.pronamespace where nspname = 'pgmq_notify' and proname = 'send'",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    assert_eq!(functions, 0);
}
