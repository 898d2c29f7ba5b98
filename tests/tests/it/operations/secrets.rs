//! A password is in no output of the commands that watch, send and examine.

use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_tests::TestDatabase;

use crate::harness::command_line::run;

const COMMANDS: [&[&str]; 10] = [
    &["status"],
    &["status", "--json", "--queue", "orders_queue"],
    &["listen", "--json", "--for", "100ms"],
    &["send", "orders_queue", "7"],
    &["dead-letters", "list"],
    &["dead-letters", "redrive", "orders_queue_dlq", "--all"],
    &["dead-letters", "drop", "orders_queue_dlq", "1", "--yes"],
    &["doctor"],
    &["doctor", "--json", "--as", "consumer"],
    &["top", "--once", "--interval", "100ms"],
];

#[tokio::test]
async fn whatever_is_wrong_no_password_is_shown() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    let url = database.url();
    let (_, place) = url.rsplit_once('@').unwrap();
    // Nobody answers, no such role, no such database, no URL at all.
    let urls = [
        "postgres://app:geheim@127.0.0.1:1/shop".to_owned(),
        format!("postgres://nobody_has_this_name:geheim@{place}"),
        format!("postgres://postgres:geheim@{place}_is_not_there"),
        "postgres://app:geheim@[::/shop".to_owned(),
    ];
    for url in &urls {
        for arguments in COMMANDS {
            let ran = run(arguments, &[("DATABASE_URL", url), ("RUST_LOG", "trace")]);
            assert_eq!(ran.code, Some(2), "{arguments:?} {ran:?}");
            let option = ["--database-url", url];
            let given = run(&[arguments, &option].concat(), &[]);
            for ran in [ran, given] {
                assert!(!ran.stdout.contains("geheim"), "{arguments:?} {ran:?}");
                assert!(!ran.stderr.contains("geheim"), "{arguments:?} {ran:?}");
                assert!(ran.stderr.contains("hint: "), "{arguments:?} {ran:?}");
            }
        }
    }
}
