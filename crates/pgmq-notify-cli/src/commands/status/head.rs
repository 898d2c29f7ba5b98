//! What is said of the whole database, line by line.

use std::fmt::Write as _;

use super::report::{ConfigReport, InstallationReport, InstallationState, Report};
use crate::text::printable;

/// Names and what is to be said of them.
pub(super) fn lines(report: &Report<'_>) -> Vec<(&'static str, String)> {
    let server = &report.server;
    let mut lines = Vec::new();
    let role = if server.standby { ", a standby" } else { "" };
    lines.push(("database", printable(server.database).into_owned()));
    lines.push(("postgresql", format!("{}{role}", server.postgresql)));
    let pgmq = server.pgmq.unwrap_or("older than 1.5");
    let form = if server.pgmq_is_extension {
        ""
    } else {
        ", as plain SQL"
    };
    lines.push(("pgmq", format!("{pgmq}{form}")));
    lines.push(("pgmq-notify", installed(&report.installation)));
    if let Some(config) = &report.installation.config {
        lines.push(("delivery", deliveries(config)));
    }
    let usage = server.notification_queue_usage * 100.0;
    lines.push(("notification queue", format!("{usage:.1}% in use")));
    let sessions = &server.sessions;
    let mut text = format!(
        "{} listening, {} of consumers",
        sessions.listeners, sessions.consumers
    );
    if sessions.hidden > 0 {
        // Writing to a string does not fail.
        let _ = write!(text, ", {} hidden from this role", sessions.hidden);
    }
    lines.push(("sessions", text));
    lines.push(("queues", count(report)));
    lines
}

fn installed(installation: &InstallationReport) -> String {
    let version = installation.version.as_deref().unwrap_or("unknown");
    match (installation.state, installation.up_to_date) {
        (InstallationState::Missing, _) => "not installed".into(),
        (InstallationState::Unreadable, _) => "installed, which this role may not read".into(),
        (InstallationState::Installed, Some(false)) => format!("{version}, out of date"),
        (InstallationState::Installed, _) => version.into(),
    }
}

/// `every; wake_up: mail, orders`.
fn deliveries(config: &ConfigReport) -> String {
    let mut text = config.delivery.to_owned();
    for delivery in ["every", "wake_up"] {
        let names: Vec<_> = config
            .namespaces
            .iter()
            .filter(|(_, it)| it.delivery == Some(delivery) && delivery != config.delivery)
            .map(|(name, _)| printable(name))
            .collect();
        if !names.is_empty() {
            let _ = write!(text, "; {delivery}: {}", names.join(", "));
        }
    }
    if !config.triggers_enabled {
        text += "; by functions, without triggers";
    }
    text
}

/// `12; triggers: 10 installed, 2 missing`.
fn count(report: &Report<'_>) -> String {
    let states = ["installed", "disabled", "missing", "stale"].map(|state| {
        let queues = report.queues.iter();
        (
            state,
            queues.filter(|it| it.triggers == Some(state)).count(),
        )
    });
    let states: Vec<_> = states
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} {state}"))
        .collect();
    let mut text = report.queues.len().to_string();
    if !states.is_empty() {
        let _ = write!(text, "; triggers: {}", states.join(", "));
    }
    text
}
