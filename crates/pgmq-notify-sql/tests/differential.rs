//! One truth for namespaces: what Rust finds is what PostgreSQL finds, for every accepted pattern.

mod pattern_pairs;

use std::env;

use pgmq_notify_sql::NamespacePattern;
use regex::Regex;
use sqlx::{Connection, PgConnection};

const SQL: &str = r#"
    select coalesce(nullif((regexp_match(name collate "C", $1))[1], ''), 'default')
    from unnest($2::text[]) with ordinality as names (name, position)
    order by position
"#;

#[tokio::test(flavor = "current_thread")]
#[ignore = "needs a server: PATTERN_TEST_URL=postgres://…, and optionally PATTERN_TEST_SEED and PATTERN_TEST_PATTERNS"]
async fn rust_and_postgresql_find_the_same_namespace() {
    let url = env::var("PATTERN_TEST_URL").expect("PATTERN_TEST_URL names a server");
    let seed = number("PATTERN_TEST_SEED").unwrap_or_else(|| fastrand::u64(..));
    let wanted = number("PATTERN_TEST_PATTERNS").unwrap_or(1_000);
    println!("PATTERN_TEST_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut server = PgConnection::connect(&url)
        .await
        .expect("the server answers");

    let (mut drawn, mut accepted, mut compared, mut nonempty, mut wrong) = (0, 0, 0, 0, Vec::new());
    while accepted < wanted {
        let (pattern, names) = pattern_pairs::draw(&mut rng);
        drawn += 1;
        let translated = match NamespacePattern::new(&pattern) {
            Ok(translated) => translated,
            Err(error) => {
                if env::var_os("PATTERN_TEST_REFUSED").is_some() {
                    println!("{pattern:?}: {error}");
                }
                continue;
            }
        };
        accepted += 1;
        let truth = Regex::new(&pattern)
            .unwrap_or_else(|error| panic!("{pattern:?} is accepted, but not by regex: {error}"));
        let found: Result<Vec<String>, _> = sqlx::query_scalar(SQL)
            .bind(translated.postgres())
            .bind(&names)
            .persistent(false)
            .fetch_all(&mut server)
            .await;
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                wrong.push(format!(
                    "{pattern:?} as {:?}: {error}",
                    translated.postgres()
                ));
                continue;
            }
        };
        for (name, found) in names.iter().zip(found) {
            let expected = namespace(&truth, name);
            compared += 1;
            nonempty += usize::from(expected != "default");
            if expected != found {
                wrong.push(format!(
                    "{pattern:?} as {:?} on {name:?}: Rust {expected:?}, PostgreSQL {found:?}",
                    shorten(translated.postgres())
                ));
            }
        }
    }
    println!(
        "{drawn} patterns drawn, {accepted} accepted, {compared} pairs, {nonempty} with a namespace, {} wrong",
        wrong.len()
    );
    wrong.sort_by_key(String::len);
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn namespace<'n>(pattern: &Regex, name: &'n str) -> &'n str {
    let group = pattern
        .captures(name)
        .and_then(|captures| captures.name("namespace"));
    group
        .map(|group| group.as_str())
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or("default")
}

fn shorten(translated: &str) -> String {
    translated.chars().take(200).collect()
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}
