//! The text, for terminals of all widths and for none.

use super::super::report::{
    ConfigReport, ConsumersReport, InstallationReport, InstallationState, NamespaceReport,
    ServerReport, SessionsReport,
};
use super::*;

fn depth(messages: u64, estimated: bool) -> DepthReport {
    DepthReport {
        messages,
        estimated,
    }
}

fn queue<'a>(name: &'a str, namespace: &'a str, channel: &'a str) -> QueueReport<'a> {
    QueueReport {
        name,
        kind: "plain",
        table: Some("pgmq.q_orders_queue"),
        namespace: Some(namespace),
        channel: Some(channel),
        delivery: Some("every"),
        triggers: Some("installed"),
        depth: Some(depth(0, false)),
        visible: Some(depth(0, false)),
        invisible: Some(depth(0, false)),
        oldest_visible_seconds: None,
        sent: Some(7),
        consumers: None,
        dead_letter_queue: false,
    }
}

/// A shop in which something of everything is wrong.
fn shop() -> Report<'static> {
    let orders = QueueReport {
        depth: Some(depth(52_345, true)),
        visible: Some(depth(52_325, true)),
        invisible: Some(depth(20, false)),
        oldest_visible_seconds: Some(34.25),
        delivery: Some("wake_up"),
        consumers: Some(ConsumersReport {
            parked: 2,
            attended: true,
        }),
        ..queue("orders_queue", "orders", "shop.pgmq_message_ready.orders")
    };
    let dead = QueueReport {
        visible: Some(depth(3, false)),
        oldest_visible_seconds: Some(7200.0),
        triggers: Some("missing"),
        dead_letter_queue: true,
        ..queue(
            "orders_queue_dlq",
            "orders",
            "shop.pgmq_message_ready.orders",
        )
    };
    let hostile = QueueReport {
        kind: "partitioned",
        triggers: Some("disabled"),
        ..queue(
            "ほし \u{1b}[31m and a name that is long",
            "default",
            "shop.pgmq_message_ready.default",
        )
    };
    let unknown = QueueReport {
        kind: "unlogged",
        table: None,
        namespace: None,
        channel: None,
        delivery: None,
        triggers: None,
        depth: None,
        visible: None,
        invisible: None,
        sent: None,
        ..queue("gone", "", "")
    };
    let wakes = NamespaceReport {
        payload: None,
        delivery: Some("wake_up"),
    };
    Report {
        server: ServerReport {
            database: "shop",
            postgresql: "15.18",
            pgmq: Some("1.13.0"),
            pgmq_is_extension: true,
            standby: true,
            notification_queue_usage: 0.125,
            sessions: SessionsReport {
                listeners: 1,
                consumers: 5,
                hidden: 2,
            },
        },
        installation: InstallationReport {
            state: InstallationState::Installed,
            version: Some("0.1.0".into()),
            up_to_date: Some(false),
            config: Some(ConfigReport {
                queue_naming_pattern: String::new(),
                channels_prefix: Some("shop".into()),
                triggers_enabled: true,
                global_channel: true,
                max_payload_size: 7800,
                payload: true,
                delivery: "every",
                namespaces: [("orders".into(), wakes)].into(),
            }),
        },
        queues: vec![orders, dead, hostile, unknown],
    }
}

/// Without styles.
fn plain(report: &Report<'_>, columns: Option<usize>) -> String {
    anstream::adapter::strip_str(&text(report, columns)).to_string()
}

#[test]
fn without_a_terminal_nothing_is_cut() {
    insta::assert_snapshot!(plain(&shop(), None));
}

#[test]
fn a_terminal_of_eighty_columns() {
    insta::assert_snapshot!(plain(&shop(), Some(80)));
}

#[test]
fn a_narrow_terminal_loses_columns_and_no_line_its_end() {
    insta::assert_snapshot!(plain(&shop(), Some(40)));
}

#[test]
fn no_line_is_wider_than_the_terminal_whatever_its_width() {
    let report = shop();
    for columns in 1..200 {
        for line in plain(&report, Some(columns)).lines() {
            assert!(width(line) <= columns, "{columns}: {line:?}");
        }
    }
    assert_eq!(plain(&report, Some(200)), plain(&report, None));
}

#[test]
fn colours_say_what_is_wrong_and_no_name_brings_its_own() {
    let text = text(&shop(), Some(80));
    let red = format!("{BAD}missing{BAD:#}");
    assert!(text.contains(&red), "{text:?}");
    assert!(!text.contains("\u{1b}[31m and"), "{text:?}");
}

#[test]
fn before_anything_is_installed_it_says_so() {
    let mut report = shop();
    report.installation = InstallationReport {
        state: InstallationState::Missing,
        version: None,
        up_to_date: None,
        config: None,
    };
    report.queues.clear();
    let text = plain(&report, None);
    assert!(
        text.contains("\npgmq-notify         not installed\n"),
        "{text}"
    );
    assert!(text.ends_with("queues              0\n"), "{text}");
}
