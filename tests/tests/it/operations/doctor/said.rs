//! What it prints, and the page that documents it.

use pgmq_notify_client::{FindingCode, PgmqNotifyConfig};
use pgmq_notify_tests::TestDatabase;

use super::{examine, paste, run_at, shell, url_of};
use crate::operations::create_queues;

const PAGE: &str = include_str!("../../../../../docs/doctor.md");
const TESTS: [&str; 7] = [
    include_str!("installed.rs"),
    include_str!("namespaces.rs"),
    include_str!("pgmq.rs"),
    include_str!("privileges.rs"),
    include_str!("restored.rs"),
    include_str!("server.rs"),
    include_str!("working.rs"),
];

#[test]
fn the_page_has_every_code_with_its_severity_and_no_other() {
    let rows = PAGE.lines().filter_map(|line| {
        let (code, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        Some((code, rest.split(" | ").next()?))
    });
    let documented: Vec<_> = rows.collect();
    let codes = FindingCode::ALL.iter();
    let codes: Vec<_> = codes
        .map(|it| (it.as_str(), it.severity().as_str()))
        .collect();
    assert_eq!(documented, codes);
}

#[test]
fn every_code_is_provoked_by_a_test() {
    for code in FindingCode::ALL {
        let quoted = format!("\"{code}\"");
        assert!(TESTS.iter().any(|it| it.contains(&quoted)), "{code}");
    }
}

async fn damaged() -> TestDatabase {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create_queues(&database, 2).await;
    database
        .run(
            "drop trigger pgmq_notify_message_inserted on pgmq.q_q2_queue; \
             select pgmq.enable_notify_insert('q1_queue'); select pgmq.create('plain')",
        )
        .await
        .unwrap();
    database
}

const TEXT: &str = "\
error trigger-missing: pgmq.q_q2_queue
  A trigger of pgmq-notify is missing, so what is sent or released there is not published: consumers find it by their safety polls \
only.
  shell:
    pgmq-notify install

warning pgmq-own-notify: q1_queue
  PGMQ's own notifications (enable_notify_insert) are enabled too. Senders of the queue wait for each other because of them, and \
pgmq-notify does not need them.
  sql:
    select pgmq.disable_notify_insert('q1_queue');

note queue-unmatched: plain
";

#[tokio::test]
async fn a_person_reads_the_worst_first_and_without_colour_in_a_pipe() {
    let database = damaged().await;
    let ran = run_at(&database.url(), &[]).await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.starts_with(TEXT), "{}", ran.stdout);
    assert_eq!(ran.stderr, "1 error, 1 warning, 1 note\n");
    assert!(!ran.stdout.contains('\u{1b}'));
    let url = database.url();
    let plain = shell(&url, "NO_COLOR=1 TERM=xterm pgmq-notify doctor | cat").await;
    assert_eq!(plain.stdout, ran.stdout);

    database
        .run("select pgmq.drop_queue('plain')")
        .await
        .unwrap();
    for finding in examine(&database, &[]).await.findings {
        paste(&url, &finding).await;
    }
    let ran = run_at(&database.url(), &[]).await;
    assert_eq!(
        (ran.code, &*ran.stdout, &*ran.stderr),
        (Some(0), "", "nothing is wrong\n")
    );
}

#[tokio::test]
async fn a_program_reads_the_documented_object() {
    let database = damaged().await;
    let ran = run_at(&database.url(), &["--json"]).await;
    let (_, example) = PAGE.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let example: serde_json::Value = serde_json::from_str(example).unwrap();
    let printed: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(printed, example);
    assert_eq!(ran.stdout.lines().count(), 1);
    assert_eq!(ran.stderr, "");
    assert_eq!(examine(&database, &[]).await.codes().len(), 3);
}

#[tokio::test]
async fn what_cannot_be_examined_is_an_error() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    for (arguments, words) in [
        (
            &["--role", "nobody_has_this_name"][..],
            "no role \"nobody_has_this_name\"",
        ),
        (&["--queue", "no_such_queue"], "no queue \"no_such_queue\""),
        (&["--config", "/no/such/file.toml"], "/no/such/file.toml"),
        (&["--as", "king"], "--as"),
    ] {
        let ran = run_at(&database.url(), arguments).await;
        assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{ran:?}");
        assert!(
            ran.stderr.contains(words) && ran.stderr.contains("hint: "),
            "{ran:?}"
        );
    }
    let url = database.options().username("nobody_has_this_name");
    let ran = run_at(&url_of(&url), &[]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("hint: check the role"), "{ran:?}");
}
