//! Rights, beside the page that documents them.

use pgmq_notify_client::{PgmqNotifyClient, PgmqNotifyConfig};
use pgmq_notify_sql::Migration;
use pgmq_notify_tests::TestDatabase;
use sqlx::postgres::PgPoolOptions;

use super::{Report, cured, examine, examine_at, paste, url_of};
use crate::operations::client;
use crate::roles::{Shop, documented};

const KINDS: [&str; 3] = ["producer", "listener", "consumer"];

async fn rights(shop: &Shop, role: &str) -> Report {
    examine(&shop.database, &["--role", role, "--as", role]).await
}

/// What its work has left there is another thing.
#[track_caller]
fn lacks_nothing(report: &Report) {
    assert!(!report.codes().contains(&"privilege-missing"), "{report:?}");
}

#[tokio::test]
async fn exactly_the_documented_grants_are_needed() {
    let shop = Shop::open().await;
    for role in KINDS {
        shop.grant(role, None).await;
        let report = rights(&shop, role).await;
        assert!(report.findings.is_empty(), "{role}: {report:?}");
        for left_out in 0..documented(role).len() {
            let statement = &documented(role)[left_out];
            if statement.starts_with("grant execute") {
                let functions =
                    "pgmq_notify.route, pgmq_notify.namespace_of, pgmq_notify.channel_name";
                shop.run(&format!(
                    "revoke execute on function {functions} from public"
                ))
                .await;
            }
            shop.grant(role, Some(left_out)).await;
            let report = rights(&shop, role).await;
            assert!(!report.healthy, "not found: {statement}");
            for finding in &report.findings {
                assert_eq!(finding.code, "privilege-missing", "{finding:?}");
                assert_eq!(finding.severity, "error");
                paste(&shop.database.url(), finding).await;
            }
            let after = rights(&shop, role).await;
            assert!(after.findings.is_empty(), "{statement}: {after:?}");
        }
    }
    // The last one was found to be enough after the last repair, and is.
    assert_eq!(shop.works("consumer").await, Ok(()));
}

#[tokio::test]
async fn with_nothing_but_the_remedies_a_stranger_becomes_what_it_is_to_be() {
    let shop = Shop::open().await;
    // Where somebody took from public what everybody may by default.
    shop.database
        .run(
            "grant execute on all functions in schema pgmq to owner; \
             revoke execute on all functions in schema pgmq, pgmq_notify from public; \
             revoke usage on schema pgmq_notify from public",
        )
        .await
        .unwrap();
    for role in KINDS {
        let queue = ["--role", role, "--as", role, "--queue", "orders_queue"];
        for finding in examine(&shop.database, &queue).await.findings {
            if finding.code == "privilege-missing" {
                paste(&shop.database.url(), &finding).await;
            }
        }
        lacks_nothing(&examine(&shop.database, &queue).await);
        assert_eq!(shop.works(role).await, Ok(()), "{role}");
    }
    // An owner.
    lacks_nothing(&rights(&shop, "owner").await);
    let stranger = ["--role", "stranger", "--as", "owner"];
    let found = cured(&shop.database, &stranger, "privilege-missing").await;
    assert_eq!(found.remedy.text, "grant owner to stranger;");
}

#[tokio::test]
async fn a_consumer_that_may_not_create_the_queue_of_its_dead_letters_is_given_one() {
    let shop = Shop::open().await;
    shop.grant("consumer", None).await;
    shop.run("select pgmq.drop_queue('orders_queue_dlq')").await;
    let consumer = ["--role", "consumer", "--as", "consumer"];
    let found = cured(&shop.database, &consumer, "dead-letter-queue-missing").await;
    assert_eq!(
        (&*found.severity, &*found.subject),
        ("note", "orders_queue_dlq")
    );
    assert!(examine(&shop.database, &consumer).await.findings.is_empty());
}

#[tokio::test]
async fn what_a_role_may_not_look_at_is_a_note_with_the_grant() {
    let shop = Shop::open().await;
    let options = shop.database.options().username("producer");
    let url = url_of(&options);
    shop.grant("producer", None).await;
    let report = examine_at(&url, &["--as", "producer"]).await;
    assert!(report.healthy && report.notes > 0, "{report:?}");
    for _ in 0..5 {
        let report = examine_at(&url, &["--as", "producer"]).await;
        for finding in &report.findings {
            assert_eq!(finding.code, "not-checked", "{finding:?}");
            paste(&shop.database.url(), finding).await;
        }
    }
    let after = examine_at(&url, &["--as", "producer"]).await;
    assert!(after.findings.is_empty(), "{after:?}");
    // As a listener it lacks nothing any more, though nobody said so.
    assert!(examine_at(&url, &[]).await.findings.is_empty());

    // Nothing at all is known of this one's database, and that is said, too.
    let stranger = url_of(&shop.database.options().username("stranger"));
    let report = examine_at(&stranger, &[]).await;
    assert!(!report.healthy);
    assert!(report.codes().contains(&"privilege-missing"), "{report:?}");
    assert!(report.codes().contains(&"not-checked"), "{report:?}");
}

#[tokio::test]
async fn a_producer_without_triggers_needs_what_stands_in_for_them() {
    let shop = Shop::open().await;
    let config = PgmqNotifyConfig::new().with_triggers_enabled(false);
    let database = TestDatabase::on(shop.database.server(), pgmq_notify_tests::Pgmq::V1_13).await;
    database
        .run(Migration::new(&config).unwrap().up())
        .await
        .unwrap();
    client(&database, &config)
        .create_queue("orders_queue")
        .await
        .unwrap();
    let producer = ["--role", "producer", "--as", "producer"];
    for finding in examine(&database, &producer).await.findings {
        assert_eq!(finding.code, "privilege-missing", "{finding:?}");
        paste(&database.url(), &finding).await;
    }
    assert!(examine(&database, &producer).await.findings.is_empty());
    let pool = PgPoolOptions::new().connect_lazy_with(database.options().username("producer"));
    let theirs = PgmqNotifyClient::with_pool(pool.clone(), config).unwrap();
    theirs.send("orders_queue", &7).await.unwrap();
    theirs.send_batch("orders_queue", 1..=3).await.unwrap();
    pool.close().await;
    database.run("drop owned by producer").await.unwrap();
}
