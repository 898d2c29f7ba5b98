//! One truth for namespaces: what Rust finds is what the installed SQL finds, for every accepted pattern.

#[path = "namespaces/pattern_pairs.rs"]
mod pattern_pairs;

use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_sql::Migration;
use pgmq_notify_tests::TestDatabase;
use regex::Regex;

/// At least so many pairs of pattern and queue name per run.
const PAIRS: usize = 12_000;

fn namespace<'n>(pattern: &Regex, name: &'n str) -> &'n str {
    pattern
        .captures(name)
        .and_then(|captures| captures.name("namespace"))
        .map(|namespace| namespace.as_str())
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or("default")
}

#[tokio::test]
async fn rust_and_the_installed_sql_agree_on_every_pair_of_pattern_and_name() {
    let seed = std::env::var("PATTERN_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| fastrand::u64(..));
    println!("PATTERN_TEST_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    let (mut pairs, mut patterns, mut found_some) = (0, 0, 0);
    while pairs < PAIRS {
        let (pattern, names) = pattern_pairs::draw(&mut rng);
        let config = PgmqNotifyConfig::new().with_queue_naming_pattern(&pattern);
        let Ok(migration) = Migration::new(&config) else {
            continue;
        };
        // The whole migration once in a while; else only what depends on the pattern, for speed.
        let up = migration.up();
        let sql = if patterns % 100 == 0 {
            up.to_owned()
        } else {
            let start = up.find("insert into pgmq_notify.installation").unwrap();
            let end = start + up[start..].find(");\n").unwrap() + 2;
            up[start..end].to_owned()
        };
        database.run(sql).await.unwrap_or_else(|error| {
            panic!("{pattern:?} is accepted and does not install: {error:?}")
        });
        let in_sql: Vec<String> = sqlx::query_scalar(
            "select pgmq_notify.namespace_of(name) from unnest($1::text[]) with ordinality n(name, position) order by position",
        )
        .bind(&names)
        .fetch_all(database.pool())
        .await
        .unwrap_or_else(|error| panic!("{pattern:?} is accepted and does not run: {error:?}"));
        let regex = Regex::new(&pattern).unwrap();
        for (name, in_sql) in names.iter().zip(&in_sql) {
            let in_rust = namespace(&regex, name);
            assert_eq!(
                in_rust, in_sql,
                "pattern {pattern:?}, queue {name:?}, seed {seed}"
            );
            found_some += usize::from(in_rust != "default");
        }
        pairs += names.len();
        patterns += 1;
    }
    println!("{pairs} pairs of {patterns} patterns, {found_some} with a namespace");
    assert!(
        found_some > pairs / 20,
        "only {found_some} of {pairs} names matched: the draw shows nothing"
    );
}
