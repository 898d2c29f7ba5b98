//! `pgmq-notify status` and `client.status()`: what is shown, to whom, and what it costs.

use std::time::{Duration, Instant};

use pgmq_notify_client::{
    Claim, Consumer, Delivery, ErrorKind, HandlerError, InstallationStatus, Message,
    PgmqNotifyClient, PgmqNotifyConfig, QueueConsumers, QueueKind, QueueStatus, Status, TableState,
};
use pgmq_notify_tests::{Pgmq, Server, Settings, TestDatabase, eventually};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use super::client;
use super::running::{SOON, run};
use crate::producers::partitioned_queue;

/// Everything that a queue can be.
async fn shop() -> TestDatabase {
    let config = PgmqNotifyConfig::new().with_namespace_delivery("mail", Delivery::WakeUp);
    let database = TestDatabase::migrated(&config).await;
    database
        .run(
            "select pgmq.create(q) from unnest(array['mail_queue', 'orders_queue', 'orders_queue_dlq', 'Mixed Case']) q;
            select pgmq.create_unlogged('unlogged_queue');
            select pgmq.send_batch('orders_queue', array['1', '2', '3', '4']::jsonb[]), pgmq.send('orders_queue', '5', 600),
              pgmq.send('mail_queue', '1');
            update pgmq.q_orders_queue set enqueued_at = now() - interval '5 days 1 hour' where msg_id = 1;
            update pgmq.q_orders_queue set enqueued_at = now() - interval '3 days 1 hour' where msg_id > 2;
            update pgmq.q_mail_queue set enqueued_at = now() - interval '2 days 1 hour';
            -- The oldest is claimed.
            select pgmq.read('orders_queue', 600, 1);
            delete from pgmq.q_orders_queue where msg_id = 2;
            insert into pgmq_notify.parked values
              ('q_mail_queue', 1, now() + interval '1 hour'), ('q_mail_queue', 2, now() + interval '1 hour'),
              ('q_mail_queue', 3, now() - interval '1 minute');
            drop trigger pgmq_notify_message_released on pgmq.q_orders_queue_dlq;
            alter table pgmq.\"q_mixed case\" disable trigger pgmq_notify_message_inserted;
            drop trigger pgmq_notify_message_inserted on pgmq.q_unlogged_queue;
            create trigger pgmq_notify_message_inserted after insert on pgmq.q_unlogged_queue
              referencing new table as inserted for each statement execute function pgmq_notify.message_inserted('old')",
        )
        .await
        .unwrap();
    database
}

/// A consumer that is at work.
async fn attended(database: &TestDatabase, queue: &str) -> PgConnection {
    let mut attending = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::query("select pg_advisory_lock(r.attention) from pgmq_notify.route($1) r")
        .bind(queue)
        .execute(&mut attending)
        .await
        .unwrap();
    attending
}

async fn status(database: &TestDatabase) -> Status {
    client(database, &PgmqNotifyConfig::new())
        .status()
        .await
        .unwrap()
}

#[track_caller]
fn queue<'a>(status: &'a Status, name: &str) -> &'a QueueStatus {
    let queue = status.queues.iter().find(|it| it.name == name);
    queue.unwrap_or_else(|| panic!("no {name} in {status:?}"))
}

/// Visible and invisible messages, if they are known.
fn depths(queue: &QueueStatus) -> Option<(u64, u64)> {
    let messages = queue.messages?;
    Some((messages.visible?.messages, messages.invisible?.messages))
}

/// Versions and names, which depend on the server.
fn masked(text: &str, database: &TestDatabase) -> String {
    let text = text.replace(database.name(), "shop");
    let lines = text.lines().map(|line| {
        for name in ["postgresql", "pgmq"] {
            if let Some(rest) = line.strip_prefix(name)
                && rest.starts_with("  ")
            {
                let spaces = rest.len() - rest.trim_start().len();
                return format!("{name}{}…\n", &rest[..spaces]);
            }
        }
        format!("{line}\n")
    });
    lines.collect()
}

#[tokio::test]
async fn a_pipe_gets_every_column_of_every_queue() {
    let database = shop().await;
    let _attending = attended(&database, "mail_queue").await;
    let ran = run(&database, &["status"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(
        masked(&ran.stdout, &database),
        "\
database            shop
postgresql          …
pgmq                …
pgmq-notify         0.1.0, out of date
delivery            every; wake_up: mail
notification queue  0.0% in use
sessions            0 listening, 0 of consumers
queues              5; triggers: 2 installed, 1 disabled, 1 missing, 1 stale

QUEUE             VISIBLE  INVISIBLE  OLDEST  CONSUMERS  TRIGGERS   DELIVERY  KIND      DLQ  NAMESPACE  CHANNEL
Mixed Case              0          0       -          -  disabled   every     plain          default    pgmq_message_ready.default
mail_queue              1          0      2d         2*  installed  wake_up   plain          mail       pgmq_message_ready.mail
orders_queue            2          2      3d          -  installed  every     plain          orders     pgmq_message_ready.orders
orders_queue_dlq        0          0       -          -  missing    every     plain     yes  orders     pgmq_message_ready.orders
unlogged_queue          0          0       -          -  stale      every     unlogged       unlogged   pgmq_message_ready.unlogged
"
    );
    assert_eq!(
        ran.stderr,
        "what is installed is not what pgmq-notify 0.1.0 installs with its configuration\n\
         hint: `pgmq-notify doctor` says what differs\n"
    );
}

#[tokio::test]
async fn filters_leave_what_was_named_and_an_unknown_queue_is_an_error() {
    let database = shop().await;
    let names = |arguments: &[&str]| -> Vec<String> {
        let ran = run(&database, &[&["status", "--json"], arguments].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let queues = report["queues"].as_array().unwrap();
        let name = |queue: &Value| queue["name"].as_str().unwrap().to_owned();
        queues.iter().map(name).collect()
    };
    assert_eq!(
        names(&["--namespace", "orders", "--queue", "mixed case"]),
        ["Mixed Case", "orders_queue", "orders_queue_dlq"]
    );
    assert_eq!(names(&["--queue", "MAIL_QUEUE"]), ["mail_queue"]);
    assert!(names(&["--namespace", "nothing"]).is_empty());
    let ran = run(&database, &["status", "--namespace", "nothing"]);
    assert!(
        ran.stderr
            .contains("no queue is in the namespace \"nothing\""),
        "{ran:?}"
    );
    let ran = run(&database, &["status", "--queue", "order_queue"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        ran.stderr,
        "error: there is no queue \"order_queue\"\n\
         hint: similar queues: \"orders_queue\", \"orders_queue_dlq\"\n"
    );
}

/// What differs from server to server is taken over.
#[tokio::test]
async fn the_object_is_the_documented_one() {
    let page = include_str!("../../../../docs/status.md");
    let (_, block) = page.split_once("```json\n").unwrap();
    let expected: Value = serde_json::from_str(block.split_once("```").unwrap().0).unwrap();

    let config = PgmqNotifyConfig::new().with_namespace_delivery("mail", Delivery::WakeUp);
    let database = TestDatabase::migrated(&config).await;
    database
        .run(
            "select pgmq.create('mail_queue'); select pgmq.create('orders_queue_dlq');
            drop trigger pgmq_notify_message_inserted on pgmq.q_orders_queue_dlq;
            select pgmq.send('mail_queue', '1'), pgmq.send('mail_queue', '2', 600), pgmq.send('mail_queue', '3', 600);
            insert into pgmq_notify.parked values
              ('q_mail_queue', 1, now() + interval '1 hour'), ('q_mail_queue', 2, now() + interval '1 hour')",
        )
        .await
        .unwrap();
    let _attending = attended(&database, "mail_queue").await;
    let ran = run(&database, &["status", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1);
    let mut report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let server = report["server"].as_object_mut().unwrap();
    assert_eq!(server["database"], database.name());
    for field in ["database", "postgresql", "pgmq", "pgmq_is_extension"] {
        let documented = &expected["server"][field];
        assert_eq!(server[field].is_string(), documented.is_string(), "{field}");
        server[field] = documented.clone();
    }
    // Other tests of this server may listen.
    assert!(server["notification_queue_usage"].is_f64());
    server["notification_queue_usage"] = json!(0.0);
    let age = &mut report["queues"][0]["oldest_visible_seconds"];
    assert!(
        age.as_f64().is_some_and(|it| (0.0..60.0).contains(&it)),
        "{age}"
    );
    *age = json!(34.25);
    assert_eq!(report, expected);
}

#[tokio::test]
async fn a_consumer_that_sleeps_is_counted_with_its_sessions() {
    async fn handle(_: Message<Value>, _: Claim) -> Result<(), HandlerError> {
        Ok(())
    }

    let config = PgmqNotifyConfig::new().with_delivery(Delivery::WakeUp);
    let database = TestDatabase::migrated(&config).await;
    let client = PgmqNotifyClient::with_pool(database.pool().clone(), config).unwrap();
    client.create_queue("orders_queue").await.unwrap();
    let before = client.status().await.unwrap();
    let nobody = queue(&before, "orders_queue").consumers.unwrap();
    assert_eq!((nobody.parked, nobody.is_attended), (0, false));
    assert_eq!(before.server.sessions.listeners, 0);
    let consumer = Consumer::builder(client.clone())
        .queue("orders_queue", handle)
        .start()
        .await
        .unwrap();
    eventually(SOON, || async {
        let status = client.status().await.unwrap();
        let consumers = queue(&status, "orders_queue").consumers.unwrap();
        let sessions = status.server.sessions;
        if consumers.parked == 1 && sessions.listeners == 1 && sessions.consumers >= 1 {
            Ok(())
        } else {
            Err(status)
        }
    })
    .await;
    consumer.shutdown().await;
    let after = client.status().await.unwrap();
    let left: Option<QueueConsumers> = queue(&after, "orders_queue").consumers;
    assert_eq!(left.map(|it| it.parked), Some(0));
}

#[tokio::test]
async fn before_it_is_installed_depths_are_shown_and_the_rest_is_unknown() {
    let database = TestDatabase::new().await;
    database
        .run("select pgmq.create('orders_queue'); select pgmq.send('orders_queue', '1')")
        .await
        .unwrap();
    let seen = status(&database).await;
    assert!(matches!(seen.installation, InstallationStatus::Missing));
    let orders = queue(&seen, "orders_queue");
    assert_eq!(depths(orders), Some((1, 0)));
    assert_eq!(
        (&orders.namespace, orders.triggers, orders.consumers),
        (&None, None, None)
    );
    let ran = run(&database, &["status"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.stdout.contains("\npgmq-notify         not installed\n"),
        "{ran:?}"
    );
    assert_eq!(
        ran.stderr,
        "pgmq-notify is not installed in this database: nothing is published\n\
         hint: `pgmq-notify install` installs it, or apply the migration\n"
    );
}

#[tokio::test]
async fn without_pgmq_it_is_an_error_that_names_the_remedy() {
    let database = TestDatabase::empty().await;
    let error = client(&database, &PgmqNotifyConfig::new())
        .status()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PgmqMissing);
    let ran = run(&database, &["status"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        ran.stderr,
        "error: status: PGMQ is not installed in this database: it has no table pgmq.meta\n\
         hint: install PGMQ first: `pgmq-notify install --with-pgmq`\n"
    );
}

#[tokio::test]
async fn without_triggers_there_is_no_state_of_them() {
    let config = PgmqNotifyConfig::new().with_triggers_enabled(false);
    let database = TestDatabase::migrated(&config).await;
    database
        .run("select pgmq_notify.create('orders_queue')")
        .await
        .unwrap();
    let seen = status(&database).await;
    let orders = queue(&seen, "orders_queue");
    assert_eq!(orders.triggers, None);
    assert_eq!(orders.namespace.as_deref(), Some("orders"));
    let ran = run(&database, &["status"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let line = "\ndelivery            every; by functions, without triggers\n";
    assert!(ran.stdout.contains(line), "{ran:?}");
}

#[tokio::test]
async fn a_partitioned_queue_counts_as_one_and_one_without_a_table_is_named() {
    let database = shop().await;
    partitioned_queue(&database, "parts").await;
    database
        .run(
            "insert into pgmq.q_parts (vt, message) select now(), '1' from generate_series(1, 3);
            insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('gone', false, false)",
        )
        .await
        .unwrap();
    let seen = status(&database).await;
    let parts = queue(&seen, "parts");
    assert_eq!(parts.kind, QueueKind::Partitioned);
    assert_eq!(depths(parts), Some((3, 0)));
    assert_eq!(parts.triggers, Some(TableState::Installed));
    let gone = queue(&seen, "gone");
    assert_eq!((&gone.table, &gone.messages), (&None, &None));
    let ran = run(&database, &["status", "--queue", "gone"]);
    assert!(ran.stdout.contains("  no table  "), "{ran:?}");
}

/// The queue would be read wholly otherwise.
#[tokio::test]
async fn few_visible_messages_are_counted_beside_any_number_of_delayed_ones() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    database
        .run(
            "select pgmq.create('orders_queue');
            insert into pgmq.q_orders_queue (vt, message)
              select now() + interval '1 hour', '1' from generate_series(1, 3000);
            insert into pgmq.q_orders_queue (vt, message) select now(), '1' from generate_series(1, 7)",
        )
        .await
        .unwrap();
    // The statistics are some seconds late.
    eventually(SOON, || async {
        let seen = status(&database).await;
        let messages = queue(&seen, "orders_queue").messages.unwrap();
        let visible = messages.visible.unwrap();
        assert_eq!((visible.messages, visible.is_estimate), (7, false));
        assert!(messages.depth.is_estimate && messages.depth.messages > 1000);
        if depths(queue(&seen, "orders_queue")) == Some((7, 3000)) {
            Ok(())
        } else {
            Err(messages)
        }
    })
    .await;
}

#[tokio::test]
async fn a_queue_that_somebody_has_locked_is_shown_without_its_messages() {
    let database = shop().await;
    let mut holder = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    sqlx::raw_sql("begin; lock table pgmq.q_mail_queue in access exclusive mode")
        .execute(&mut holder)
        .await
        .unwrap();
    let asked = Instant::now();
    let seen = tokio::time::timeout(SOON, status(&database)).await.unwrap();
    let took = asked.elapsed();
    assert_eq!(queue(&seen, "mail_queue").messages, None);
    assert_eq!(depths(queue(&seen, "orders_queue")), Some((2, 2)));
    assert_eq!(
        queue(&seen, "mail_queue").triggers,
        Some(TableState::Installed)
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[tokio::test]
async fn a_standby_shows_the_same_but_for_what_is_not_in_the_wal() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    let config = PgmqNotifyConfig::new().with_delivery(Delivery::WakeUp);
    database.migrate(&config).await;
    database
        .run(
            "select pgmq.create('orders_queue'); select pgmq.create_unlogged('unlogged_queue');
            select pgmq.send('orders_queue', '1')",
        )
        .await
        .unwrap();
    let standby = server.standby().await.unwrap();
    standby.catch_up_with(&server).await.unwrap();
    let url = standby.url(database.name());
    let client = PgmqNotifyClient::new(&url, PgmqNotifyConfig::new())
        .await
        .unwrap();
    let seen = client.status().await.unwrap();
    assert!(seen.server.is_standby);
    let orders = queue(&seen, "orders_queue");
    assert_eq!(depths(orders), Some((1, 0)));
    assert_eq!(orders.triggers, Some(TableState::Installed));
    assert_eq!(orders.delivery, Some(Delivery::WakeUp));
    assert_eq!(orders.consumers, None);
    let unlogged = queue(&seen, "unlogged_queue");
    assert_eq!(
        (unlogged.kind, &unlogged.messages),
        (QueueKind::Unlogged, &None)
    );
    let ran = crate::harness::command_line::run(&["status"], &[("DATABASE_URL", &url)]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(", a standby\n"), "{ran:?}");
    assert!(ran.stderr.starts_with("this is a standby: "), "{ran:?}");
    client.pool().close().await;
}

#[tokio::test]
async fn a_thousand_queues_are_shown_in_a_moment() {
    let database = TestDatabase::new().await;
    // As PGMQ makes them, but for their archives, which take most of the time.
    database
        .run("select pgmq.create('q0_queue')")
        .await
        .unwrap();
    for hundred in 0..10 {
        database
            .run(format!(
                "do $$ declare name text; begin
                  for name in
                    select format('q%s_queue', n) from generate_series({hundred} * 100, {hundred} * 100 + 99) n where n > 0
                  loop
                    execute format('create table pgmq.q_%s (like pgmq.q_q0_queue including all)', name);
                    insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values (name, false, false);
                    perform pgmq.send(name, '1');
                  end loop;
                end $$"
            ))
            .await
            .unwrap();
    }
    database
        .run("select pgmq.send('q0_queue', '1')")
        .await
        .unwrap();
    database.migrate(&PgmqNotifyConfig::new()).await;
    let took = async || {
        let asked = Instant::now();
        let seen = status(&database).await;
        assert_eq!(seen.queues.len(), 1000);
        assert!(seen.queues.iter().all(|it| depths(it) == Some((1, 0))));
        asked.elapsed()
    };
    // The best of some, since other tests run at the same time.
    let mut times = Vec::new();
    for _ in 0..3 {
        times.push(took().await);
    }
    let best = times.iter().min().unwrap();
    assert!(*best < Duration::from_secs(4), "{times:?}");
    let ran = run(&database, &["status"]);
    assert_eq!(ran.stdout.lines().count(), 10 + 1000, "{times:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn on_a_terminal_lines_fit_and_have_colour_unless_it_is_refused() {
    let database = shop().await;
    for (columns, environment, has_colour, has_triggers) in [
        (80, &[][..], true, true),
        (80, &[("NO_COLOR", "1")], false, true),
        (30, &[("NO_COLOR", "1")], false, false),
    ] {
        let terminal =
            super::running::on_terminal(&database, columns, environment, "status", async |_| {});
        let (code, text) = terminal.await;
        assert_eq!(code, Some(0), "{text}");
        assert_eq!(text.contains("\u{1b}["), has_colour, "{text:?}");
        assert_eq!(text.contains("TRIGGERS"), has_triggers, "{text:?}");
        // The words behind it are not cut.
        let lines = text.lines().take_while(|it| !it.starts_with("what is"));
        for line in lines {
            let plain = plain(line.trim_end());
            assert!(plain.chars().count() <= columns.into(), "{plain:?}");
        }
        assert!(text.contains("unlogged_queue"), "{text:?}");
    }
}

/// Without the escapes, which end with a letter.
#[cfg(target_os = "linux")]
fn plain(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        let end = part.find(|it: char| it.is_ascii_alphabetic());
        text + &part[end.map_or(0, |at| at + 1)..]
    })
}
