//! `with_triggers_enabled(false)`: the client sends and creates through functions that notify.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use pgmq_notify_client::{
    ErrorKind, MessageVisibility, Partitions, PgmqNotifyClient, PgmqNotifyConfig, When,
};
use pgmq_notify_core::PgmqNotifyEvent;
use pgmq_notify_tests::{Heard, Pgmq, TestDatabase};
use serde_json::json;

use super::{LONG, told};

fn config() -> PgmqNotifyConfig {
    PgmqNotifyConfig::new().with_triggers_enabled(false)
}

#[tokio::test]
async fn creating_sending_and_dropping_publish_their_events() {
    let database = TestDatabase::migrated(&config()).await;
    let client = PgmqNotifyClient::with_pool(database.pool().clone(), config()).unwrap();
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
    client.create_queue("Orders_queue").await.unwrap();
    let event = heard.event().await;
    assert!(
        matches!(&event, PgmqNotifyEvent::QueueCreated(e) if e.queue_name == "Orders_queue"),
        "{event:?}"
    );
    client.create_unlogged_queue("fast_queue").await.unwrap();
    let event = heard.event().await;
    assert!(
        matches!(&event, PgmqNotifyEvent::QueueCreated(e) if e.is_unlogged),
        "{event:?}"
    );

    let msg_id = client
        .send("Orders_queue", &json!({"a": 1}))
        .headers(&json!({"h": 2}))
        .delay(Duration::from_millis(3_600_500))
        .await
        .unwrap();
    let PgmqNotifyEvent::MessageWithPayload(event) = heard.event().await else {
        panic!("a small message has its body with it");
    };
    assert_eq!(
        (event.msg_id, event.message.as_str()),
        (msg_id, "{\"a\": 1}")
    );
    assert_eq!(event.headers.unwrap().as_str(), "{\"h\": 2}");

    let sent = client.send_batch("Orders_queue", 0..3).await.unwrap();
    let event = heard.event().await;
    assert!(
        matches!(&event, PgmqNotifyEvent::BatchReady(e) if e.msg_ids == sent),
        "{event:?}"
    );

    client.bind_topic("logs.#", "Orders_queue").await.unwrap();
    assert_eq!(client.send_topic("logs.x", &7).await.unwrap(), 1);
    let event = heard.event().await;
    assert!(
        matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == "7"),
        "{event:?}"
    );
    let sent = client.send_batch_topic("logs.x", [8, 9]).await.unwrap();
    let sent: Vec<_> = sent.iter().map(|message| message.msg_id).collect();
    let event = heard.event().await;
    assert!(
        matches!(&event, PgmqNotifyEvent::BatchReady(e) if e.msg_ids == sent),
        "{event:?}"
    );

    let read = client
        .read_batch::<u8>("Orders_queue", LONG, 99)
        .await
        .unwrap();
    assert_eq!(read.len(), 6);
    assert!(client.drop_queue("Orders_queue").await.unwrap());
    let event = heard.event().await;
    assert!(
        matches!(&event, PgmqNotifyEvent::QueueDropped(e) if e.queue_name == "Orders_queue"),
        "{event:?}"
    );
    assert!(!client.drop_queue("Orders_queue").await.unwrap());
}

#[tokio::test]
async fn a_message_given_back_is_published() {
    let database = TestDatabase::migrated(&config()).await;
    let client = PgmqNotifyClient::with_pool(database.pool().clone(), config()).unwrap();
    client.create_queue("Orders_queue").await.unwrap();
    let sent = client.send_batch("Orders_queue", 0..2).await.unwrap();
    let mut heard = Heard::messages(&database, &config()).await;
    for at in [
        When::from(Duration::ZERO),
        When::from(SystemTime::UNIX_EPOCH),
    ] {
        for batch in [false, true] {
            let held = client
                .read_batch::<u8>("Orders_queue", LONG, 2)
                .await
                .unwrap();
            assert_eq!(held.len(), 2);
            let mut given_back: Vec<MessageVisibility> = Vec::new();
            if batch {
                given_back = client
                    .set_vt_batch("Orders_queue", &sent, at)
                    .await
                    .unwrap();
            } else {
                for id in &sent {
                    given_back.extend(client.set_vt("Orders_queue", *id, at).await.unwrap());
                }
            }
            for (id, given_back) in sent.iter().zip(given_back) {
                assert_eq!(given_back.msg_id, *id);
                let event = heard.event().await;
                assert!(
                    matches!(&event, PgmqNotifyEvent::MessageReady(e) if e.msg_id == *id),
                    "{event:?}"
                );
            }
        }
    }
    let sent = client.set_vt("Orders_queue", 99, Duration::ZERO).await;
    assert_eq!(sent.unwrap(), None);
}

#[tokio::test]
async fn a_rolled_back_send_publishes_nothing() {
    let database = TestDatabase::migrated(&config()).await;
    let client = PgmqNotifyClient::with_pool(database.pool().clone(), config()).unwrap();
    client.create_queue("orders_queue").await.unwrap();
    let mut heard = Heard::messages(&database, &config()).await;
    let mut transaction = client.pool().begin().await.unwrap();
    client
        .send("orders_queue", "undone")
        .on(&mut transaction)
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    client.send("orders_queue", "done").await.unwrap();
    let event = heard.event().await;
    assert!(
        matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == "\"done\""),
        "{event:?}"
    );
}

#[tokio::test]
async fn a_missing_installation_is_an_error_that_names_the_generator() {
    let database = TestDatabase::new().await;
    let client = PgmqNotifyClient::with_pool(database.pool().clone(), config()).unwrap();
    database
        .run("select pgmq.create('orders_queue')")
        .await
        .unwrap();
    for installed_for_triggers in [false, true] {
        if installed_for_triggers {
            database.migrate(&PgmqNotifyConfig::new()).await;
        }
        for error in [
            client.create_queue("orders_queue").await.unwrap_err(),
            client
                .create_unlogged_queue("orders_queue")
                .await
                .unwrap_err(),
            client.drop_queue("orders_queue").await.unwrap_err(),
            client.send("orders_queue", &1).await.unwrap_err(),
            client.send_batch("orders_queue", [1]).await.unwrap_err(),
            client.send_topic("a", &1).await.unwrap_err(),
            client.send_batch_topic("a", [1]).await.unwrap_err(),
            client.set_vt("orders_queue", 1, LONG).await.unwrap_err(),
            client
                .set_vt_batch("orders_queue", &[1], LONG)
                .await
                .unwrap_err(),
        ] {
            assert_eq!(
                error.kind(),
                ErrorKind::FunctionsMissing,
                "{}",
                told(&error)
            );
            assert!(
                error.to_string().contains("pgmq-notify generate-migration"),
                "{error}"
            );
        }
        assert!(
            client
                .read::<u8>("orders_queue", LONG)
                .await
                .unwrap()
                .is_none()
        );
    }
}

#[tokio::test]
async fn a_partitioned_queue_needs_pg_partman_here_too_whatever_its_partitions() {
    let database = TestDatabase::with(Pgmq::V1_13).await;
    database.migrate(&config()).await;
    let client = PgmqNotifyClient::with_pool(database.pool().clone(), config()).unwrap();
    let ten = NonZeroU32::new(10).unwrap();
    let partitions = Partitions::by_messages(ten, ten);
    for partitions in [partitions.clone(), partitions.premake(ten)] {
        let error = client
            .create_partitioned_queue("big_queue", &partitions)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PartmanMissing, "{}", told(&error));
    }
}
