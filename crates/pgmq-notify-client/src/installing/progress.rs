use pgmq_notify_sql::SettingDifference;

/// How far an installation, or its removal, has got.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallProgress {
    /// Another process installs or removes at the moment; this one goes on when that has ended.
    Waiting {
        /// The backend of the other one, where it can be seen.
        holder: Option<i32>,
    },
    /// Everything but the triggers is there.
    Prepared,
    /// A table has got its triggers, or has lost them.
    Table {
        /// The table, as SQL spells it.
        name: String,
        /// How many are done, this one included.
        done: usize,
        /// Of how many that are known.
        total: usize,
    },
    /// A table could not be locked in time. It is tried again after the others.
    Busy {
        /// The table, as SQL spells it.
        name: String,
        /// How many are done.
        done: usize,
        /// Of how many that are known.
        total: usize,
    },
}

/// What an installation has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstallReport {
    /// Whether the extension `pgmq` was created.
    pub pgmq_created: bool,
    /// The version that was installed before, if any.
    pub from_version: Option<String>,
    /// Which settings have changed; none where nothing was installed before.
    pub settings: Vec<SettingDifference>,
    /// Whether tables or functions were created or replaced.
    pub sql_changed: bool,
    /// How many queues have got triggers, or have lost them.
    pub queues_changed: usize,
    /// How many queues had the right ones already.
    pub queues_right: usize,
    /// How many queues have a trigger that somebody disabled. It stays disabled.
    pub queues_disabled: usize,
}

impl InstallReport {
    /// Whether all was there already.
    pub fn is_unchanged(&self) -> bool {
        !self.pgmq_created && !self.sql_changed && self.queues_changed == 0
    }
}

/// What a removal has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UninstallReport {
    /// Whether there was something to remove.
    pub removed: bool,
    /// How many tables had triggers, `pgmq.meta` included.
    pub tables_changed: usize,
}
