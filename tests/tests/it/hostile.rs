//! Hostile configuration ends as one literal or one identifier, or is refused. Shown by executing the SQL.

use pgmq_notify_core::{PgmqNotifyConfig, PgmqNotifyEvent};
use pgmq_notify_sql::Migration;
use pgmq_notify_tests::{Heard, TestDatabase};

const FRAGMENTS: [&str; 18] = [
    "'",
    "\"",
    "\\",
    "$$",
    "$pgmq_notify$",
    "--",
    "/*",
    "*/",
    ";",
    "\n",
    "\r",
    "\t",
    "%s",
    "🐘",
    "é",
    "\u{202e}",
    "x",
    "drop schema pgmq cascade;",
];

fn hostile(rng: &mut fastrand::Rng, most_bytes: usize) -> String {
    let mut text = String::new();
    for _ in 0..rng.usize(1..6) {
        let fragment = FRAGMENTS[rng.usize(..FRAGMENTS.len())];
        if text.len() + fragment.len() <= most_bytes {
            text.push_str(fragment);
        }
    }
    text
}

#[tokio::test]
async fn hostile_prefixes_patterns_and_namespaces_install_as_text_or_are_refused() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let database = TestDatabase::new().await;
    database.run("select pgmq.create('a_queue')").await.unwrap();
    let (mut installed, mut refused) = (0, 0);
    while installed < 40 {
        let (prefix, namespace, literal) = (
            hostile(&mut rng, 44),
            hostile(&mut rng, 40),
            hostile(&mut rng, 200),
        );
        let pattern = format!(
            "^(?P<namespace>[a-z]+)(?:_queue|{})",
            regex::escape(&literal)
        );
        let config = PgmqNotifyConfig::new()
            .with_channels_prefix(&prefix)
            .with_queue_naming_pattern(&pattern)
            .with_namespace_payload(&namespace, false);
        let Ok(migration) = Migration::new(&config) else {
            refused += 1;
            continue;
        };
        installed += 1;
        database
            .run(migration.up())
            .await
            .unwrap_or_else(|error| panic!("{config:?}, seed {seed}: {error:?}"));
        let stored: (String, String, Vec<String>) = sqlx::query_as(
            "select channels_prefix, queue_naming_pattern, namespaces_without_payload from pgmq_notify.installation",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        assert_eq!(stored, (prefix, pattern, vec![namespace]), "seed {seed}");

        let mut heard = Heard::messages(&database, &config).await;
        database
            .run("select pgmq.send('a_queue', '1')")
            .await
            .unwrap();
        let event = heard.event().await;
        assert!(
            matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.namespace == "a" && e.message.as_str() == "1"),
            "{event:?}, seed {seed}"
        );
    }
    println!("{installed} installed, {refused} refused");
    let down = Migration::new(&PgmqNotifyConfig::new()).unwrap();
    database.run(down.down()).await.unwrap();
    let queues: i64 = sqlx::query_scalar("select count(*) from pgmq.meta")
        .fetch_one(database.pool())
        .await
        .unwrap();
    assert_eq!(queues, 1, "nothing else was executed");
}

#[tokio::test]
async fn queue_names_drawn_from_hostile_text_are_covered_if_pgmq_accepts_them() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..150 {
        let name = hostile(&mut rng, 40);
        let accepted = sqlx::query("select pgmq.create($1)")
            .bind(&name)
            .execute(database.pool())
            .await;
        let valid = pgmq_notify_core::QueueName::new(name.as_str());
        assert_eq!(
            accepted.is_ok(),
            valid.is_ok(),
            "{name:?}: {accepted:?}, {valid:?}, seed {seed}"
        );
        if accepted.is_err() || !names.insert(name.to_lowercase()) {
            continue;
        }
        sqlx::query("select pgmq.send($1, '1'::jsonb)")
            .bind(&name)
            .execute(database.pool())
            .await
            .unwrap();
        let event = heard.event().await;
        assert_eq!(event.queue_name().unwrap().as_str(), name, "seed {seed}");
    }
    assert!(names.len() > 10, "only {} names were accepted", names.len());
}
