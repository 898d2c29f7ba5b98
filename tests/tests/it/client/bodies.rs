//! What a body may be, and what becomes of one that JSON or PostgreSQL cannot hold.

use pgmq_notify_client::{ErrorKind, PgmqNotifyClient};
use pgmq_notify_tests::TestDatabase;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{LONG, client, decoded};

async fn with_queue() -> (TestDatabase, PgmqNotifyClient) {
    let (database, client) = client().await;
    client
        .create_queue("orders_queue")
        .await
        .expect("the helper's SQL is right");
    (database, client)
}

#[tokio::test]
async fn null_text_numbers_and_large_bodies_arrive_as_they_were_sent() {
    let (_database, client) = with_queue().await;
    let large = "ä".repeat(1_000_000);
    let bodies = [
        json!(null),
        json!(""),
        json!("quote \" backslash \\ 🐘 \u{1}"),
        json!(9_007_199_254_740_993_u64),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(0.1 + 0.2),
        json!(5e-324),
        json!(1.797_693_134_862_315_7e308),
        json!({"b": [1, {"a": []}], "a": {}}),
        json!(large),
    ];
    for body in &bodies {
        client.send("orders_queue", body).await.unwrap();
    }
    let read = decoded(
        client
            .read_batch::<Value>("orders_queue", LONG, 99)
            .await
            .unwrap(),
    );
    for (message, sent) in read.iter().zip(&bodies) {
        assert_eq!(&message.body, sent);
    }
    assert_eq!(read.len(), bodies.len());
}

#[tokio::test]
async fn every_double_survives_postgresqls_numeric() {
    let (_database, client) = with_queue().await;
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let doubles: Vec<f64> = std::iter::repeat_with(|| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        f64::from_bits(random)
    })
    .filter(|double| double.is_finite() && *double != 0.0)
    .take(2000)
    .collect();
    client.send("orders_queue", &doubles).await.unwrap();
    let message = client
        .pop::<Vec<f64>>("orders_queue")
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let bits = |doubles: &[f64]| doubles.iter().map(|d| d.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&message.body), bits(&doubles));
}

#[tokio::test]
async fn a_body_that_jsonb_cannot_hold_is_refused_with_the_remedy() {
    let (_database, client) = with_queue().await;
    for error in [
        client.send("orders_queue", "a\0b").await.unwrap_err(),
        client
            .send_batch("orders_queue", ["a", "a\0b"])
            .await
            .unwrap_err(),
        client
            .send("orders_queue", &1)
            .headers("\0")
            .await
            .unwrap_err(),
    ] {
        assert_eq!(
            error.kind(),
            ErrorKind::BodyRefused,
            "{}",
            super::told(&error)
        );
        assert!(
            error.to_string().contains("U+0000 (remove or encode it)"),
            "{error}"
        );
    }
    assert_eq!(client.metrics("orders_queue").await.unwrap().length, 0);
}

#[tokio::test]
async fn what_does_not_serialise_is_an_error_before_any_sql() {
    struct Broken;
    impl Serialize for Broken {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("this one is broken"))
        }
    }
    let (_database, client) = with_queue().await;
    for error in [
        client.send("orders_queue", &Broken).await.unwrap_err(),
        client
            .send_batch("orders_queue", [Broken])
            .await
            .unwrap_err(),
        client
            .send("orders_queue", &1)
            .headers(&Broken)
            .await
            .unwrap_err(),
        client
            .read::<u8>("orders_queue", LONG)
            .conditional(&Broken)
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Serialize);
        assert!(
            super::told(&error).ends_with("this one is broken"),
            "{error:?}"
        );
    }
}
