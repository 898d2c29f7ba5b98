//! The rights of `docs/operations.md`.

use super::held::{HeldTable, What};
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

    /// Functions of ours; public may execute these unless somebody revoked it.
    pub(super) fn function(&self, name: &str) -> bool {
        match self.kind {
            RoleKind::Owner => false,
            RoleKind::Producer if self.triggers_enabled => name == "wakes",
            // Those that send, and what they call.
            RoleKind::Producer => !["install_triggers", "create", "drop_queue"].contains(&name),
            RoleKind::Listener | RoleKind::Consumer => {
                ["route", "namespace_of", "channel_name", "queues"].contains(&name)
            }
        }
    }
}
