//! A producer never pays: whatever is sent, in whatever way, the send commits and what is delivered is valid.

use std::collections::BTreeSet;

use pgmq_notify_core::{Namespace, PgmqNotifyConfig, PgmqNotifyEvent, QueueName, RawJson};
use pgmq_notify_tests::{Heard, TestDatabase};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

/// The names that a queue may have and that break those who quote carelessly.
pub(crate) fn odd_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "Orders_queue",
        "a b",
        "say \"hi\"",
        "a.b.c",
        "100%",
        r"back\slash",
        "tab\there",
        "line\nbreak",
        "größe_queue",
        "-",
        "{\"a\":1}",
        "a\u{1}b",
        "select",
        "%s%I",
        "",
        "_queue",
        "🐘_queue",
    ]
    .map(String::from)
    .into();
    names.push("n".repeat(QueueName::MAX_CHARS));
    names.push("🐘".repeat(QueueName::MAX_CHARS));
    names.push(format!("{}_queue", "é".repeat(41)));
    names
}

pub(crate) async fn create(database: &TestDatabase, queue: &str) {
    sqlx::query("select pgmq.create($1)")
        .bind(queue)
        .execute(database.pool())
        .await
        .unwrap_or_else(|error| panic!("create {queue:?}: {error:?}"));
}

/// Sends `body`, a JSON text or nothing, and returns the id.
pub(crate) async fn send(
    database: &TestDatabase,
    queue: &str,
    body: Option<&str>,
    headers: Option<&str>,
) -> i64 {
    sqlx::query_scalar("select pgmq.send($1, $2::text::jsonb, $3::text::jsonb)")
        .bind(queue)
        .bind(body)
        .bind(headers)
        .fetch_one(database.pool())
        .await
        .unwrap_or_else(|error| panic!("send to {queue:?}: {error:?}"))
}

pub(crate) fn named(event: &PgmqNotifyEvent) -> &str {
    event.queue_name().expect("an event of a queue").as_str()
}

#[tokio::test]
async fn bodies_of_every_size_are_sent_and_published_in_a_form_that_fits() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "orders_queue").await;
    for size in [
        0, 1, 100, 7_000, 8_000, 39_000, 41_000, 1_000_000, 5_000_000,
    ] {
        let body = format!("\"{}\"", "x".repeat(size));
        let id = send(&database, "orders_queue", Some(&body), None).await;
        match heard.event().await {
            PgmqNotifyEvent::MessageWithPayload(event) => {
                assert!(size <= 7_000, "{size} bytes do not fit");
                assert_eq!((event.msg_id, event.message.as_str()), (id, &*body));
            }
            PgmqNotifyEvent::MessageReady(event) => {
                assert!(size >= 8_000, "{size} bytes fit");
                assert_eq!(event.msg_id, id);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_message_without_body_or_headers_is_published_as_json_null() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "orders_queue").await;
    for (body, headers) in [
        (None, None),
        (Some("1"), None),
        (None, Some(r#"{"a": "ä"}"#)),
        (Some("null"), Some("null")),
    ] {
        send(&database, "orders_queue", body, headers).await;
        let PgmqNotifyEvent::MessageWithPayload(event) = heard.event().await else {
            panic!("a small message has its body with it");
        };
        assert_eq!(event.message.as_str(), body.unwrap_or("null"));
        let expected = headers.filter(|headers| *headers != "null");
        assert_eq!(event.headers.as_ref().map(RawJson::as_str), expected);
    }
}

#[tokio::test]
async fn multi_byte_text_one_byte_over_the_limit_goes_out_without_its_body_and_below_it_with_it() {
    for limit in [1024, 7800, 7999] {
        let config = PgmqNotifyConfig::new().with_max_payload_size(limit);
        let database = TestDatabase::migrated(&config).await;
        let mut heard = Heard::messages(&database, &config).await;
        create(&database, "grüße_queue").await;
        send(&database, "grüße_queue", Some("\"\""), None).await;
        let overhead = heard.notification().await.payload().len();
        for character in ["x", "é", "€", "🐘"] {
            for (size, fits) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
                // Between the quotes: as many of the character as fit, filled up with ASCII.
                let room = size - overhead;
                let text =
                    character.repeat(room / character.len()) + &"a".repeat(room % character.len());
                // Ids of one digit, so that the overhead stays what it was.
                database
                    .run("alter table pgmq.\"q_grüße_queue\" alter column msg_id restart with 2")
                    .await
                    .unwrap();
                send(&database, "grüße_queue", Some(&format!("\"{text}\"")), None).await;
                database
                    .run("delete from pgmq.\"q_grüße_queue\"")
                    .await
                    .unwrap();
                let notification = heard.notification().await;
                let event = PgmqNotifyEvent::from_json(notification.payload()).unwrap();
                match event {
                    PgmqNotifyEvent::MessageWithPayload(event) if fits => {
                        assert_eq!(notification.payload().len(), size);
                        assert_eq!(event.message.decode::<String>().unwrap(), text);
                    }
                    PgmqNotifyEvent::MessageReady(_) if !fits => {}
                    other => panic!("limit {limit}, {size} bytes of {character}: {other:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_whose_text_is_far_larger_than_its_binary_form_is_measured_as_text() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "orders_queue").await;
    for (body, fits) in [
        ("[1e7000]".to_owned(), true),
        ("[1e131071, 1e131071]".to_owned(), false),
        (format!("[{}1]", "1,".repeat(2_500)), true),
    ] {
        send(&database, "orders_queue", Some(&body), None).await;
        match heard.event().await {
            PgmqNotifyEvent::MessageWithPayload(_) if fits => {}
            PgmqNotifyEvent::MessageReady(_) if !fits => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn queues_of_every_name_are_published_under_the_name_they_were_created_with() {
    let prefix = "p".repeat(20);
    for config in [
        PgmqNotifyConfig::new(),
        PgmqNotifyConfig::new().with_channels_prefix(prefix),
    ] {
        let database = TestDatabase::migrated(&config).await;
        let channels = config.channels().unwrap();
        for name in odd_names() {
            let mut created = Heard::on(&database, [channels.queue_created().as_str()]).await;
            create(&database, &name).await;
            let event = created.event().await;
            assert_eq!(named(&event), name);
            let namespace = event.namespace().unwrap().clone();

            let (own, global) = (
                channels.message_ready(&namespace),
                channels.message_ready_global(),
            );
            let mut heard = Heard::on(&database, [own.as_str(), global.as_str()]).await;
            let id = send(&database, &name, Some("{\"a\": 1}"), None).await;
            for channel in [&own, &global] {
                let notification = heard.notification().await;
                assert_eq!(
                    notification.channel(),
                    channel.as_str(),
                    "{name:?} {}",
                    notification.payload()
                );
                let event = PgmqNotifyEvent::from_json(notification.payload()).unwrap();
                assert_eq!(
                    (named(&event), event.namespace()),
                    (&*name, Some(&namespace))
                );
                assert!(matches!(event, PgmqNotifyEvent::MessageWithPayload(e) if e.msg_id == id));
            }
        }
    }
}

#[tokio::test]
async fn two_names_of_one_table_are_published_under_the_older_one() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "Orders_queue").await;
    create(&database, "orders_QUEUE").await;
    send(&database, "orders_QUEUE", Some("1"), None).await;
    assert_eq!(named(&heard.event().await), "Orders_queue");
}

#[tokio::test]
async fn a_batch_of_100_000_goes_out_as_events_that_name_every_id_once() {
    for limit in [1024, 7999] {
        let config = PgmqNotifyConfig::new().with_max_payload_size(limit);
        let database = TestDatabase::migrated(&config).await;
        let mut heard = Heard::messages(&database, &config).await;
        create(&database, "orders_queue").await;
        let sent: Vec<i64> = sqlx::query_scalar(
            "select * from pgmq.send_batch('orders_queue', (select array_agg(to_jsonb(n)) from generate_series(1, 100000) n))",
        )
        .fetch_all(database.pool())
        .await
        .unwrap();
        let mut named = BTreeSet::new();
        while named.len() < sent.len() {
            let notification = heard.notification().await;
            assert!(
                notification.payload().len() <= limit,
                "{}",
                notification.payload().len()
            );
            let PgmqNotifyEvent::BatchReady(event) =
                PgmqNotifyEvent::from_json(notification.payload()).unwrap()
            else {
                panic!("{}", notification.payload());
            };
            for id in event.msg_ids {
                assert!(named.insert(id), "{id} twice");
            }
        }
        assert_eq!(named, sent.into_iter().collect());
    }
}

#[tokio::test]
async fn copy_into_a_queue_table_is_published() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "orders_queue").await;
    let mut connection = database.pool().acquire().await.unwrap();
    for rows in [1, 3] {
        let mut copy = connection
            .copy_in_raw("copy pgmq.q_orders_queue (vt, message) from stdin")
            .await
            .unwrap();
        copy.send(
            "2026-01-01T00:00:00Z\t{\"a\": 1}\n"
                .repeat(rows)
                .into_bytes(),
        )
        .await
        .unwrap();
        copy.finish().await.unwrap();
        match heard.event().await {
            PgmqNotifyEvent::MessageWithPayload(event) if rows == 1 => {
                assert_eq!(event.delay_seconds, 0);
            }
            PgmqNotifyEvent::BatchReady(event) => assert_eq!(event.message_count, rows as u64),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn an_insert_of_no_rows_publishes_nothing() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "orders_queue").await;
    database
        .run("insert into pgmq.q_orders_queue (vt, message) select now(), '1' where false")
        .await
        .unwrap();
    let id = send(&database, "orders_queue", Some("1"), None).await;
    assert!(
        matches!(heard.event().await, PgmqNotifyEvent::MessageWithPayload(e) if e.msg_id == id)
    );
}

#[tokio::test]
async fn senders_at_every_isolation_level_commit_side_by_side() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "orders_queue").await;
    for level in [
        "read uncommitted",
        "read committed",
        "repeatable read",
        "serializable",
    ] {
        let mut senders = Vec::new();
        for _ in 0..4 {
            let mut sender = PgConnection::connect_with(&database.options())
                .await
                .unwrap();
            sqlx::raw_sql(AssertSqlSafe(format!(
                "begin isolation level {level}; select pgmq.send('orders_queue', '1'); savepoint s; \
                 select pgmq.send('orders_queue', '2'); rollback to s;"
            )))
            .execute(&mut sender)
            .await
            .unwrap();
            senders.push(sender);
        }
        for mut sender in senders {
            sqlx::raw_sql("commit")
                .execute(&mut sender)
                .await
                .unwrap_or_else(|error| panic!("{level}: {error:?}"));
        }
        for _ in 0..4 {
            let PgmqNotifyEvent::MessageWithPayload(event) = heard.event().await else {
                panic!("one message per sender");
            };
            assert_eq!(
                event.message.as_str(),
                "1",
                "what was rolled back is not published"
            );
        }
    }
}

#[tokio::test]
async fn a_role_that_may_only_insert_sends_without_further_grants() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "orders_queue").await;
    // The role lives within the transaction only, and the notification leaves at its end.
    let role = format!("producer_{:016x}", fastrand::u64(..));
    database
        .run(format!(
            "begin; create role {role}; grant usage on schema pgmq to {role}; \
             grant insert on pgmq.q_orders_queue to {role}; set local role {role}; \
             insert into pgmq.q_orders_queue (vt, message) values (now(), '\"from a producer\"'); \
             insert into pgmq.q_orders_queue (vt, message) values (now(), '1'), (now(), '2'); \
             reset role; drop owned by {role}; drop role {role}; commit"
        ))
        .await
        .unwrap();
    assert!(matches!(
        heard.event().await,
        PgmqNotifyEvent::MessageWithPayload(_)
    ));
    assert!(matches!(
        heard.event().await,
        PgmqNotifyEvent::BatchReady(_)
    ));
}

#[tokio::test]
async fn a_delay_is_published_with_the_time_at_which_the_message_becomes_visible() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "orders_queue").await;
    for (delay, seconds) in [
        ("clock_timestamp() + interval '90 s'", 90),
        ("clock_timestamp() - interval '1 day'", 0),
    ] {
        let sql = format!("select pgmq.send('orders_queue', '1', null::jsonb, {delay})");
        database.run(sql).await.unwrap();
        let PgmqNotifyEvent::MessageWithPayload(event) = heard.event().await else {
            panic!("a small message has its body with it");
        };
        assert_eq!(event.delay_seconds, seconds);
        let visible_in = event.visible_at.duration_since(event.ready_at).unwrap();
        let rounded_up = visible_in.as_secs() + u64::from(visible_in.subsec_nanos() > 0);
        assert_eq!(rounded_up, seconds);
    }
    for never in ["'infinity'", "'-infinity'", "'200000-01-01'"] {
        let sql =
            format!("select pgmq.send('orders_queue', '1', null::jsonb, {never}::timestamptz)");
        database.run(sql).await.unwrap();
        heard.event().await;
    }
}

#[tokio::test]
async fn bodies_stay_at_home_where_the_namespace_says_so() {
    let config = PgmqNotifyConfig::new()
        .with_payload(false)
        .with_namespace_payload("orders", true)
        .with_namespace_payload("secret", false);
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    for (queue, with_body) in [
        ("orders_queue", true),
        ("secret_queue", false),
        ("other_queue", false),
    ] {
        create(&database, queue).await;
        send(&database, queue, Some("1"), Some("{}")).await;
        let event = heard.event().await;
        assert_eq!(
            matches!(event, PgmqNotifyEvent::MessageWithPayload(_)),
            with_body,
            "{event:?}"
        );
    }
}

#[tokio::test]
async fn without_the_global_channel_messages_are_published_once() {
    let config = PgmqNotifyConfig::new().with_global_channel(false);
    let database = TestDatabase::migrated(&config).await;
    let channels = config.channels().unwrap();
    let own = channels.message_ready(&Namespace::new("orders").unwrap());
    let mut heard = Heard::on(
        &database,
        [own.as_str(), channels.message_ready_global().as_str()],
    )
    .await;
    create(&database, "orders_queue").await;
    for body in ["1", "2"] {
        send(&database, "orders_queue", Some(body), None).await;
    }
    for body in ["1", "2"] {
        let event = heard.event().await;
        assert!(
            matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == body),
            "{event:?}"
        );
    }
}

#[tokio::test]
async fn a_muted_session_publishes_nothing() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let mut heard = Heard::messages(&database, &config).await;
    create(&database, "orders_queue").await;
    // Two-phase commit, which PostgreSQL refuses after NOTIFY, is what muting is for.
    let mut sender = PgConnection::connect_with(&database.options())
        .await
        .unwrap();
    let name = format!("muted_{:x}", fastrand::u64(..));
    sqlx::raw_sql(AssertSqlSafe(format!(
        "begin; set local pgmq_notify.mute = 'on'; select pgmq.send('orders_queue', '1'); prepare transaction '{name}'"
    )))
    .execute(&mut sender)
    .await
    .unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("commit prepared '{name}'")))
        .execute(&mut sender)
        .await
        .unwrap();
    sqlx::raw_sql("select pgmq.send('orders_queue', '2')")
        .execute(&mut sender)
        .await
        .unwrap();
    assert!(
        matches!(heard.event().await, PgmqNotifyEvent::MessageWithPayload(e) if e.message.as_str() == "2")
    );
}

#[tokio::test]
async fn unlogged_and_partitioned_queues_are_covered_and_their_end_is_published() {
    let config = PgmqNotifyConfig::new();
    let database = TestDatabase::migrated(&config).await;
    let channels = config.channels().unwrap();
    let (created, dropped, global) = (
        channels.queue_created(),
        channels.queue_dropped(),
        channels.message_ready_global(),
    );
    let mut heard = Heard::on(
        &database,
        [created.as_str(), dropped.as_str(), global.as_str()],
    )
    .await;
    database
        .run("select pgmq.create_unlogged('fast_queue')")
        .await
        .unwrap();
    partitioned_queue(&database, "parts_queue").await;
    for (name, partitioned, unlogged) in [("fast_queue", false, true), ("parts_queue", true, false)]
    {
        let PgmqNotifyEvent::QueueCreated(event) = heard.event().await else {
            panic!("created");
        };
        assert_eq!(
            (
                event.queue_name.as_str(),
                event.is_partitioned,
                event.is_unlogged
            ),
            (name, partitioned, unlogged)
        );
    }
    for name in ["fast_queue", "parts_queue"] {
        send(&database, name, Some("1"), None).await;
        let event = heard.event().await;
        assert!(
            matches!(&event, PgmqNotifyEvent::MessageWithPayload(e) if e.queue_name == name),
            "{event:?}"
        );
    }
    database
        .run("select pgmq.drop_queue('fast_queue')")
        .await
        .unwrap();
    assert!(
        matches!(heard.event().await, PgmqNotifyEvent::QueueDropped(e) if e.queue_name == "fast_queue")
    );
}

/// What `pgmq.create_partitioned` leaves: with `pg_partman` where the server has it, by hand elsewhere.
pub(crate) async fn partitioned_queue(database: &TestDatabase, name: &str) {
    let partman =
        sqlx::query("select 1 as one from pg_available_extensions where name = 'pg_partman'")
            .fetch_optional(database.pool())
            .await
            .unwrap()
            .is_some_and(|row| row.get::<i32, _>("one") == 1);
    let sql = if partman {
        format!(
            "create schema partman; create extension pg_partman schema partman; select pgmq.create_partitioned('{name}')"
        )
    } else {
        format!(
            "create table pgmq.q_{name} (msg_id bigint generated by default as identity, read_ct int default 0 not null, \
             enqueued_at timestamptz default now() not null, last_read_at timestamptz, vt timestamptz not null, \
             message jsonb, headers jsonb) partition by range (msg_id); \
             create table pgmq.q_{name}_p0 partition of pgmq.q_{name} for values from (0) to (100000); \
             insert into pgmq.meta (queue_name, is_partitioned, is_unlogged) values ('{name}', true, false)"
        )
    };
    database.run(sql).await.unwrap();
}
