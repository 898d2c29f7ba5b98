use pgmq_notify_core::{ConfigError, ConfigProblem, PgmqNotifyConfig, Setting};

use crate::NamespacePattern;
use crate::rendered::{Direction, Rendered, change};

/// The SQL of a configuration: up installs, down removes.
///
/// Neither contains `begin` or `commit`: each belongs into one transaction, which most migration
/// tools make by themselves. They are two texts that are never to be executed together.
///
/// Up may run again at any time: it brings whatever an earlier up left to its own state, and takes
/// no lock on a queue whose trigger is already right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migration {
    up: String,
    down: String,
}

impl Migration {
    /// Generates the SQL of `config`. The same configuration gives the same bytes.
    ///
    /// # Errors
    ///
    /// When `config` is not [valid](validate), with every problem.
    pub fn new(config: &PgmqNotifyConfig) -> Result<Self, ConfigError> {
        let rendered = Rendered::new(config)?;
        Ok(Self {
            up: rendered.sections.text(),
            down: rendered.down,
        })
    }

    /// Generates what changes an installation of the configuration `from` to one of `to`: up holds only
    /// what differs, and down returns to `from`.
    ///
    /// Applied one after the other, the migration of `from` and this one leave what the
    /// [whole](Self::new) migration of `to` leaves. There is one exception. Without triggers nothing keeps
    /// out a sender that is about to look into the table `parked`; where `to` needs that no more, it stays, as
    /// it does after the whole migration.
    ///
    /// # Errors
    ///
    /// When one of them is not [valid](validate), with every problem.
    ///
    /// # Examples
    ///
    /// ```
    /// use pgmq_notify_core::PgmqNotifyConfig;
    /// use pgmq_notify_sql::Migration;
    ///
    /// let from = PgmqNotifyConfig::new();
    /// let to = from.clone().with_max_payload_size(4000);
    /// let change = Migration::change(&from, &to)?;
    /// assert!(change.up().contains("--   max_payload_size: 7800 -> 4000"));
    /// assert!(change.down().contains("--   max_payload_size: 4000 -> 7800"));
    /// assert!(change.up().len() < Migration::new(&to)?.up().len());
    /// # Ok::<(), pgmq_notify_core::ConfigError>(())
    /// ```
    pub fn change(from: &PgmqNotifyConfig, to: &PgmqNotifyConfig) -> Result<Self, ConfigError> {
        let ends = (Rendered::new(from)?, Rendered::new(to)?);
        Ok(Self {
            up: change((from, &ends.0), (to, &ends.1), Direction::Up),
            down: change((to, &ends.1), (from, &ends.0), Direction::Down),
        })
    }

    /// Generates the whole SQL of `to` for an installation of the configuration `from`, to which its down
    /// returns.
    ///
    /// # Errors
    ///
    /// When one of them is not [valid](validate), with every problem.
    pub fn whole_after(
        from: &PgmqNotifyConfig,
        to: &PgmqNotifyConfig,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            up: Self::new(to)?.up,
            down: Self::change(from, to)?.down,
        })
    }

    /// Generates the whole SQL of `to` for an installation that `earlier` has made: the texts of up
    /// migrations, in their order, of whatever version. Down removes everything, and then runs those.
    ///
    /// # Errors
    ///
    /// When `to` is not [valid](validate), with every problem.
    pub fn whole_after_sql(earlier: &[String], to: &PgmqNotifyConfig) -> Result<Self, ConfigError> {
        let Self { up, mut down } = Self::new(to)?;
        down.push_str("\n\n-- And installs again what was there before, as it was.");
        for sql in earlier {
            down.push_str("\n\n");
            down.push_str(sql.trim());
        }
        Ok(Self { up, down })
    }

    /// The SQL that installs.
    pub fn up(&self) -> &str {
        &self.up
    }

    /// The SQL that removes what [`up`](Self::up) installed, and nothing else; of a
    /// [change](Self::change), the SQL that takes it back.
    pub fn down(&self) -> &str {
        &self.down
    }
}

/// Checks `config` wholly, the naming pattern included, which it returns with its translation.
///
/// # Errors
///
/// All problems together, each naming the setting, the value, and what would be right.
#[expect(clippy::missing_panics_doc, reason = "it has a pattern or a problem")]
pub fn validate(config: &PgmqNotifyConfig) -> Result<NamespacePattern, ConfigError> {
    let mut problems = match config.validate() {
        Ok(()) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    };
    let pattern = match NamespacePattern::new(config.queue_naming_pattern()) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            // The parser says more than the core could.
            problems.retain(|problem| problem.setting() != Setting::QueueNamingPattern);
            let problem = ConfigProblem::new(Setting::QueueNamingPattern, error.to_string());
            problems.insert(0, problem);
            None
        }
    };
    ConfigError::check(problems)?;
    Ok(pattern.expect("a pattern that has no translation is a problem"))
}
