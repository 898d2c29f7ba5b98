//! `pgmq-notify top`, what it prints and what it does to a terminal.

use std::time::Duration;

use pgmq_notify_core::{Delivery, PgmqNotifyConfig};
use pgmq_notify_tests::TestDatabase;
use sqlx::{Connection as _, PgConnection};

use super::running::{Running, run, sessions};

async fn shop(config: &PgmqNotifyConfig) -> TestDatabase {
    let database = TestDatabase::migrated(config).await;
    database
        .run("select pgmq.create('orders_queue'); select pgmq.create('mail_queue'); select pgmq.create('orders_queue_dlq')")
        .await
        .unwrap();
    database
}

/// The cells of a queue's line.
#[track_caller]
fn cells(frame: &str, queue: &str) -> Vec<String> {
    let line = frame
        .lines()
        .find(|line| line.split_whitespace().next() == Some(queue))
        .unwrap_or_else(|| panic!("no {queue} in:\n{frame}"));
    line.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn one_frame_has_the_numbers_of_every_queue() {
    let config = PgmqNotifyConfig::new().with_namespace_delivery("mail", Delivery::WakeUp);
    let database = shop(&config).await;
    database
        .run(
            "select pgmq.send_batch('orders_queue', array_agg(to_jsonb(n))) from generate_series(1, 2500) n;
            select pgmq.send('mail_queue', '1'), pgmq.send('mail_queue', '2', 600), pgmq.send('orders_queue_dlq', '3');
            insert into pgmq_notify.parked values
              ('q_mail_queue', 1, now() + interval '1 minute'), ('q_mail_queue', 2, now() + interval '1 minute'),
              ('q_mail_queue', 3, now() - interval '1 minute')",
        )
        .await
        .unwrap();
    // The statistics are some seconds late.
    pgmq_notify_tests::eventually(super::running::SOON, || async {
        let live: i64 =
            sqlx::query_scalar("select pg_stat_get_live_tuples('pgmq.q_orders_queue'::regclass)")
                .fetch_one(database.pool())
                .await
                .unwrap();
        if live == 2500 { Ok(()) } else { Err(live) }
    })
    .await;
    let mut attending = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("select pg_advisory_lock(r.attention) from pgmq_notify.route('mail_queue') r")
        .execute(&mut attending)
        .await
        .unwrap();
    let mut top = Running::start(&database, &["top", "--once", "--interval", "2s"]);
    // Once it listens, what is sent is heard.
    pgmq_notify_tests::eventually(super::running::SOON, || async {
        sessions(&database, "top").await > 1
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..20 {
        database
            .run("select pgmq.send('orders_queue_dlq', '4')")
            .await
            .unwrap();
    }
    database
        .run("select pgmq.pop('orders_queue_dlq')")
        .await
        .unwrap();
    assert_eq!(top.ends().await.code(), Some(0), "{:?}", top.words());
    let frame = top.data().join("\n");
    let head: Vec<_> = frame.lines().take(2).collect();
    assert!(
        head[0].contains(database.name()) && head[0].ends_with("connected"),
        "{frame}"
    );
    assert!(head[1].starts_with("3 queues  sent 10"), "{frame}");
    // Name, depth, visible, oldest, sent, done, events, latency, consumers, dead.
    let orders = cells(&frame, "orders_queue");
    assert_eq!(
        (&*orders[1], &*orders[2], &*orders[9]),
        ("~2500", "~2500", "20"),
        "{frame}"
    );
    let mail = cells(&frame, "mail_queue");
    assert_eq!(
        (&*mail[1], &*mail[2], &*mail[8]),
        ("2", "1", "2*"),
        "{frame}"
    );
    let dead = cells(&frame, "orders_queue_dlq");
    assert_eq!((&*dead[1], &*dead[2]), ("20", "20"), "{frame}");
    for rate in [&dead[4], &dead[6]] {
        let rate: f64 = rate.parse().unwrap();
        assert!((5.0..=10.5).contains(&rate), "{frame}");
    }
    assert_ne!(dead[5], "0", "{frame}");
    assert!(dead[7].ends_with("ms"), "{frame}");
    assert!(
        frame.lines().all(|line| line.chars().count() <= 100),
        "{frame}"
    );
    assert!(!frame.contains('\u{1b}'));
}

#[tokio::test]
async fn its_statements_do_not_grow_with_the_queues_and_count_no_table() {
    let database = shop(&PgmqNotifyConfig::new()).await;
    database
        .run("select pgmq.create(format('q%s_queue', n)) from generate_series(1, 250) n")
        .await
        .unwrap();
    let scans = "select coalesce(sum(seq_tup_read), 0)::bigint from pg_stat_user_tables where relname = 'q_orders_queue'";
    database
        .run("insert into pgmq.q_orders_queue (vt, message) select now(), '1' from generate_series(1, 50000)")
        .await
        .unwrap();
    let read = async || -> i64 {
        sqlx::query_scalar(scans)
            .fetch_one(database.pool())
            .await
            .unwrap()
    };
    let before = read().await;
    let ran = run(&database, &["top", "--once", "--interval", "100ms"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 4 + 253);
    // Two looks, whose numbers of rows come with the end of the session.
    pgmq_notify_tests::eventually(super::running::SOON, || async {
        let rows = read().await - before;
        if (1..=4 * 1001).contains(&rows) {
            Ok(())
        } else {
            Err(rows)
        }
    })
    .await;
}

#[tokio::test]
async fn without_the_migration_depths_are_shown_and_why_nothing_is_heard() {
    let database = TestDatabase::new().await;
    database
        .run("select pgmq.create('orders_queue'); select pgmq.send('orders_queue', '1')")
        .await
        .unwrap();
    let ran = run(&database, &["top", "--once", "--interval", "500ms"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("no events: "), "{ran:?}");
    assert_eq!(cells(&ran.stdout, "orders_queue")[1], "1");
}

#[tokio::test]
async fn without_pgmq_it_is_an_error() {
    let database = TestDatabase::empty().await;
    let ran = run(&database, &["top", "--once"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
    assert!(ran.stderr.contains("hint: "), "{ran:?}");
}

#[tokio::test]
async fn a_role_that_may_not_read_a_queue_sees_the_others() {
    let database = shop(&PgmqNotifyConfig::new()).await;
    let role = format!("{}_watcher", database.name());
    database
        .run(format!(
            "create role {role} login password 'geheim';
            grant usage on schema pgmq, pgmq_notify to {role};
            grant select on pgmq.meta, pgmq_notify.installation, pgmq.q_mail_queue to {role};
            grant select on all sequences in schema pgmq to {role}"
        ))
        .await
        .unwrap();
    let url = database.url();
    let (_, place) = url.rsplit_once('@').unwrap();
    let url = format!("postgres://{role}:geheim@{place}");
    let arguments = ["top", "--once", "--interval", "500ms"];
    let ran = crate::harness::command_line::run(&arguments, &[("DATABASE_URL", &url)]);
    database
        .run(format!("drop owned by {role}; drop role {role}"))
        .await
        .unwrap();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(cells(&ran.stdout, "mail_queue")[1], "0");
    assert_eq!(cells(&ran.stdout, "orders_queue")[1], "-");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_terminal_is_as_it_was_after_a_key_and_after_a_signal() {
    use super::running::{SOON, on_terminal};

    /// The alternate screen, the cursor.
    const ENTERED: [&str; 2] = ["\u{1b}[?1049h", "\u{1b}[?25l"];
    const LEFT: [&str; 2] = ["\u{1b}[?1049l", "\u{1b}[?25h"];

    let database = shop(&PgmqNotifyConfig::new()).await;
    for (quit, environment) in [
        ("q", &[][..]),
        ("\u{3}", &[("NO_COLOR", "1")]),
        ("-TERM", &[]),
    ] {
        let arguments = "top --interval 200ms; stty -a | head -n 3";
        let (_, text) = on_terminal(&database, 80, environment, arguments, async |running| {
            pgmq_notify_tests::eventually(SOON, || async { sessions(&database, "top").await > 1 })
                .await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            if quit.starts_with('-') {
                let name = database.url();
                signal_top(&name, quit);
            } else {
                running.type_in(quit);
            }
        })
        .await;
        // Green, which says that it is connected.
        assert_eq!(text.contains("38;5;2"), environment.is_empty(), "{text:?}");
        for (entered, left) in ENTERED.iter().zip(LEFT) {
            let (first, last) = (text.find(entered), text.rfind(left));
            assert!(first.is_some() && first < last, "{quit:?}: {text:?}");
        }
        assert!(
            text.contains("orders_queue") && text.contains("connected"),
            "{text:?}"
        );
        assert!(!text.contains("panicked"), "{text:?}");
        pgmq_notify_tests::eventually(SOON, || async { sessions(&database, "top").await == 0 })
            .await;
    }
}

/// To the process whose environment has this URL.
#[cfg(target_os = "linux")]
fn signal_top(url: &str, signal: &str) {
    let wanted = format!("DATABASE_URL={url}");
    let mut found = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let is_top = std::fs::read(path.join("cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).nth(1) == Some(b"top"));
        let is_ours = std::fs::read(path.join("environ")).is_ok_and(|text| {
            text.split(|byte| *byte == 0)
                .any(|it| it == wanted.as_bytes())
        });
        if is_top && is_ours {
            let id = entry.file_name().into_string().unwrap();
            let status = std::process::Command::new("kill")
                .args([signal, &id])
                .status();
            assert!(status.unwrap().success());
            found += 1;
        }
    }
    assert_eq!(found, 1);
}
