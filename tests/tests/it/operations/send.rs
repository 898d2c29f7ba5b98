//! `pgmq-notify send`.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_tests::TestDatabase;
use serde_json::Value;

use super::running::{Running, command, run};

async fn shop() -> TestDatabase {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    database
        .run("select pgmq.create('orders_queue'), pgmq.create('mail_queue')")
        .await
        .unwrap();
    database
}

/// Ids, bodies and headers, and whether they are delayed.
async fn queue(database: &TestDatabase) -> Vec<(i64, String, Option<String>, bool)> {
    sqlx::query_as(
        "select msg_id, message::text, headers::text, vt > now() + interval '1 minute' from pgmq.q_orders_queue order by 1",
    )
    .fetch_all(database.pool())
    .await
    .unwrap()
}

async fn count(database: &TestDatabase) -> usize {
    queue(database).await.len()
}

/// Lines from 1 to this.
fn numbers(last: u32) -> String {
    let mut lines = String::new();
    for n in 1..=last {
        writeln!(lines, "{n}").unwrap();
    }
    lines
}

/// A file that is gone with the test.
struct File(std::path::PathBuf);

impl File {
    fn new(database: &TestDatabase, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{}.jsonl", database.name()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs it with this on its standard input.
async fn piped(database: &TestDatabase, arguments: &[&str], input: &str) -> (Option<i32>, Running) {
    let mut running = Running::of(&mut command(database, arguments));
    running.type_in(input);
    running.end_input();
    let status = running.ends().await;
    (status.code(), running)
}

#[tokio::test]
async fn a_body_comes_from_an_argument_a_file_or_standard_input() {
    let database = shop().await;
    let ran = run(
        &database,
        &[
            "send",
            "orders_queue",
            r#"{"id": 7}"#,
            "--headers",
            r#"{"a": 1}"#,
        ],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "1\n"), "{ran:?}");
    let file = File::new(&database, "[\n 1.50\n]\n");
    let ran = run(
        &database,
        &[
            "send",
            "orders_queue",
            "--file",
            file.path(),
            "--delay",
            "5m",
            "--json",
        ],
    );
    assert_eq!(ran.stdout, "{\"queue\":\"orders_queue\",\"msg_id\":2}\n");
    for arguments in [
        &["send", "orders_queue"][..],
        &["send", "orders_queue", "-"],
    ] {
        let (code, running) = piped(&database, arguments, "\"hello\"\n").await;
        assert_eq!(code, Some(0), "{:?}", running.words());
    }
    let ran = run(
        &database,
        &[
            "send",
            "orders_queue",
            "-5",
            "--delay",
            "2100-01-01T00:00:00Z",
        ],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let sent: Vec<_> = queue(&database).await;
    let sent: Vec<_> = sent
        .iter()
        .map(|(id, body, headers, delayed)| (*id, body.as_str(), headers.as_deref(), *delayed))
        .collect();
    assert_eq!(
        sent,
        [
            (1, r#"{"id": 7}"#, Some(r#"{"a": 1}"#), false),
            (2, "[1.50]", None, true),
            (3, "\"hello\"", None, false),
            (4, "\"hello\"", None, false),
            (5, "-5", None, true),
        ]
    );
}

#[tokio::test]
async fn what_is_no_json_is_named_with_its_place_and_nothing_is_sent() {
    let database = shop().await;
    let file = File::new(&database, "{\"id\": 1}\n\n{\"id\" 2}\n{\"id\": 3}\n");
    let path = file.path();
    let place = format!("error: {path}:3:7: expected `:`; nothing was sent");
    for (arguments, error) in [
        (
            &["hello"][..],
            "error: the body is no JSON, line 1 column 1: expected value",
        ),
        (&[r#""a\u0000""#], "U+0000"),
        (
            &["7", "--headers", "[]"],
            "error: --headers [] is no JSON object",
        ),
        (&["--file", path, "--lines"], &place),
        (&["--file", path, "--lines", "--atomic"], &place),
        (&["--file", path], ":3:1: trailing characters"),
        (&["--file", "/nowhere"], "error: cannot read /nowhere"),
        (
            &["7", "--delay", "soon"],
            "invalid value 'soon' for '--delay <WHEN>'",
        ),
    ] {
        let ran = run(&database, &[&["send", "orders_queue"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(error), "{error}: {ran:?}");
        assert!(ran.stderr.contains("hint: "), "{ran:?}");
        assert_eq!(ran.stdout, "");
    }
    for (arguments, input, place) in [
        (
            &["send", "orders_queue"][..],
            "{\n \"id\"\n}",
            "standard input:3:1:",
        ),
        (
            &["send", "orders_queue", "--lines"],
            "1\n2\n{\n",
            "standard input:3:1:",
        ),
        (&["send", "orders_queue"], "", "standard input:1:1:"),
    ] {
        let (code, running) = piped(&database, arguments, input).await;
        running.says(place).await;
        assert_eq!(code, Some(2));
    }
    assert_eq!(count(&database).await, 0);
}

#[tokio::test]
async fn a_queue_that_does_not_exist_is_an_error_that_names_similar_ones() {
    let database = shop().await;
    for arguments in [
        &["send", "order_queue", "7"][..],
        &["send", "order_queue", "--lines"],
    ] {
        let (code, running) = piped(&database, arguments, "7\n").await;
        running
            .says("error: there is no queue \"order_queue\"")
            .await;
        running.says("hint: similar queues: \"orders_queue\"").await;
        assert_eq!(code, Some(2));
        assert_eq!(running.data(), [""; 0]);
    }
}

#[tokio::test]
async fn without_the_migration_it_sends_and_says_that_nobody_is_notified() {
    let database = TestDatabase::new().await;
    database
        .run("select pgmq.create('orders_queue')")
        .await
        .unwrap();
    let ran = run(&database, &["send", "orders_queue", "7"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "1\n"), "{ran:?}");
    assert!(
        ran.stderr.contains("not installed in this database"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn where_functions_notify_instead_of_triggers_they_are_what_sends() {
    let config = PgmqNotifyConfig::new().with_triggers_enabled(false);
    let database = TestDatabase::migrated(&config).await;
    database
        .run("select pgmq_notify.create('orders_queue')")
        .await
        .unwrap();
    let mut heard = pgmq_notify_tests::Heard::messages(&database, &config).await;
    let ran = run(&database, &["send", "orders_queue", "7"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(heard.event().await.event_type(), "message_with_payload");
}

#[tokio::test]
async fn each_line_is_a_message_with_the_options_of_all() {
    let database = shop().await;
    let file = File::new(&database, "1\n\n\"two\"\r\n{\"n\": 3}");
    let ran = run(
        &database,
        &[
            "send",
            "orders_queue",
            "--lines",
            "--file",
            file.path(),
            "--headers",
            "{\"a\": 1}",
            "--delay",
            "1h",
            "--json",
            "--chunk",
            "2",
        ],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ids: Vec<_> = lines
        .iter()
        .map(|it| (it["line"].as_i64().unwrap(), it["msg_id"].as_i64().unwrap()))
        .collect();
    assert_eq!(ids, [(1, 1), (3, 2), (4, 3)]);
    assert!(
        ran.stderr
            .contains("3 messages sent to orders_queue, ids 1 to 3, in "),
        "{ran:?}"
    );
    let headers = Some("{\"a\": 1}".to_owned());
    assert_eq!(
        queue(&database).await,
        [
            (1, "1".into(), headers.clone(), true),
            (2, "\"two\"".into(), headers.clone(), true),
            (3, "{\"n\": 3}".into(), headers, true)
        ]
    );
}

#[tokio::test]
async fn of_a_stream_the_error_says_exactly_what_was_sent() {
    let database = shop().await;
    for atomic in [false, true] {
        database
            .run("truncate pgmq.q_orders_queue restart identity")
            .await
            .unwrap();
        let arguments = ["send", "orders_queue", "--lines", "--chunk", "100"];
        let mut all = arguments.to_vec();
        all.extend(atomic.then_some("--atomic"));
        let mut running = Running::of(&mut command(&database, &all));
        let lines = numbers(250);
        running.type_in(&lines);
        if atomic {
            // Longer than it waits for the end.
            tokio::time::sleep(Duration::from_millis(1500)).await;
        } else {
            assert_eq!(running.writes(250).await.len(), 250);
        }
        // What comes slowly is sent as it comes; then a line that is wrong.
        running.type_in("251\n");
        if !atomic {
            running.writes(251).await;
        }
        running.type_in("252 253\n254\n");
        running.end_input();
        assert_eq!(running.ends().await.code(), Some(2));
        running
            .says("error: standard input:252:5: trailing characters")
            .await;
        if atomic {
            running.says("; nothing was sent").await;
            assert_eq!(count(&database).await, 0);
            assert_eq!(running.data(), [""; 0]);
        } else {
            running
                .says("; 251 messages were sent, those of the lines up to 251")
                .await;
            running.says("tail -n +252").await;
            assert_eq!(count(&database).await, 251);
        }
    }
}

#[tokio::test]
async fn what_the_server_refuses_is_said_with_the_lines_before_it() {
    let database = shop().await;
    database
        .run("alter table pgmq.q_orders_queue add constraint small check (message::text::int < 15)")
        .await
        .unwrap();
    let lines = numbers(30);
    let file = File::new(&database, &lines);
    let arguments = [
        "send",
        "orders_queue",
        "--lines",
        "--chunk",
        "10",
        "--file",
        file.path(),
    ];
    let ran = run(&database, &arguments);
    assert_eq!(
        (ran.code, ran.stdout.lines().count()),
        (Some(2), 10),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("error: lines 11 to 20: "), "{ran:?}");
    assert!(
        ran.stderr
            .contains("10 messages were sent, those of the lines up to 10"),
        "{ran:?}"
    );
    assert_eq!(count(&database).await, 10);
    let ran = run(&database, &[&arguments[..], &["--atomic"]].concat());
    assert!(ran.stderr.contains("; nothing was sent"), "{ran:?}");
    assert_eq!((count(&database).await, ran.stdout.as_str()), (10, ""));
}

#[tokio::test]
async fn an_interrupted_batch_says_what_was_sent() {
    let database = shop().await;
    let mut running = Running::start(&database, &["send", "orders_queue", "--lines"]);
    running.type_in("1\n2\n");
    running.writes(2).await;
    running.signal("-INT");
    assert_eq!(running.ends().await.code(), Some(2));
    running
        .says("error: interrupted; 2 messages were sent")
        .await;
    assert_eq!(count(&database).await, 2);
}

#[tokio::test]
async fn a_hundred_thousand_lines_are_sent_in_order() {
    let database = shop().await;
    let mut lines = String::new();
    for n in 1..=100_000 {
        writeln!(lines, "{{\"n\": {n}, \"text\": \"some text of an order\"}}").unwrap();
    }
    let file = File::new(&database, &lines);
    for atomic in [false, true] {
        database
            .run("truncate pgmq.q_orders_queue restart identity")
            .await
            .unwrap();
        let mut arguments = vec!["send", "orders_queue", "--lines", "--file", file.path()];
        arguments.extend(atomic.then_some("--atomic"));
        let started = Instant::now();
        let ran = run(&database, &arguments);
        let took = started.elapsed();
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert!(
            ran.stderr
                .contains("100000 messages sent to orders_queue, ids 1 to 100000, in "),
            "{}",
            ran.stderr
        );
        let said = ran.stderr.trim_end();
        let _ = writeln!(
            std::io::stderr(),
            "100,000 lines, atomic: {atomic}, {took:.2?}: {said}"
        );
        assert_eq!(ran.stdout.lines().count(), 100_000);
        let in_order: bool = sqlx::query_scalar(
            "select count(*) = 100000 and bool_and(msg_id = (message ->> 'n')::bigint) from pgmq.q_orders_queue",
        )
        .fetch_one(database.pool())
        .await
        .unwrap();
        assert!(in_order);
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal_a_batch_has_a_bar_and_its_summary_the_ids() {
    use super::running::on_terminal;

    let database = shop().await;
    let lines = numbers(5000);
    let file = File::new(&database, &lines);
    let arguments = format!(
        "send orders_queue --lines --chunk 50 --file {}",
        file.path()
    );
    let (code, text) = on_terminal(&database, 80, &[], &arguments, async |_| {}).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("/5000 messages"), "{text:?}");
    assert!(
        text.trim_end()
            .contains("5000 messages sent to orders_queue, ids 1 to 5000, in"),
        "{text:?}"
    );
    assert!(text.lines().count() < 10, "{text}");
}
