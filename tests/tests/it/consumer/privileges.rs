//! The privileges that the documentation asks for are enough.

use pgmq_notify_client::ConsumerErrorKind;
use pgmq_notify_client::ErrorKind;
use pgmq_notify_client::{Acknowledgement, HandlerError, Message, RetryPolicy, Source};
use pgmq_notify_core::Delivery;
use pgmq_notify_tests::{Pgmq, Server, Settings};
use sqlx::postgres::PgPoolOptions;

use super::*;

/// The grants as the documentation has them: for who installs, for every consumer, and for one that says when it sleeps.
fn documented() -> [String; 3] {
    let documentation = include_str!("../../../../crates/pgmq-notify-client/src/lib.rs");
    let blocks = documentation.split("//! ```sql\n").skip(1);
    let blocks = blocks.map(|it| it.split_once("//! ```\n").unwrap().0.replace("//! ", ""));
    blocks.collect::<Vec<_>>().try_into().unwrap()
}

#[tokio::test]
async fn a_role_with_the_documented_grants_consumes_archives_and_buries() {
    // Roles belong to the whole server.
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    let config = PgmqNotifyConfig::new().with_delivery(Delivery::WakeUp);
    database.migrate(&config).await;
    let owner = client_of(&database, config.clone());
    owner.create_queue("orders_queue").await.unwrap();
    owner.create_queue("orders_queue_dlq").await.unwrap();
    database.run("create role worker login").await.unwrap();
    // So that the grant of it is needed.
    database
        .run("revoke execute on function pgmq_notify.namespace_of from public")
        .await
        .unwrap();
    let [_, every, wake_up] = documented();
    database.run(every).await.unwrap();
    let pool = PgPoolOptions::new().connect_lazy_with(database.options().username("worker"));
    let client = PgmqNotifyClient::with_pool(pool.clone(), config).unwrap();
    let refused = Consumer::builder(client.clone())
        .queue("orders_queue", ok)
        .start();
    let error = refused.await.unwrap_err();
    let denied = ConsumerErrorKind::Client(ErrorKind::PermissionDenied);
    assert_eq!(error.kind(), denied, "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("grant select, insert, update, delete on pgmq_notify.parked"),
        "{text}"
    );
    database.run(wake_up).await.unwrap();

    let retry = RetryPolicy::new()
        .with_initial_delay(Duration::from_millis(10))
        .with_max_attempts(2);
    let archived = Source::queue("orders_queue")
        .with_visibility_timeout(Duration::from_secs(1))
        .with_acknowledgement(Acknowledgement::Archive)
        .with_retry(retry);
    let consumer = Consumer::builder(client)
        .source(archived, |message: Message<u32>, claim: Claim| async move {
            match (message.body, claim.attempt()) {
                (1, _) => Err(HandlerError::from("never")),
                // Long enough for an extension by the consumer.
                (2, _) => {
                    tokio::time::sleep(Duration::from_millis(1_500)).await;
                    claim.extend(Duration::from_secs(10)).await?;
                    Ok(())
                }
                (_, 1) => Err(HandlerError::retry_after(Duration::ZERO, "not yet")),
                _ => Ok(()),
            }
        })
        .start()
        .await
        .unwrap();
    owner.send_batch("orders_queue", 1..=3).await.unwrap();
    until(&consumer, |it| it.done == 2 && it.dead == 1).await;
    let stats = consumer.stats();
    assert_eq!((stats.lost, stats.expired), (0, 0), "{stats:?}");
    let report = consumer.shutdown().await;
    assert_eq!((report.aborted, report.unsettled), (0, 0));
    assert_eq!(waiting(&owner, "orders_queue").await, 0);
    assert_eq!(waiting(&owner, "orders_queue_dlq").await, 1);
    pool.close().await;
}
