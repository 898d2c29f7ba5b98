//! `pgmq-notify dead-letters`.

use std::time::Duration;

use pgmq_notify_client::{Claim, Consumer, HandlerError, Message, PgmqNotifyClient};
use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_tests::TestDatabase;
use serde_json::{Value, json};

use super::running::run;

async fn refuse(_: Message<Value>, _: Claim) -> Result<(), HandlerError> {
    Err(HandlerError::fatal("the warehouse is \u{1b}[31mclosed"))
}

/// A database with so many dead letters of orders, 1 and so on.
async fn shop(dead: u32) -> TestDatabase {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let client = PgmqNotifyClient::with_pool(database.pool().clone(), config).unwrap();
    client.create_queue("orders_queue").await.unwrap();
    for n in 1..=dead {
        client
            .send("orders_queue", &json!({ "n": n }))
            .headers(&json!({ "trace": n }))
            .await
            .unwrap();
    }
    Consumer::builder(client)
        .queue("orders_queue", refuse)
        .drain(Duration::ZERO)
        .await
        .unwrap();
    database
}

async fn ids(database: &TestDatabase, queue: &str) -> Vec<i64> {
    database_ids(
        database,
        &format!("select msg_id from pgmq.q_{queue} order by 1"),
    )
    .await
}

async fn database_ids(database: &TestDatabase, sql: &str) -> Vec<i64> {
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned()))
        .fetch_all(database.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_list_has_a_line_for_each_and_the_objects_their_bodies() {
    let database = shop(3).await;
    let ran = run(&database, &["dead-letters", "list"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        [
            "QUEUE", "ID", "DEAD", "SINCE", "ATTEMPTS", "REASON", "ERROR"
        ]
    );
    assert_eq!(lines.len(), 4);
    assert!(lines[1].starts_with("orders_queue_dlq  1   "), "{ran:?}");
    // What a terminal would obey is shown as text.
    assert!(
        lines[1].ends_with(r"  1         fatal   the warehouse is \u{1b}[31mclosed"),
        "{ran:?}"
    );
    let ran = run(
        &database,
        &[
            "dead-letters",
            "list",
            "orders_queue_dlq",
            "--json",
            "--limit",
            "2",
        ],
    );
    let objects: Vec<Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[1]["msg_id"], 2);
    assert_eq!(objects[1]["visible"], true);
    assert_eq!(objects[1]["message"], json!({ "n": 2 }));
    assert_eq!(objects[1]["headers"]["trace"], 2);
    let letter = &objects[1]["headers"]["x-pgmq-notify-dead-letter"];
    assert_eq!(
        (&letter["reason"], &letter["queue"]),
        (&json!("fatal"), &json!("orders_queue"))
    );
    assert!(ran.stderr.contains("2 of 3 dead letters"), "{ran:?}");
    // Nothing was claimed.
    let claimed = "select msg_id from pgmq.q_orders_queue_dlq where read_ct > 0";
    assert_eq!(database_ids(&database, claimed).await, [0; 0]);
}

#[tokio::test]
async fn a_list_of_nothing_says_so() {
    let database = shop(0).await;
    for (arguments, code, text) in [
        (&["dead-letters", "list"][..], 0, "no dead letters"),
        (
            &["dead-letters", "list", "orders_queue"],
            0,
            "no dead letters",
        ),
        (
            &["dead-letters", "list", "orders_queu"],
            2,
            "similar queues: \"orders_queue\"",
        ),
        (
            &["dead-letters", "show", "orders_queue", "1"],
            1,
            "there is no dead letter 1",
        ),
    ] {
        let ran = run(&database, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{ran:?}");
        assert!(ran.stderr.contains(text), "{ran:?}");
    }
}

#[tokio::test]
async fn one_is_shown_with_everything_that_is_known_of_it() {
    let database = shop(2).await;
    let ran = run(
        &database,
        &["dead-letters", "show", "orders_queue_dlq", "2"],
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for line in [
        "id           2\n",
        "from         orders_queue, message 2\n",
        "attempts     1\n",
        "reason       fatal\n",
        "body         {\n               \"n\": 2\n             }\n",
    ] {
        assert!(ran.stdout.contains(line), "{line:?}: {}", ran.stdout);
    }
    assert!(!ran.stdout.contains('\u{1b}'));
    let ran = run(
        &database,
        &["dead-letters", "show", "orders_queue_dlq", "2", "--json"],
    );
    let object: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(object["message"], json!({ "n": 2 }));
}

#[tokio::test]
async fn they_go_back_by_their_ids_or_all() {
    let database = shop(5).await;
    let ran = run(
        &database,
        &[
            "dead-letters",
            "redrive",
            "orders_queue_dlq",
            "2",
            "4",
            "77",
        ],
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.stdout, "2 -> orders_queue 6\n4 -> orders_queue 7\n");
    assert!(ran.stderr.contains("not found: 77"), "{ran:?}");
    assert_eq!(ids(&database, "orders_queue_dlq").await, [1, 3, 5]);
    let ran = run(
        &database,
        &[
            "dead-letters",
            "redrive",
            "orders_queue_dlq",
            "--all",
            "--limit",
            "1",
            "--json",
        ],
    );
    assert_eq!(
        ran.stdout,
        "{\"dead_letter_id\":1,\"queue\":\"orders_queue\",\"msg_id\":8}\n"
    );
    let ran = run(
        &database,
        &["dead-letters", "redrive", "orders_queue_dlq", "--all"],
    );
    assert_eq!(
        (ran.code, ran.stdout.lines().count()),
        (Some(0), 2),
        "{ran:?}"
    );
    assert!(
        ran.stderr
            .contains("2 dead letters of orders_queue_dlq put back"),
        "{ran:?}"
    );
    assert_eq!(ids(&database, "orders_queue").await, [6, 7, 8, 9, 10]);
    // As they were sent.
    let plain = "select msg_id from pgmq.q_orders_queue where headers = jsonb_build_object('trace', message -> 'n')";
    assert_eq!(database_ids(&database, plain).await.len(), 5);
}

#[tokio::test]
async fn more_than_go_back_at_once_all_go_back() {
    let database = shop(1).await;
    database
        .run(
            "insert into pgmq.q_orders_queue_dlq (vt, message, headers)
            select now(), message, headers from pgmq.q_orders_queue_dlq, generate_series(1, 2500)",
        )
        .await
        .unwrap();
    let ran = run(
        &database,
        &["dead-letters", "redrive", "orders_queue_dlq", "--all"],
    );
    assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 2501));
    assert_eq!(ids(&database, "orders_queue_dlq").await, [0; 0]);
}

#[tokio::test]
async fn where_the_queue_is_gone_nothing_moves() {
    let database = shop(2).await;
    database
        .run("select pgmq.drop_queue('orders_queue')")
        .await
        .unwrap();
    let ran = run(
        &database,
        &["dead-letters", "redrive", "orders_queue_dlq", "--all"],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    assert_eq!(ids(&database, "orders_queue_dlq").await, [1, 2]);
}

#[tokio::test]
async fn only_dead_letters_that_nobody_works_on_are_dropped_and_only_with_a_yes() {
    let database = shop(4).await;
    // No dead letter, and one that somebody has claimed.
    database
        .run(
            "select pgmq.send('orders_queue_dlq', '1');
            update pgmq.q_orders_queue_dlq set vt = now() + interval '1 minute' where msg_id = 2",
        )
        .await
        .unwrap();
    let ran = run(
        &database,
        &["dead-letters", "drop", "orders_queue_dlq", "1"],
    );
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("hint: say --yes"), "{ran:?}");
    let ran = run(
        &database,
        &[
            "dead-letters",
            "drop",
            "orders_queue_dlq",
            "1",
            "2",
            "5",
            "--yes",
        ],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "1\n"), "{ran:?}");
    assert!(ran.stderr.contains("not found: 2, 5"), "{ran:?}");
    let ran = run(
        &database,
        &["dead-letters", "drop", "orders_queue_dlq", "--all", "--yes"],
    );
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(0), "3\n4\n"),
        "{ran:?}"
    );
    assert_eq!(ids(&database, "orders_queue_dlq").await, [2, 5]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal_somebody_is_asked() {
    use super::running::on_terminal;

    let database = shop(2).await;
    for (answer, code, left) in [("n\n", Some(1), &[1, 2][..]), ("y\n", Some(0), &[])] {
        let arguments = "dead-letters drop orders_queue_dlq --all";
        let typing = async |running: &mut super::running::Running| running.type_in(answer);
        let (ended, text) = on_terminal(&database, 80, &[], arguments, typing).await;
        assert_eq!(ended, code, "{text}");
        assert!(
            text.contains("delete 2 dead letters of orders_queue_dlq for good? [y/N]"),
            "{text}"
        );
        assert_eq!(ids(&database, "orders_queue_dlq").await, left);
    }
}
