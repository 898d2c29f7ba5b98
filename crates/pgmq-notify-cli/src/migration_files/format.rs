use std::path::PathBuf;

use clap::ValueEnum;
use pgmq_notify_sql::Migration;
use serde::Serialize;

use super::{MigrationName, Version};
use crate::failure::Failure;

/// The migration tools, by how they want their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// Two files, `<version>_<name>.up.sql` and `.down.sql`
    Sqlx,
    /// One file, `<version>_<name>.sql`, up only
    SqlxSimple,
    /// A directory, `<version>_<name>`, with `up.sql` and `down.sql`
    Diesel,
    /// One file, `V<version>__<name>.sql`, up only
    Refinery,
    /// Two files, `V<version>__<name>.sql` and `U<version>__<name>.sql`
    Flyway,
    /// One file, `<version>_<name>.sql`, with a section for each direction
    Dbmate,
    /// Two files for any SQL client, `<name>.up.sql` and `.down.sql`, each one transaction
    Plain,
}

/// A file of a migration, its path relative to the migrations directory.
#[derive(Clone, Debug)]
pub(crate) struct MigrationFile {
    pub(crate) path: PathBuf,
    pub(crate) content: String,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlx => "sqlx",
            Self::SqlxSimple => "sqlx-simple",
            Self::Diesel => "diesel",
            Self::Refinery => "refinery",
            Self::Flyway => "flyway",
            Self::Dbmate => "dbmate",
            Self::Plain => "plain",
        }
    }

    pub(crate) fn has_versions(self) -> bool {
        self != Self::Plain
    }

    /// Whether the tool can revert; where it cannot, the files have no place for the down migration.
    pub(crate) fn has_down(self) -> bool {
        !matches!(self, Self::SqlxSimple | Self::Refinery)
    }

    /// The files, the one that is applied first.
    pub(crate) fn files(
        self,
        name: &MigrationName,
        version: &Version,
        migration: &Migration,
    ) -> Vec<MigrationFile> {
        let reverted = match self {
            Self::Sqlx => Some(format!("{version}_{name}.down.sql")),
            Self::Diesel => Some(format!("{version}_{name}/down.sql")),
            Self::Flyway => Some(format!("U{version}__{name}.sql")),
            Self::Plain => Some(format!("{name}.down.sql")),
            Self::SqlxSimple | Self::Refinery | Self::Dbmate => None,
        };
        let file = |path: PathBuf, content| MigrationFile { path, content };
        let mut files = vec![file(self.applied(name, version), self.up(migration))];
        files.extend(reverted.map(|path| file(path.into(), self.down(migration))));
        files
    }

    /// Where the file that is applied stands, in the directory of the migrations.
    pub(super) fn applied(self, name: &MigrationName, version: &Version) -> PathBuf {
        match self {
            Self::Sqlx => format!("{version}_{name}.up.sql"),
            Self::SqlxSimple | Self::Dbmate => format!("{version}_{name}.sql"),
            Self::Diesel => format!("{version}_{name}/up.sql"),
            Self::Refinery | Self::Flyway => format!("V{version}__{name}.sql"),
            Self::Plain => format!("{name}.up.sql"),
        }
        .into()
    }

    /// The SQL that is applied, of what stands in that file.
    pub(super) fn applied_sql(self, text: &str) -> &str {
        match self {
            Self::Plain => {
                let text = text.strip_prefix("begin;\n\n").unwrap_or(text);
                text.strip_suffix("\ncommit;\n").unwrap_or(text)
            }
            Self::Dbmate => {
                let text = text.strip_prefix("-- migrate:up\n\n").unwrap_or(text);
                text.split("\n-- migrate:down").next().unwrap_or(text)
            }
            _ => text,
        }
    }

    /// What the file that is applied holds: for dbmate both sections, since it has one file.
    pub(crate) fn up(self, migration: &Migration) -> String {
        let (up, down) = (migration.up(), migration.down());
        match self {
            Self::Plain => transaction(up),
            Self::Dbmate => format!("-- migrate:up\n\n{up}\n-- migrate:down\n\n{down}"),
            _ => up.into(),
        }
    }

    pub(crate) fn down(self, migration: &Migration) -> String {
        match self {
            Self::Plain => transaction(migration.down()),
            _ => migration.down().into(),
        }
    }

    /// Refuses SQL in which the tool would find more than SQL. Only a queue naming pattern can
    /// bring that in.
    pub(crate) fn accept(self, migration: &Migration) -> Result<(), Failure> {
        let found = match self {
            Self::Flyway => [migration.up(), migration.down()]
                .iter()
                .any(|sql| sql.contains("${"))
                .then_some("`${`, which Flyway replaces as a placeholder"),
            Self::Dbmate => [migration.up(), migration.down()]
                .iter()
                .any(|sql| sql.lines().any(is_dbmate_directive))
                .then_some("a line `-- migrate:`, at which dbmate splits the file"),
            _ => None,
        };
        match found {
            None => Ok(()),
            Some(found) => Err(Failure::new(
                format!("the SQL of this configuration contains {found}"),
                "write the queue naming pattern without it, or choose another --format",
            )),
        }
    }

    /// Takes the name of an entry of the migrations directory apart: its version, and what follows.
    pub(super) fn split(self, entry: &str) -> Option<(Version, &str)> {
        let (version, rest) = match self {
            Self::Refinery | Self::Flyway => entry.strip_prefix(['V', 'U'])?.split_once("__")?,
            Self::Plain => return Some((Version::none(), entry)),
            _ => entry.split_once('_')?,
        };
        Version::read(version).map(|version| (version, rest))
    }

    /// What follows the version in the name of the entry that is applied.
    pub(super) fn rest(self, name: &MigrationName) -> String {
        match self {
            Self::Sqlx | Self::Plain => format!("{name}.up.sql"),
            Self::Diesel => name.to_string(),
            Self::SqlxSimple | Self::Refinery | Self::Flyway | Self::Dbmate => {
                format!("{name}.sql")
            }
        }
    }
}

/// Every client runs these, psql or not; the other tools open the transaction themselves.
fn transaction(sql: &str) -> String {
    format!("begin;\n\n{sql}\ncommit;\n")
}

/// `^--\s*migrate:(up|down)`, of dbmate's parser.
fn is_dbmate_directive(line: &str) -> bool {
    line.strip_prefix("--")
        .is_some_and(|rest| rest.trim_start().starts_with("migrate:"))
}
