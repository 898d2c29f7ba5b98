//! The rights of `docs/operations.md`.

use super::held::{HeldFunction, HeldTable, What};
use crate::doctor::RoleKind;

/// What a role of this kind needs.
pub(super) struct Needed {
    pub(super) kind: RoleKind,
    /// Else the functions that stand in for them are called as the sender.
    pub(super) triggers_enabled: bool,
}

const ALL: &[&str] = &["select", "insert", "update", "delete"];

impl Needed {
    /// `wakes` is whether senders look for those that sleep.
    pub(super) fn schema(&self, schema: &str, wakes: bool) -> bool {
        match self.kind {
            RoleKind::Owner => false,
            RoleKind::Producer => schema == "pgmq" || wakes || !self.triggers_enabled,
            RoleKind::Listener | RoleKind::Consumer => true,
        }
    }

    pub(super) fn table(&self, table: &HeldTable) -> &'static [&'static str] {
        let is_installation = table.relation == "pgmq_notify.installation";
        match (self.kind, table.what) {
            (RoleKind::Producer, What::Queue) => &["insert", "select (msg_id)"],
            (RoleKind::Producer, What::Ours) if is_installation && !self.triggers_enabled => {
                &["select"]
            }
            (RoleKind::Listener | RoleKind::Consumer, What::Meta)
            | (RoleKind::Listener, What::Queue) => &["select"],
            (RoleKind::Listener | RoleKind::Consumer, What::Ours) if is_installation => &["select"],
            // The other one is that of the consumers that sleep.
            (RoleKind::Consumer, What::Queue | What::Ours) => ALL,
            (RoleKind::Consumer, What::Archive) => &["select", "insert"],
            _ => &[],
        }
    }

    /// Public may execute these unless somebody revoked it.
    pub(super) fn function(&self, function: &HeldFunction) -> bool {
        let name = &*function.name;
        match (self.kind, function.is_of_pgmq) {
            (RoleKind::Owner, _) | (RoleKind::Listener, true) => false,
            (RoleKind::Producer, true) => SENDING.contains(&name),
            (RoleKind::Consumer, true) => CONSUMING.contains(&name),
            (RoleKind::Producer, false) => self.sends(name),
            (RoleKind::Listener, false) => LISTENING.contains(&name),
            // Dead letters are sent.
            (RoleKind::Consumer, false) => {
                LISTENING.contains(&name)
                    || self.sends(name)
                    || !self.triggers_enabled && RELEASING.contains(&name)
            }
        }
    }

    /// Whether a sender calls it: what looks for those that sleep, or all that stands in for triggers.
    fn sends(&self, name: &str) -> bool {
        name == "wakes" || !self.triggers_enabled && STANDING_IN.contains(&name)
    }
}

const LISTENING: &[&str] = &["route", "namespace_of", "channel_name", "queues"];

/// What sends without triggers, with what that calls.
const STANDING_IN: &[&str] = &[
    "send",
    "send_batch",
    "send_topic",
    "send_batch_topic",
    "publish",
    "route",
    "namespace_of",
    "channel_name",
];

const RELEASING: &[&str] = &["set_vt", "publish_released", "hidden_until"];

/// With what they call.
const SENDING: &[&str] = &[
    "send",
    "send_batch",
    "_send_batch",
    "_validate_batch_params",
    "format_table_name",
];

/// Those of a consumer in any language; dead letters are sent.
const CONSUMING: &[&str] = &[
    "read",
    "delete",
    "archive",
    "set_vt",
    "send",
    "format_table_name",
];
