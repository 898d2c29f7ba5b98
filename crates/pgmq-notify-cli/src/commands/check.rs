use clap::Args;
use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_sql::{Migration, SettingDifference};
use serde::Serialize;

use crate::commands::Answer;
use crate::config::ConfigOptions;
use crate::failure::Failure;
use crate::migration_files::{
    Chain, Compared, Comparison, Difference, Directory, Extent, Format, Found, MigrationOptions,
    Version,
};
use crate::output::Output;

#[cfg(feature = "database")]
mod database;

/// Is the committed migration what the configuration would generate? For CI
///
/// Compares the newest migration of this name, byte for byte, and prints what differs: the settings, and
/// then the SQL as a unified diff, from the file to what would be generated. With --database-url it
/// compares the database too, and then there need not be a migration.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  it is
  1  it differs, or there is none
  2  it cannot be checked

Examples:
  pgmq-notify check
  pgmq-notify check --format diesel --config deploy/pgmq-notify.toml
  pgmq-notify check --database-url \"$DATABASE_URL\"
  pgmq-notify check --json | jq -r .status")]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    migration: MigrationOptions,

    /// Compare what this database has, too. No variable stands in for it
    #[cfg(feature = "database")]
    #[arg(long, value_name = "URL", hide_default_value = true)]
    database_url: Option<crate::database::Secret>,

    /// Print an object with the status and, for each file, the difference
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigOptions,
}

pub(crate) fn run(arguments: &CheckArguments, output: &Output) -> Result<Answer, Failure> {
    let config = arguments.config.config()?;
    let files = Files::look(&arguments.migration, &config)?;
    #[cfg(feature = "database")]
    let database = match &arguments.database_url {
        Some(url) => Some(database::Database::look(url, &config)?),
        None => None,
    };
    #[cfg(not(feature = "database"))]
    let database: Option<NoDatabase> = None;

    if arguments.json {
        output.json(&Report::new(
            &arguments.migration,
            &files,
            database.as_ref(),
        ))?;
    } else {
        for change in &files.settings {
            output.styled_data(&format!("{change}\n"))?;
        }
        for file in &files.compared {
            if let Some(difference) = &file.difference {
                output.styled_data(&difference.readable())?;
            }
        }
        if let Some(database) = &database {
            output.styled_data(&database.readable())?;
        }
    }
    files.explain(&arguments.migration, database.is_some(), output);
    if let Some(database) = &database {
        database.explain(output);
    }
    let right = files.status.is_right(database.is_some())
        && database.is_none_or(|database| database.is_same());
    Ok(if right { Answer::Yes } else { Answer::No })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Status {
    Same,
    Differs,
    Missing,
}

impl Status {
    /// A database may have been installed without any migration.
    fn is_right(self, with_database: bool) -> bool {
        self == Self::Same || self == Self::Missing && with_database
    }
}

/// The newest migration beside what would be generated.
struct Files {
    status: Status,
    version: Option<Version>,
    /// From what the migration was generated from to the configuration.
    settings: Vec<SettingDifference>,
    compared: Vec<File>,
    only_line_ends: bool,
}

struct File {
    path: String,
    status: Status,
    difference: Option<Difference<'static>>,
}

impl Files {
    fn look(options: &MigrationOptions, config: &PgmqNotifyConfig) -> Result<Self, Failure> {
        let MigrationOptions {
            format,
            output_dir,
            name,
        } = options;
        let invalid = |error: pgmq_notify_core::ConfigError| {
            Failure::new(error.to_string(), "correct the configuration")
        };
        format.accept(&Migration::new(config).map_err(invalid)?)?;
        let directory = Directory::read(output_dir, *format)?;
        let Some(version) = directory.newest(name) else {
            return Ok(Self {
                status: Status::Missing,
                version: None,
                settings: Vec::new(),
                compared: Vec::new(),
                only_line_ends: false,
            });
        };
        let chain = Chain::read(output_dir, *format, name, &directory)?;
        let carried = chain.configuration(version);
        let settings = carried.map_or_else(Vec::new, |own| SettingDifference::between(own, config));
        // Of another configuration, but as this program wrote it: then the settings say what is new, and
        // the files are compared with what they should be.
        let older = carried.filter(|_| !settings.is_empty() && chain.is_own(version));
        let migration = chain
            .migration(version, older.unwrap_or(config), Extent::Change)
            .map_err(invalid)?;
        let comparison = Comparison::new(output_dir, format.files(name, version, &migration))?;
        let mut files: Vec<_> = comparison.files().iter().map(File::of).collect();
        if let Some(older) = older {
            let sql = |config| {
                Ok::<_, Failure>(Migration::new(config).map_err(invalid)?.up().to_owned() + "\n")
            };
            let path = files[0].path.clone();
            files[0].status = Status::Differs;
            files[0].difference = Some(Difference::between(&path, sql(older)?, sql(config)?));
        }
        let status = if files.iter().all(|file| file.status == Status::Same) {
            Status::Same
        } else {
            Status::Differs
        };
        Ok(Self {
            status,
            version: Some(version.clone()),
            settings,
            only_line_ends: older.is_none() && comparison.outdated().all(only_line_ends),
            compared: files,
        })
    }

    fn explain(&self, options: &MigrationOptions, with_database: bool, output: &Output) {
        if self.status == Status::Missing {
            output.note(&format!(
                "{} holds no {} migration called {}",
                options.output_dir.display(),
                options.format.name(),
                options.name
            ));
            if !with_database {
                output.hint("`pgmq-notify generate-migration` with these options writes it");
            }
            return;
        }
        if self.status == Status::Same {
            let path = &self.compared[0].path;
            output.note(&format!("{path} is what the configuration generates"));
            return;
        }
        for file in &self.compared {
            let path = &file.path;
            match file.status {
                Status::Same => {}
                Status::Missing => output.note(&format!("{path} is missing")),
                Status::Differs => {
                    output.note(&format!("{path} is not what the configuration generates"));
                }
            }
        }
        if self.only_line_ends {
            output.hint(
                "only the ends of lines differ, `*.sql text eol=lf` in .gitattributes keeps them",
            );
        } else {
            output.hint(
                "`pgmq-notify generate-migration` with these options writes a migration that is",
            );
        }
    }
}

impl File {
    fn of(file: &Compared) -> Self {
        let (status, difference) = match &file.found {
            Found::Same => (Status::Same, None),
            Found::Missing => (Status::Missing, None),
            Found::Different(_) => (Status::Differs, Difference::of(file)),
        };
        Self {
            path: file.path.display().to_string(),
            status,
            difference: difference.map(Difference::into_owned),
        }
    }
}

fn only_line_ends(file: &Compared) -> bool {
    match &file.found {
        Found::Different(old) => {
            String::from_utf8_lossy(old).replace("\r\n", "\n") == file.file.content
        }
        _ => false,
    }
}

/// What stands where nothing can connect.
#[cfg(not(feature = "database"))]
#[derive(Serialize)]
enum NoDatabase {}

#[cfg(not(feature = "database"))]
impl NoDatabase {
    fn readable(&self) -> String {
        match *self {}
    }

    fn explain(&self, _: &Output) {
        match *self {}
    }

    fn is_same(&self) -> bool {
        match *self {}
    }
}

#[cfg(feature = "database")]
type MaybeDatabase = database::Database;
#[cfg(not(feature = "database"))]
type MaybeDatabase = NoDatabase;

#[derive(Serialize)]
struct Report<'a> {
    status: Status,
    format: Format,
    name: &'a str,
    version: Option<&'a str>,
    settings: Vec<SettingReport<'a>>,
    files: Vec<FileReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<&'a MaybeDatabase>,
}

/// A setting, before and after.
#[derive(Serialize)]
pub(crate) struct SettingReport<'a> {
    setting: &'a str,
    from: Option<&'a str>,
    to: Option<&'a str>,
}

impl<'a> SettingReport<'a> {
    pub(crate) fn all(settings: &'a [SettingDifference]) -> Vec<Self> {
        let report = |it: &'a SettingDifference| Self {
            setting: &it.setting,
            from: it.from.as_deref(),
            to: it.to.as_deref(),
        };
        settings.iter().map(report).collect()
    }
}

#[derive(Serialize)]
struct FileReport<'a> {
    path: &'a str,
    status: Status,
    diff: Option<String>,
}

impl<'a> Report<'a> {
    fn new(
        options: &'a MigrationOptions,
        files: &'a Files,
        database: Option<&'a MaybeDatabase>,
    ) -> Self {
        let report = |file: &'a File| FileReport {
            path: &file.path,
            status: file.status,
            diff: file.difference.as_ref().map(Difference::unified),
        };
        let version = files
            .version
            .as_ref()
            .filter(|_| options.format.has_versions());
        Self {
            status: files.status,
            format: options.format,
            name: options.name.as_str(),
            version: version.map(Version::as_str),
            settings: SettingReport::all(&files.settings),
            files: files.compared.iter().map(report).collect(),
            database,
        }
    }
}
