//! What a dump leaves out.

use std::process::Command;

use pgmq_notify_client::PgmqNotifyConfig;
use pgmq_notify_tests::{Pgmq, Server, Settings, TestDatabase};

use super::{Report, examine, paste};
use crate::installation::trigger_states;
use crate::operations::{client, create_queues};

async fn dump(database: &TestDatabase) -> String {
    let directory = database.server().binaries().unwrap_or_default();
    let program = directory.join("pg_dump");
    let program = if program.is_file() {
        program
    } else {
        "pg_dump".into()
    };
    let url = database.url();
    let url = url.split_once('?').map_or(url.as_str(), |(url, _)| url);
    let mut dump = Command::new(program);
    dump.args(["--no-password", "-d", url]);
    let output = tokio::task::spawn_blocking(move || dump.output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Dumps it, restores it beside, and examines that.
async fn restored(database: &TestDatabase) -> (TestDatabase, Report) {
    client(database, &PgmqNotifyConfig::new())
        .install()
        .await
        .unwrap();
    create_queues(database, 3).await;
    database
        .run("select pgmq.send('q1_queue', '1')")
        .await
        .unwrap();
    let restored = TestDatabase::create(database.server(), None).await.unwrap();
    restored.psql(dump(database).await).await.unwrap();
    let report = examine(&restored, &[]).await;
    (restored, report)
}

/// New queues have triggers, and old ones.
async fn is_covered(database: &TestDatabase) {
    database
        .run("select pgmq.create('new_queue')")
        .await
        .unwrap();
    assert_eq!(
        trigger_states(database).await,
        [("installed".to_owned(), 4)]
    );
}

#[tokio::test]
async fn of_plain_sql_everything_comes_back() {
    let database = TestDatabase::with(Pgmq::V1_13).await;
    let (restored, report) = restored(&database).await;
    assert!(report.findings.is_empty(), "{report:?}");
    is_covered(&restored).await;
}

#[tokio::test]
async fn of_an_extension_triggers_on_its_tables_are_lost_and_one_command_brings_them_back() {
    let server = Server::start_with_pgmq(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::Extension).await;
    let (restored, report) = restored(&database).await;
    assert!(!report.healthy, "{report:?}");
    for finding in &report.findings {
        assert_eq!(finding.remedy.text, "pgmq-notify install", "{report:?}");
    }
    assert_eq!(report.codes(), ["new-queues-uncovered"], "{report:?}");
    paste(&restored.url(), &report.findings[0]).await;
    assert!(examine(&restored, &[]).await.findings.is_empty());
    is_covered(&restored).await;
}
