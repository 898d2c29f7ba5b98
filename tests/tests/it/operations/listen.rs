//! `pgmq-notify listen`, in a process of its own.

use std::process::Stdio;
use std::time::Duration;

use pgmq_notify_core::{Delivery, PgmqNotifyConfig};
use pgmq_notify_tests::{Pgmq, Server, Settings, TestDatabase, eventually};
use serde_json::Value;

use super::running::{Running, SOON, command, run, sessions};

async fn shop() -> TestDatabase {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create(&database, &["orders_queue", "mail_queue"]).await;
    database
}

async fn create(database: &TestDatabase, queues: &[&str]) {
    for queue in queues {
        database
            .run(format!("select pgmq.create('{queue}')"))
            .await
            .unwrap();
    }
}

async fn listening(database: &TestDatabase, arguments: &[&str]) -> Running {
    let arguments = [&["listen"], arguments].concat();
    let running = Running::start(database, &arguments);
    running.says("listening to").await;
    running
}

#[track_caller]
fn sent(database: &TestDatabase, queue: &str, body: &str) {
    let ran = run(database, &["send", queue, body]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

fn event(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[tokio::test]
async fn each_event_is_printed_once_and_signals_end_it_with_its_session() {
    let database = shop().await;
    for (signal, arguments) in [
        ("-INT", &["--json", "--bodies"][..]),
        ("-TERM", &["--json"]),
    ] {
        let mut listen = listening(&database, arguments).await;
        sent(&database, "orders_queue", r#"{"id": 7}"#);
        let batch = "select pgmq.send_batch('mail_queue', array['1','2','3']::jsonb[])";
        database.run(batch).await.unwrap();
        create(&database, &["new_queue"]).await;
        database
            .run("select pgmq.drop_queue('new_queue')")
            .await
            .unwrap();
        listen.writes(4).await;
        listen.signal(signal);
        assert_eq!(listen.ends().await.code(), Some(0), "{:?}", listen.words());
        let events: Vec<_> = listen.data().iter().map(|line| event(line)).collect();
        let kinds: Vec<_> = events.iter().map(|it| it["event_type"].clone()).collect();
        assert_eq!(
            kinds,
            [
                "message_with_payload",
                "batch_ready",
                "queue_created",
                "queue_dropped"
            ]
        );
        let has_body = arguments.contains(&"--bodies");
        assert_eq!(events[0]["message"]["id"] == 7, has_body, "{}", events[0]);
        assert_eq!(events[1]["message_count"], 3);
        eventually(SOON, || async { sessions(&database, "listen").await == 0 }).await;
    }
}

#[tokio::test]
async fn without_json_it_prints_lines_without_colour_into_a_pipe() {
    let database = shop().await;
    let mut listen = listening(&database, &["--bodies", "--count", "1"]).await;
    sent(&database, "orders_queue", r#"{"id": 7}"#);
    assert_eq!(listen.ends().await.code(), Some(0));
    let line = &listen.writes(1).await[0];
    assert!(
        line.ends_with(r#"Z  orders_queue  message 1  {"id": 7}"#),
        "{line:?}"
    );
}

#[tokio::test]
async fn only_what_is_asked_for_is_printed() {
    let database = shop().await;
    create(&database, &["orders_archive_queue", "Audit"]).await;
    let by_namespace = listening(&database, &["--namespace", "orders", "--json"]).await;
    let by_queue = listening(
        &database,
        &["--queue", "audit", "--queue", "mail_queue", "--json"],
    )
    .await;
    let everything = listening(&database, &["--json"]).await;
    for queue in [
        "mail_queue",
        "orders_archive_queue",
        "Audit",
        "orders_queue",
        "mail_queue",
    ] {
        sent(&database, queue, "7");
    }
    let queues = |lines: Vec<String>| -> Vec<String> {
        let queue = |line: &String| event(line)["queue_name"].as_str().unwrap().to_owned();
        lines.iter().map(queue).collect()
    };
    everything.writes(5).await;
    assert_eq!(queues(by_namespace.writes(1).await), ["orders_queue"]);
    assert_eq!(
        queues(by_queue.writes(3).await),
        ["mail_queue", "Audit", "mail_queue"]
    );
    assert_eq!(by_namespace.data().len(), 1);
}

#[tokio::test]
async fn a_queue_that_is_not_there_yet_is_waited_for_and_a_similar_one_named() {
    let database = shop().await;
    let mut listen = listening(&database, &["--queue", "order_queue", "--count", "2"]).await;
    listen.says("similar queues: \"orders_queue\"").await;
    sent(&database, "orders_queue", "1");
    create(&database, &["order_queue"]).await;
    sent(&database, "order_queue", "2");
    assert_eq!(listen.ends().await.code(), Some(0));
    let lines = listen.writes(2).await;
    assert!(
        lines[0].ends_with("order_queue  queue created"),
        "{lines:?}"
    );
    assert!(lines[1].ends_with("order_queue  message 1"), "{lines:?}");
}

#[tokio::test]
async fn the_end_of_the_time_says_whether_enough_came() {
    let database = shop().await;
    let mut none = listening(&database, &["--for", "200ms"]).await;
    assert_eq!(none.ends().await.code(), Some(1));
    let mut few = listening(&database, &["--for", "2s", "--count", "2"]).await;
    let mut some = listening(&database, &["--for", "2s"]).await;
    sent(&database, "orders_queue", "1");
    assert_eq!(few.ends().await.code(), Some(1));
    assert_eq!(some.ends().await.code(), Some(0));
    assert_eq!((few.data().len(), some.data().len()), (1, 1));
}

#[tokio::test]
async fn a_reader_that_leaves_ends_it_at_once() {
    let database = shop().await;
    let mut child = command(&database, &["listen"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually(SOON, || async { sessions(&database, "listen").await > 0 }).await;
    drop(child.stdout.take());
    let status = eventually(SOON, || {
        let ended = child.try_wait().unwrap();
        async move { ended }
    });
    assert_eq!(status.await.code(), Some(0));
    eventually(SOON, || async { sessions(&database, "listen").await == 0 }).await;
}

#[cfg(unix)]
#[tokio::test]
async fn head_gets_its_line_and_both_end() {
    let database = shop().await;
    let program = crate::harness::command_line::program()
        .display()
        .to_string();
    let mut shell = std::process::Command::new("sh");
    shell
        .args(["-c", &format!("{program} listen | head -n 1")])
        .env("DATABASE_URL", database.url());
    let mut running = Running::of(&mut shell);
    running.says("listening to").await;
    sent(&database, "orders_queue", "1");
    assert!(running.ends().await.success());
    assert_eq!(running.writes(1).await.len(), 1);
    assert!(!running.words().iter().any(|line| line.contains("panicked")));
    eventually(SOON, || async { sessions(&database, "listen").await == 0 }).await;
}

#[tokio::test]
async fn a_reader_that_sleeps_keeps_it_neither_from_its_socket_nor_from_its_end() {
    let database = shop().await;
    let mut child = command(&database, &["listen", "--bodies"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually(SOON, || async { sessions(&database, "listen").await > 0 }).await;
    // More than pipe, lines and buffer hold.
    let body = "x".repeat(5000);
    let send = format!(
        "do $$ begin for n in 1..15000 loop perform pgmq.send('orders_queue', to_jsonb('{body}'::text)); end loop; end $$"
    );
    database.run(send).await.unwrap();
    eventually(SOON, || async {
        let used: f64 = sqlx::query_scalar("select pg_notification_queue_usage()")
            .fetch_one(database.pool())
            .await
            .unwrap();
        used == 0.0
    })
    .await;
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    let status = eventually(SOON, || {
        let ended = child.try_wait().unwrap();
        async move { ended }
    });
    assert_eq!(status.await.code(), Some(0));
}

#[tokio::test]
async fn a_killed_server_is_waited_for_and_the_gap_is_said() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&PgmqNotifyConfig::new()).await;
    create(&database, &["orders_queue"]).await;
    let mut plain = listening(&database, &["--json"]).await;
    let mut catching_up = listening(&database, &["--json", "--catch-up"]).await;
    sent(&database, "orders_queue", "1");
    plain.writes(1).await;
    catching_up.writes(1).await;
    server.kill().await.unwrap();
    plain.says("the connection is lost, connecting again").await;
    server.start_again().await.unwrap();
    for listen in [&plain, &catching_up] {
        listen.says("connected again after").await;
    }
    plain.says("events of that time were missed").await;
    catching_up.says("what waits in the queues follows").await;
    // A starting server may take a session and end it again.
    let kinds = |listen: &Running| -> Vec<_> {
        let lines = listen.data();
        let kind = |line: &String| event(line)["event_type"].as_str().unwrap().to_owned();
        lines
            .iter()
            .map(kind)
            .filter(|kind| kind != "resumed")
            .collect()
    };
    eventually(SOON, || async { kinds(&catching_up).len() >= 2 }).await;
    sent(&database, "orders_queue", "2");
    eventually(SOON, || async { kinds(&plain).len() == 2 }).await;
    assert!(kinds(&catching_up).contains(&"message_ready".to_owned()));
    assert!(plain.data().iter().any(|line| line.contains("\"resumed\"")));
    for listen in [&mut plain, &mut catching_up] {
        listen.signal("-TERM");
        assert_eq!(listen.ends().await.code(), Some(0));
    }
}

#[tokio::test]
async fn without_a_channel_of_all_namespaces_those_of_the_queues_are_followed() {
    let config = PgmqNotifyConfig::new()
        .with_global_channel(false)
        .with_channels_prefix("shop");
    let database = TestDatabase::migrated(&config).await;
    create(&database, &["orders_queue"]).await;
    let listen = listening(&database, &["--json"]).await;
    listen.says("there is no channel of all namespaces").await;
    sent(&database, "orders_queue", "1");
    create(&database, &["mail_queue"]).await;
    listen.writes(2).await;
    // Its namespace is listened to a moment after it was heard of.
    eventually(SOON, || async {
        sent(&database, "mail_queue", "2");
        tokio::time::sleep(Duration::from_millis(50)).await;
        listen.data().len() > 2
    })
    .await;
    assert_eq!(event(&listen.data()[2])["queue_name"], "mail_queue");
}

#[tokio::test]
async fn an_observer_of_a_work_queue_is_told_what_it_will_not_hear() {
    let config = PgmqNotifyConfig::new().with_namespace_delivery("mail", Delivery::WakeUp);
    let database = TestDatabase::migrated(&config).await;
    create(&database, &["orders_queue", "mail_queue"]).await;
    let all = listening(&database, &[]).await;
    all.says("the delivery of mail is wake_up").await;
    let orders = listening(&database, &["--namespace", "orders"]).await;
    assert!(!orders.words().iter().any(|line| line.contains("wake_up")));
}

#[tokio::test]
async fn a_database_without_the_migration_is_an_error_with_a_remedy() {
    let database = TestDatabase::new().await;
    let ran = run(&database, &["listen"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("hint: `pgmq-notify install`"),
        "{ran:?}"
    );
    assert_eq!(ran.stdout, "");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal_lines_fit_and_have_colour_unless_it_is_refused() {
    use super::running::on_terminal;

    let database = shop().await;
    let body = format!("\"{}\"", "x".repeat(300));
    for (environment, has_colour) in [(&[][..], true), (&[("NO_COLOR", "1")], false)] {
        let (code, text) = on_terminal(
            &database,
            60,
            environment,
            "listen --bodies --count 1",
            async |_| {
                eventually(SOON, || async { sessions(&database, "listen").await > 0 }).await;
                eventually(SOON, || async {
                    // It may not listen yet.
                    sent(&database, "orders_queue", &body);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    sessions(&database, "listen").await == 0
                })
                .await;
            },
        )
        .await;
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(text.contains("\u{1b}["), has_colour, "{text:?}");
        let line = text
            .lines()
            .find(|line| line.contains("orders_queue"))
            .unwrap();
        let mut plain = String::new();
        let mut in_escape = false;
        for character in line.trim_end().chars() {
            in_escape |= character == '\u{1b}';
            if !in_escape {
                plain.push(character);
            }
            in_escape &= character != 'm';
        }
        assert_eq!(plain.chars().count(), 60, "{plain:?}");
        assert!(plain.ends_with("xx…"), "{plain:?}");
    }
}
