//! What is installed, triggers, and PGMQ's own notifications.

use pgmq_notify_client::PgmqNotifyConfig;
use pgmq_notify_core::Delivery;
use pgmq_notify_tests::{Pgmq, Server, Settings, TestDatabase};

use super::{cured, examine, gone, paste};
use crate::operations::{client, configs, create_queues};

#[tokio::test]
async fn nothing_is_wrong_with_what_was_just_installed() {
    for config in configs() {
        let database = TestDatabase::new().await;
        client(&database, &config).install().await.unwrap();
        create_queues(&database, 2).await;
        let report = examine(&database, &[]).await;
        assert_eq!(report.codes(), Vec::<&str>::new(), "{report:?}");
        let diagnosis = client(&database, &config).doctor().await.unwrap();
        assert!(diagnosis.findings.is_empty(), "{diagnosis:?}");
        assert_eq!(diagnosis.worst(), None);
    }
}

#[tokio::test]
async fn a_database_without_the_sql_is_installed() {
    let database = TestDatabase::new().await;
    let found = cured(&database, &[], "not-installed").await;
    assert_eq!(found.remedy.text, "pgmq-notify install");
    assert_eq!(found.severity, "error");
}

#[tokio::test]
async fn damage_is_found_and_repaired_by_installing_again() {
    let config = PgmqNotifyConfig::new().with_channels_prefix("it's");
    let database = TestDatabase::new().await;
    create_queues(&database, 6).await;
    client(&database, &config).install().await.unwrap();
    for (damage, code, subject) in [
        (
            "drop trigger pgmq_notify_message_inserted on pgmq.q_q1_queue",
            "trigger-missing",
            "pgmq.q_q1_queue",
        ),
        (
            "do $$ begin for n in 1..6 loop \
               execute format('drop trigger pgmq_notify_message_released on pgmq.q_q%s_queue', n); \
             end loop; end $$",
            "trigger-missing",
            "pgmq.q_q1_queue, pgmq.q_q2_queue, pgmq.q_q3_queue and 3 others",
        ),
        (
            "create or replace trigger pgmq_notify_message_inserted after insert on pgmq.q_q2_queue \
             referencing new table as inserted for each statement execute function pgmq_notify.message_inserted('of', 'old')",
            "trigger-stale",
            "pgmq.q_q2_queue",
        ),
        (
            "drop trigger pgmq_notify_queue_created on pgmq.meta",
            "new-queues-uncovered",
            "pgmq.meta",
        ),
        (
            "create or replace function pgmq_notify.message_inserted() returns trigger \
             language plpgsql as 'begin return null; end'",
            "functions-differ",
            "functions of the schema pgmq_notify: message_inserted",
        ),
        (
            "drop function pgmq_notify.route(text)",
            "functions-differ",
            "functions of the schema pgmq_notify: route",
        ),
        (
            "grant execute on function pgmq_notify.install_triggers() to public",
            "functions-differ",
            "rights, indexes or tables of the schema pgmq_notify",
        ),
        (
            "update pgmq_notify.installation set version = '0.0.9'",
            "version-differs",
            "the installed SQL",
        ),
    ] {
        database.run(damage).await.unwrap();
        let found = cured(&database, &[], code).await;
        assert_eq!(found.subject, subject, "{damage}");
        assert_eq!(
            found.remedy.text,
            r"pgmq-notify install --channel-prefix 'it'\''s'"
        );
        let after = examine(&database, &[]).await;
        assert!(after.findings.is_empty(), "{damage}: {after:?}");
    }
}

#[tokio::test]
async fn sql_of_a_newer_version_is_not_replaced_by_an_older_one() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create_queues(&database, 1).await;
    database
        .run(
            "update pgmq_notify.installation set version = '7.0.0'; \
             drop trigger pgmq_notify_message_inserted on pgmq.q_q1_queue",
        )
        .await
        .unwrap();
    let found = cured(&database, &[], "trigger-missing").await;
    assert_eq!(found.remedy.text, "select pgmq_notify.install_triggers();");
    let report = examine(&database, &[]).await;
    assert_eq!(report.codes(), ["version-differs"]);
    let remedy = &report.findings[0].remedy.text;
    assert_eq!(remedy, "cargo install pgmq-notify-cli --version 7.0.0");
}

#[tokio::test]
async fn whoever_is_muted_by_a_setting_is_named() {
    // A role is muted in every database of its server, and other tests would find it.
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::on(&server, Pgmq::V1_13).await;
    database.migrate(&PgmqNotifyConfig::new()).await;
    let (name, role) = (database.name(), format!("muted_{:016x}", fastrand::u64(..)));
    for on in [
        format!("database {name}"),
        format!("role {role}"),
        format!("role {role} in database {name}"),
    ] {
        database
            .run(format!(
                "do $$ begin create role {role}; exception when duplicate_object then end $$; \
                 alter {on} set pgmq_notify.mute = 'on'"
            ))
            .await
            .unwrap();
        let found = cured(&database, &[], "muted").await;
        assert_eq!(
            found.remedy.text,
            format!("alter {on} reset pgmq_notify.mute;")
        );
    }
    database.run(format!("drop role {role}")).await.unwrap();
}

/// No option can say them, and whoever examines may not have the file.
#[tokio::test]
async fn where_namespaces_are_configured_missing_triggers_are_made_by_what_is_installed() {
    let config = PgmqNotifyConfig::new()
        .with_namespace_payload("payments", false)
        .with_namespace_delivery("q1", Delivery::WakeUp);
    let database = TestDatabase::new().await;
    create_queues(&database, 2).await;
    client(&database, &config).install().await.unwrap();
    database
        .run("drop trigger pgmq_notify_message_inserted on pgmq.q_q1_queue")
        .await
        .unwrap();
    let found = cured(&database, &[], "trigger-missing").await;
    assert_eq!(found.remedy.kind, "sql");
    assert_eq!(found.remedy.text, "select pgmq_notify.install_triggers();");
}

#[tokio::test]
async fn a_disabled_trigger_is_found_whether_it_is_of_a_queue_or_of_meta() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create_queues(&database, 2).await;
    database
        .run(
            "alter table pgmq.q_q2_queue disable trigger pgmq_notify_message_inserted; \
             alter table pgmq.q_q2_queue enable replica trigger pgmq_notify_message_released; \
             alter table pgmq.meta disable trigger pgmq_notify_queue_created",
        )
        .await
        .unwrap();
    let found = cured(&database, &[], "trigger-disabled").await;
    assert_eq!(found.subject, "pgmq.meta, pgmq.q_q2_queue");
    assert_eq!(found.remedy.text.lines().count(), 3);
    assert!(examine(&database, &[]).await.findings.is_empty());
}

#[tokio::test]
async fn settings_that_are_not_those_of_the_configuration_are_named_one_by_one() {
    let config = PgmqNotifyConfig::new().with_channels_prefix("old");
    let database = TestDatabase::migrated(&config).await;
    create_queues(&database, 1).await;
    assert!(examine(&database, &[]).await.findings.is_empty());
    let other = [
        "--queue-pattern",
        r"^(?P<namespace>\w+?)_queue",
        "--max-payload-size",
        "4000",
        "--channel-prefix",
        "new",
    ];
    let report = examine(&database, &other).await;
    let settings: Vec<_> = report
        .findings
        .iter()
        .map(|it| it.subject.as_str())
        .collect();
    assert_eq!(
        settings,
        [
            "queue_naming_pattern",
            "channels_prefix",
            "max_payload_size"
        ],
        "{report:?}"
    );
    assert_eq!(report.errors, 3);
    assert!(
        report
            .codes()
            .iter()
            .all(|it| *it == "configuration-differs"),
        "{report:?}"
    );
    assert!(
        report.findings[1]
            .explanation
            .contains(r#"has "old", and the configuration "new""#)
    );
    paste(&database.url(), &report.findings[0]).await;
    gone(&database, &other, "configuration-differs").await;
    assert!(examine(&database, &other).await.findings.is_empty());

    // The file is named as it was, and the library says the same.
    let file = std::env::temp_dir().join(format!("doctor-{:016x}.toml", fastrand::u64(..)));
    std::fs::write(&file, "max_payload_size = 5000\n").unwrap();
    let path = file.to_str().unwrap();
    let report = examine(&database, &["--config", path]).await;
    let remedy = &report.findings[0].remedy.text;
    assert_eq!(*remedy, format!("pgmq-notify install --config {path}"));
    let of_file = PgmqNotifyConfig::new().with_max_payload_size(5000);
    let client = client(&database, &of_file);
    let diagnosis = client.doctor().await.unwrap();
    assert_eq!(diagnosis.findings.len(), report.findings.len());
    assert!(!diagnosis.is_healthy());
    let any = client.doctor().with_any_config().await.unwrap();
    assert!(any.findings.is_empty());
    paste(&database.url(), &report.findings[0]).await;
    gone(&database, &["--config", path], "configuration-differs").await;
    std::fs::remove_file(&file).unwrap();
}

#[tokio::test]
async fn notifications_of_pgmq_itself_are_found_beside_ours() {
    let database = TestDatabase::migrated(&PgmqNotifyConfig::new()).await;
    create_queues(&database, 2).await;
    database
        .run("select pgmq.enable_notify_insert('q1_queue'), pgmq.enable_notify_insert('q2_queue', 0)")
        .await
        .unwrap();
    let found = cured(&database, &[], "pgmq-own-notify").await;
    assert_eq!(found.subject, "q1_queue, q2_queue");
    assert_eq!(found.severity, "warning");
}
