//! Many processes that install at the same moment, while others write.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pgmq_notify_tests::{TestDatabase, tool};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::create_queues;
use crate::installation::{LOCK_TIMEOUT, MACHINE, trigger_states};
use crate::variable::variable;

const PROCESSES: usize = 10;
/// Queues that are written to meanwhile.
const WRITTEN: usize = 50;

/// Writes to two queues in one transaction, in any order, so that a lock on two at once could become a deadlock; returns the
/// longest wait.
async fn write(
    database: &TestDatabase,
    end: &AtomicBool,
) -> Result<(Duration, usize), sqlx::Error> {
    let mut writer = PgConnection::connect_with(&database.options()).await?;
    let (mut longest, mut count) = (Duration::ZERO, 0);
    while !end.load(Ordering::Relaxed) {
        let mut sql = String::from("begin;");
        for _ in 0..2 {
            let queue = fastrand::usize(1..=WRITTEN);
            let _ = write!(sql, " select pgmq.send('q{queue}_queue', '1');");
        }
        sql.push_str(" commit");
        let begun = Instant::now();
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut writer)
            .await?;
        longest = longest.max(begun.elapsed());
        count += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok((longest, count))
}

async fn run_all(commands: Vec<Command>) -> Vec<(std::process::Output, Duration)> {
    let run = |mut command: Command| {
        tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let output = command.stdin(Stdio::null()).output();
            (output.expect("it starts"), begun.elapsed())
        })
    };
    let all: Vec<_> = commands.into_iter().map(run).collect();
    join_all(all)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_processes_install_at_once_while_fifty_queues_are_written_to_and_nobody_waits_for_long()
{
    let queues = variable("PGMQ_NOTIFY_TEST_QUEUES").unwrap_or(150);
    let database = Arc::new(TestDatabase::new().await);
    create_queues(&database, queues).await;
    let deadlocks = || async {
        let count: i64 = sqlx::query_scalar(
            "select deadlocks from pg_stat_database where datname = current_database()",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        count
    };
    let end = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (database, end) = (Arc::clone(&database), Arc::clone(&end));
            tokio::spawn(async move { write(&database, &end).await })
        })
        .collect();
    // Built before the time is taken.
    drop(tool());
    let command = |command: &str| {
        let mut tool = tool();
        tool.args([command, "--json", "--database-url", &database.url()]);
        tool
    };
    for what in ["install", "uninstall"] {
        let begun = Instant::now();
        let results = run_all((0..PROCESSES).map(|_| command(what)).collect()).await;
        let took = begun.elapsed();
        let mut changed = 0;
        for (output, _) in &results {
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{words}");
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let count = report["queues"]["changed"]
                .as_u64()
                .or(report["tables_changed"].as_u64());
            changed += usize::try_from(count.unwrap()).unwrap();
        }
        let slowest = results.iter().map(|(_, took)| *took).max().unwrap();
        println!(
            "{what}: {PROCESSES} processes, {queues} queues: {took:.2?}, the slowest process {slowest:.2?}"
        );
        if what == "install" {
            // Each queue got them from one process.
            assert_eq!(changed, queues);
            let all = i64::try_from(queues).unwrap();
            assert_eq!(
                trigger_states(&database).await,
                [("installed".to_owned(), all)]
            );
        } else {
            assert_eq!(changed, queues + 1);
        }
    }
    end.store(true, Ordering::Relaxed);
    let (mut longest, mut count) = (Duration::ZERO, 0);
    for writer in join_all(writers).await {
        let (waited, written) = writer.unwrap().expect("no writer fails");
        longest = longest.max(waited);
        count += written;
    }
    println!("{count} transactions wrote meanwhile, the slowest took {longest:.2?}");
    assert!(
        longest < LOCK_TIMEOUT + MACHINE,
        "a writer waited {longest:?}"
    );
    assert_eq!(deadlocks().await, 0);
}
