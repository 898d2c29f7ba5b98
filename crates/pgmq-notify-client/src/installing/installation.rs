use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_sql::{FunctionDefinition, SettingDifference, Steps, validate};
use serde::Deserialize;
use sqlx::Row as _;

use super::connection::Connection;

/// What of pgmq-notify a database has. One row, whatever is there.
const LOOK: &str = "
select
  pg_catalog.to_regclass('pgmq.meta') is not null as pgmq,
  pg_catalog.to_regclass('pgmq_notify.installation') is not null as installed,
  pg_catalog.to_regclass('pgmq_notify.parked') is not null as parked,
  pg_catalog.to_regclass('pgmq_notify.parked_until_idx') is not null
    and coalesce(
      (select pg_catalog.has_schema_privilege('public', n.oid, 'usage')
       from pg_catalog.pg_namespace n where n.nspname = 'pgmq_notify'),
      false
    ) as parks";

const ROW: &str = "select pg_catalog.to_jsonb(i)::text from pgmq_notify.installation i";

const FUNCTIONS: &str = "
select p.proname::text, p.prosrc, p.prosecdef, coalesce(p.proconfig, '{}'),
  pg_catalog.has_function_privilege('public', p.oid, 'execute')
from pg_catalog.pg_proc p
join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'pgmq_notify' and p.prokind = 'f'";

/// What of pgmq-notify a database has: of which version and configuration, and in which state.
#[derive(Clone, Debug)]
pub struct Installation {
    row: Row,
    functions: Vec<Found>,
    parked: bool,
    /// Whether that table has its index, and everybody sees the schema, as senders must.
    parks: bool,
    on_meta: bool,
    tables: Vec<(String, TableState)>,
}

/// What the triggers of a queue's table are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableState {
    /// As they should be.
    Installed,
    /// Somebody disabled one.
    Disabled,
    /// One is missing.
    Missing,
    /// One is not what the installed configuration makes.
    Stale,
}

/// The stored configuration. An older version has not all of it.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    version: String,
    triggers_enabled: bool,
    queue_naming_pattern: String,
    namespace_regex: String,
    channels_prefix: Option<String>,
    global_channel: bool,
    max_payload_size: usize,
    payload: bool,
    namespaces_with_payload: Vec<String>,
    namespaces_without_payload: Vec<String>,
    delivery: Option<String>,
    #[serde(default)]
    namespaces_every: Vec<String>,
    #[serde(default)]
    namespaces_wake_up: Vec<String>,
}

#[derive(Clone, Debug)]
struct Found {
    definition: FunctionDefinition,
    public: bool,
}

/// What is there, for an installation that is about to begin.
#[derive(Debug)]
pub(crate) struct Look {
    pub(super) pgmq: bool,
    pub(crate) installation: Option<Installation>,
}

impl Look {
    /// Without the queues, which take longer.
    pub(crate) async fn take(connection: &mut Connection) -> Result<Self, sqlx::Error> {
        let rows = connection.rows(LOOK.into()).await?;
        let Some(row) = rows.first() else {
            return Err(sqlx::Error::RowNotFound);
        };
        let pgmq = row.try_get("pgmq")?;
        if !row.try_get::<bool, _>("installed")? {
            return Ok(Self {
                pgmq,
                installation: None,
            });
        }
        let stored = connection.rows(ROW.into()).await?;
        let Some(stored) = stored.first() else {
            return Ok(Self {
                pgmq,
                installation: None,
            });
        };
        let text: String = stored.try_get(0)?;
        let stored =
            serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
        let mut functions = Vec::new();
        for row in connection.rows(FUNCTIONS.into()).await? {
            functions.push(Found {
                definition: FunctionDefinition {
                    name: row.try_get(0)?,
                    source: row.try_get(1)?,
                    security_definer: row.try_get(2)?,
                    settings: row.try_get(3)?,
                },
                public: row.try_get(4)?,
            });
        }
        functions.sort_by(|a, b| a.definition.cmp(&b.definition));
        let on_meta = if pgmq {
            let rows = connection.rows(Steps::ON_META_IS_DONE.into()).await?;
            rows.first().map_or(Ok(false), |row| row.try_get(0))?
        } else {
            false
        };
        Ok(Self {
            pgmq,
            installation: Some(Installation {
                row: stored,
                functions,
                parked: row.try_get("parked")?,
                parks: row.try_get("parks")?,
                on_meta,
                tables: Vec::new(),
            }),
        })
    }

    /// With the queues.
    pub(crate) async fn whole(
        connection: &mut Connection,
    ) -> Result<Option<Installation>, sqlx::Error> {
        let mut look = Self::take(connection).await?;
        if let Some(installation) = &mut look.installation
            && look.pgmq
            && installation.has("queues")
        {
            for row in connection.rows(ALL_QUEUES.into()).await? {
                let state = TableState::of(&row.try_get::<String, _>(1)?);
                installation.tables.push((row.try_get(0)?, state));
            }
        }
        Ok(look.installation)
    }
}

const ALL_QUEUES: &str =
    "select q.relation::text, q.trigger_state from pgmq_notify.queues() q order by 1";

impl TableState {
    /// `installed`, `disabled`, `missing` or `stale`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Disabled => "disabled",
            Self::Missing => "missing",
            Self::Stale => "stale",
        }
    }

    pub(super) fn of(text: &str) -> Self {
        match text {
            "installed" => Self::Installed,
            "disabled" => Self::Disabled,
            "missing" => Self::Missing,
            _ => Self::Stale,
        }
    }
}

impl Installation {
    /// The version of pgmq-notify that generated what is installed.
    pub fn version(&self) -> &str {
        &self.row.version
    }

    /// The configuration that it was generated from. A delivery that only a newer version knows counts as
    /// the default.
    pub fn config(&self) -> PgmqNotifyConfig {
        let row = &self.row;
        let delivery = row.delivery.as_deref().and_then(|text| text.parse().ok());
        let mut config = PgmqNotifyConfig::new()
            .with_queue_naming_pattern(&row.queue_naming_pattern)
            .with_triggers_enabled(row.triggers_enabled)
            .with_global_channel(row.global_channel)
            .with_max_payload_size(row.max_payload_size)
            .with_payload(row.payload)
            .with_delivery(delivery.unwrap_or_default());
        if let Some(prefix) = &row.channels_prefix {
            config = config.with_channels_prefix(prefix);
        }
        for (names, payload) in [
            (&row.namespaces_with_payload, true),
            (&row.namespaces_without_payload, false),
        ] {
            for name in names {
                config = config.with_namespace_payload(name, payload);
            }
        }
        for (names, delivery) in [
            (&row.namespaces_every, pgmq_notify_core::Delivery::Every),
            (&row.namespaces_wake_up, pgmq_notify_core::Delivery::WakeUp),
        ] {
            for name in names {
                config = config.with_namespace_delivery(name, delivery);
            }
        }
        config
    }

    /// The queues' tables, as SQL spells them, by name; none where there are no triggers.
    pub fn tables(&self) -> impl Iterator<Item = (&str, TableState)> {
        self.tables.iter().map(|(name, state)| (&**name, *state))
    }

    /// How it differs from what `config` would install.
    ///
    /// # Errors
    ///
    /// When `config` is invalid.
    pub fn differences(
        &self,
        config: &PgmqNotifyConfig,
    ) -> Result<InstallationDifferences, crate::ClientError> {
        let steps = Steps::new(config).map_err(super::invalid)?;
        let functions = self.functions_beside(&steps);
        let count = |state| self.tables.iter().filter(|(_, is)| *is == state).count();
        let own = env!("CARGO_PKG_VERSION");
        Ok(InstallationDifferences {
            version: (self.row.version != own).then(|| (self.row.version.clone(), own.to_owned())),
            settings: SettingDifference::between(&self.config(), config),
            is_as_generated: self.is_prepared(&steps, config) && self.is_finished(&steps),
            functions,
            without_meta_triggers: config.triggers_enabled() && !self.on_meta,
            queues_missing: count(TableState::Missing),
            queues_stale: count(TableState::Stale),
            queues_disabled: count(TableState::Disabled),
        })
    }

    pub(super) fn covers_new_queues(&self) -> bool {
        self.on_meta
    }

    /// Whether the first step would change nothing.
    pub(super) fn is_prepared(&self, steps: &Steps, config: &PgmqNotifyConfig) -> bool {
        let regex = validate(config).is_ok_and(|it| it.postgres() == self.row.namespace_regex);
        let parked = !steps.parks() || self.parked && self.parks;
        let functions = steps.functions().iter().all(|expected| {
            let found = self.functions.iter().find(|it| it.definition == *expected);
            found.is_some_and(|found| match &*expected.name {
                "install_triggers" => !found.public,
                "wakes" => found.public,
                _ => true,
            })
        });
        self.row.version == env!("CARGO_PKG_VERSION")
            && self.row.delivery.is_some()
            && SettingDifference::between(&self.config(), config).is_empty()
            && regex
            && parked
            && functions
    }

    /// Whether nothing is left of an earlier configuration.
    pub(super) fn is_finished(&self, steps: &Steps) -> bool {
        let unused = |found: &Found| steps.removes(&found.definition.name);
        !self.functions.iter().any(unused)
            && (steps.parks() || steps.queues().is_none() || !self.parked)
    }

    fn has(&self, function: &str) -> bool {
        self.functions
            .iter()
            .any(|it| it.definition.name == function)
    }

    fn functions_beside(&self, steps: &Steps) -> Vec<FunctionDifference> {
        let found: Vec<_> = self.functions.iter().map(|it| &it.definition).collect();
        let mut differences = Vec::new();
        let mut unmatched: Vec<_> = found
            .into_iter()
            .filter(|it| !steps.functions().contains(it))
            .collect();
        for expected in steps.functions() {
            if self.functions.iter().any(|it| it.definition == *expected) {
                continue;
            }
            let other = unmatched.iter().position(|it| it.name == expected.name);
            differences.push(FunctionDifference {
                name: expected.name.clone(),
                installed: other.map(|at| text(unmatched.remove(at))),
                generated: Some(text(expected)),
            });
        }
        let left = unmatched.into_iter().filter(|it| steps.removes(&it.name));
        differences.extend(left.map(|it| FunctionDifference {
            name: it.name.clone(),
            installed: Some(text(it)),
            generated: None,
        }));
        differences
    }
}

fn text(function: &FunctionDefinition) -> String {
    let mut text = String::new();
    for setting in &function.settings {
        text.push_str("set ");
        text.push_str(setting);
        text.push('\n');
    }
    if function.security_definer {
        text.push_str("security definer\n");
    }
    text + function.source.trim_start_matches('\n')
}

/// How an installation differs from what a configuration would install.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InstallationDifferences {
    /// The installed version and this one, where they are not the same.
    pub version: Option<(String, String)>,
    /// From the installed settings to the configured ones.
    pub settings: Vec<SettingDifference>,
    /// The functions that are missing, different, or left over.
    pub functions: Vec<FunctionDifference>,
    /// Whether queues that are created would get no triggers, or their creation not be published.
    pub without_meta_triggers: bool,
    /// How many queues lack a trigger.
    pub queues_missing: usize,
    /// How many queues have a trigger that the installed configuration would make otherwise.
    pub queues_stale: usize,
    /// How many queues have a trigger that somebody disabled. That is no difference.
    pub queues_disabled: usize,
    is_as_generated: bool,
}

impl InstallationDifferences {
    /// Whether anything but triggers has to be replaced or removed.
    pub(crate) fn is_changed(&self) -> bool {
        !self.is_as_generated
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.is_as_generated
            && !self.without_meta_triggers
            && self.queues_missing == 0
            && self.queues_stale == 0
    }
}

/// A function that is not what would be generated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FunctionDifference {
    /// Its name, without the schema.
    pub name: String,
    /// What is installed: its settings and its body.
    pub installed: Option<String>,
    /// What would be.
    pub generated: Option<String>,
}
