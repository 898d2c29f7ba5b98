//! The status as a program reads it: docs/status.md explains every field.

use std::collections::BTreeMap;

use pgmq_notify_client::{
    Depth, Installation, InstallationStatus, PgmqNotifyConfig, QueueStatus, Status, TableState,
};
use pgmq_notify_core::{ChannelName, Delivery};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    pub(super) server: ServerReport<'a>,
    pub(super) installation: InstallationReport,
    pub(super) queues: Vec<QueueReport<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ServerReport<'a> {
    pub(super) database: &'a str,
    pub(super) postgresql: &'a str,
    pub(super) pgmq: Option<&'a str>,
    pub(super) pgmq_is_extension: bool,
    pub(super) standby: bool,
    pub(super) notification_queue_usage: f64,
    pub(super) sessions: SessionsReport,
}

#[derive(Debug, Serialize)]
pub(super) struct SessionsReport {
    pub(super) listeners: u64,
    pub(super) consumers: u64,
    pub(super) hidden: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct InstallationReport {
    pub(super) state: InstallationState,
    pub(super) version: Option<String>,
    pub(super) up_to_date: Option<bool>,
    pub(super) config: Option<ConfigReport>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum InstallationState {
    Installed,
    Missing,
    Unreadable,
}

#[derive(Debug, Serialize)]
pub(super) struct ConfigReport {
    pub(super) queue_naming_pattern: String,
    pub(super) channels_prefix: Option<String>,
    pub(super) triggers_enabled: bool,
    pub(super) global_channel: bool,
    pub(super) max_payload_size: usize,
    pub(super) payload: bool,
    pub(super) delivery: &'static str,
    pub(super) namespaces: BTreeMap<String, NamespaceReport>,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct NamespaceReport {
    pub(super) payload: Option<bool>,
    pub(super) delivery: Option<&'static str>,
}

#[derive(Debug, Serialize)]
pub(super) struct QueueReport<'a> {
    pub(super) name: &'a str,
    pub(super) kind: &'static str,
    pub(super) table: Option<&'a str>,
    pub(super) namespace: Option<&'a str>,
    pub(super) channel: Option<&'a str>,
    pub(super) delivery: Option<&'static str>,
    pub(super) triggers: Option<&'static str>,
    pub(super) depth: Option<DepthReport>,
    pub(super) visible: Option<DepthReport>,
    pub(super) invisible: Option<DepthReport>,
    pub(super) oldest_visible_seconds: Option<f64>,
    pub(super) sent: Option<u64>,
    pub(super) consumers: Option<ConsumersReport>,
    pub(super) dead_letter_queue: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct DepthReport {
    pub(super) messages: u64,
    pub(super) estimated: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ConsumersReport {
    pub(super) parked: u64,
    pub(super) attended: bool,
}

impl<'a> Report<'a> {
    pub(super) fn of(status: &'a Status) -> Self {
        let server = &status.server;
        Self {
            server: ServerReport {
                database: &server.database,
                // Without the name of the package.
                postgresql: server.version.split(' ').next().unwrap_or_default(),
                pgmq: status.pgmq.version.as_deref(),
                pgmq_is_extension: status.pgmq.is_extension,
                standby: server.is_standby,
                notification_queue_usage: server.notification_queue_usage,
                sessions: SessionsReport {
                    listeners: server.sessions.listeners,
                    consumers: server.sessions.consumers,
                    hidden: server.sessions.hidden,
                },
            },
            installation: InstallationReport::of(&status.installation),
            queues: status.queues.iter().map(QueueReport::of).collect(),
        }
    }
}

impl InstallationReport {
    fn of(status: &InstallationStatus) -> Self {
        match status {
            InstallationStatus::Found(installation) => Self::found(installation),
            InstallationStatus::Missing => Self::without(InstallationState::Missing),
            // And what a later version may have found.
            _ => Self::without(InstallationState::Unreadable),
        }
    }

    fn found(installation: &Installation) -> Self {
        let config = installation.config();
        let differences = installation.differences(&config).ok();
        Self {
            state: InstallationState::Installed,
            version: Some(installation.version().to_owned()),
            up_to_date: differences.map(|it| it.is_empty()),
            config: Some(ConfigReport::of(&config)),
        }
    }

    fn without(state: InstallationState) -> Self {
        Self {
            state,
            version: None,
            up_to_date: None,
            config: None,
        }
    }
}

impl ConfigReport {
    fn of(config: &PgmqNotifyConfig) -> Self {
        let mut namespaces: BTreeMap<String, NamespaceReport> = BTreeMap::new();
        for (name, payload) in config.namespace_payload() {
            namespaces.entry(name.into()).or_default().payload = Some(payload);
        }
        for (name, delivery) in config.namespace_delivery() {
            namespaces.entry(name.into()).or_default().delivery = Some(delivery.as_str());
        }
        Self {
            queue_naming_pattern: config.queue_naming_pattern().into(),
            channels_prefix: config.channels_prefix().map(str::to_owned),
            triggers_enabled: config.triggers_enabled(),
            global_channel: config.global_channel(),
            max_payload_size: config.max_payload_size(),
            payload: config.payload(),
            delivery: config.delivery().as_str(),
            namespaces,
        }
    }
}

impl<'a> QueueReport<'a> {
    fn of(queue: &'a QueueStatus) -> Self {
        let messages = queue.messages.as_ref();
        Self {
            name: &queue.name,
            kind: queue.kind.as_str(),
            table: queue.table.as_deref(),
            namespace: queue.namespace.as_deref(),
            channel: queue.channel.as_ref().map(ChannelName::as_str),
            delivery: queue.delivery.map(Delivery::as_str),
            triggers: queue.triggers.map(TableState::as_str),
            depth: messages.map(|it| DepthReport::of(it.depth)),
            visible: messages.and_then(|it| it.visible).map(DepthReport::of),
            invisible: messages.and_then(|it| it.invisible).map(DepthReport::of),
            oldest_visible_seconds: messages
                .and_then(|it| it.oldest_visible)
                .map(|it| (it.as_secs_f64() * 1e3).round() / 1e3),
            sent: messages.and_then(|it| it.sent),
            consumers: queue.consumers.map(|it| ConsumersReport {
                parked: it.parked,
                attended: it.is_attended,
            }),
            dead_letter_queue: queue.is_dead_letter_queue,
        }
    }
}

impl DepthReport {
    fn of(depth: Depth) -> Self {
        Self {
            messages: depth.messages,
            estimated: depth.is_estimate,
        }
    }
}
