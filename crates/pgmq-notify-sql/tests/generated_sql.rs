//! What is generated, as text: a change of the SQL shows in the review of its snapshot.

use pgmq_notify_core::{ConfigProblem, Delivery, PgmqNotifyConfig, Setting};
use pgmq_notify_sql::{Migration, validate};

/// A pattern without Unicode classes, whose translation would fill pages.
fn config() -> PgmqNotifyConfig {
    PgmqNotifyConfig::new().with_queue_naming_pattern("(?P<namespace>[a-z0-9_]+)_queue")
}

fn migration(config: &PgmqNotifyConfig) -> Migration {
    Migration::new(config).expect("a valid configuration")
}

#[test]
fn up_with_triggers() {
    insta::assert_snapshot!(migration(&config()).up());
}

#[test]
fn up_without_triggers() {
    let config = config().with_triggers_enabled(false);
    insta::assert_snapshot!(migration(&config).up());
}

#[test]
fn what_wake_up_adds() {
    let every = migration(&config());
    let wake_up = migration(&config().with_namespace_delivery("orders", Delivery::WakeUp));
    let before: Vec<&str> = every.up().lines().collect();
    let added: Vec<&str> = wake_up
        .up()
        .lines()
        .filter(|line| !before.contains(line))
        .collect();
    insta::assert_snapshot!(added.join("\n"));
}

#[test]
fn a_change_holds_only_what_differs() {
    let from = config();
    let to = config().with_max_payload_size(4000);
    let change = Migration::change(&from, &to).expect("valid configurations");
    insta::assert_snapshot!("change_up", change.up());
    insta::assert_snapshot!("change_down", change.down());
}

#[test]
fn a_change_that_goes_back_is_the_other_one_taken_back() {
    let configs = [
        config(),
        config().with_delivery(Delivery::WakeUp),
        config().with_triggers_enabled(false),
    ];
    let sql = |text: &str| text[text.find("\ndo $pgmq_notify$").expect("a guard")..].to_owned();
    for from in &configs {
        for to in &configs {
            let there = Migration::change(from, to).expect("valid configurations");
            let back = Migration::change(to, from).expect("valid configurations");
            assert_eq!(sql(there.down()), sql(back.up()));
        }
    }
}

#[test]
fn over_foreign_sql_the_down_migration_installs_that_again() {
    let earlier = ["select 1;\n".to_owned(), "select 2;\n".to_owned()];
    let whole = migration(&config());
    let over = Migration::whole_after_sql(&earlier, &config()).expect("a valid configuration");
    assert_eq!(over.up(), whole.up());
    let rest = over
        .down()
        .strip_prefix(whole.down())
        .expect("it removes everything first");
    assert!(rest.ends_with("\n\nselect 1;\n\nselect 2;"), "{rest}");
}

#[test]
fn down() {
    insta::assert_snapshot!(migration(&config()).down());
}

#[test]
fn hostile_values_stay_in_their_literals() {
    let config = PgmqNotifyConfig::new()
        .with_queue_naming_pattern(
            r"(?P<namespace>[a-z]+)(?:'; drop schema pgmq; -- |\$pgmq_notify\$|\n)",
        )
        .with_channels_prefix(r"it's \ $pgmq_notify$ /* 🐘")
        .with_namespace_payload("'); select pg_sleep(1); --", false)
        .with_namespace_payload("torn\napart", true)
        .with_namespace_delivery("'; drop role --", Delivery::WakeUp);
    let migration = migration(&config);
    let up = migration.up();
    let start = up
        .find("insert into pgmq_notify.installation")
        .expect("an insert");
    let end = up[start..].find("on conflict").expect("its end");
    insta::assert_snapshot!(&up[start..start + end]);
    // And of the comment, where each is on one line.
    let header: Vec<&str> = up.lines().filter(|line| line.starts_with("--@ ")).collect();
    insta::assert_snapshot!("the_configuration_is_in_the_header", header.join("\n"));
    let rest = format!("{}{}", &up[..start], &up[start + end..]);
    let rest = rest.lines().filter(|line| !header.contains(line));
    let rest = rest.collect::<Vec<_>>().join("\n");
    for value in [
        "drop schema pgmq;",
        "🐘",
        "pg_sleep(1)",
        "torn",
        "drop role",
    ] {
        assert!(
            !rest.contains(value),
            "{value:?} is used outside of the configuration"
        );
    }
}

#[test]
fn the_same_configuration_gives_the_same_bytes() {
    let config = config()
        .with_namespace_payload("b", true)
        .with_namespace_payload("a", true);
    let other_order = self::config()
        .with_namespace_payload("a", true)
        .with_namespace_payload("b", true);
    assert_eq!(migration(&config), migration(&other_order));
}

#[test]
fn every_problem_of_a_configuration_is_reported_at_once() {
    let error = validate(
        &PgmqNotifyConfig::new()
            .with_queue_naming_pattern(r"\b(?P<namespace>\w+)")
            .with_max_payload_size(100_000),
    )
    .expect_err("two problems");
    let settings: Vec<_> = error
        .problems()
        .iter()
        .map(ConfigProblem::setting)
        .collect();
    assert_eq!(
        settings,
        [Setting::QueueNamingPattern, Setting::MaxPayloadSize]
    );
    assert!(error.to_string().contains("word boundaries"), "{error}");
}
