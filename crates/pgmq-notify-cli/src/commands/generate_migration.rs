use clap::Args;
use pgmq_notify_core::PgmqNotifyConfig;
use pgmq_notify_sql::SettingDifference;
use serde::Serialize;

use crate::commands::Answer;
use crate::config::ConfigOptions;
use crate::failure::Failure;
use crate::migration_files::{
    Chain, Compared, Comparison, Directory, Existing, Extent, Format, MigrationOptions, Version,
    write,
};
use crate::output::Output;

/// Write the SQL of a configuration as a migration of your tool
///
/// The same input gives the same bytes. Nothing is overwritten without --force, and either all files
/// are written or none. When the newest migration of this name is already of this configuration, nothing
/// is written; when it is of another one, a new version is added beside it, because a migration that was
/// applied must not change.
///
/// The first migration installs everything, and its down removes everything. Those after it hold only
/// what differs, and their down returns to the state before. Each carries its configuration, in its
/// lines that begin with `--@`. After one that was edited, or that another version wrote, comes a whole
/// one, whose down removes everything and runs the earlier SQL again.
#[derive(Args, Debug)]
#[command(after_help = "\
Prints the paths of the files that it wrote.

The version of a new migration follows the highest one in the directory: the next number where
migrations are counted, else the UTC time as YYYYMMDDHHMMSS (of SOURCE_DATE_EPOCH, where that is
set). refinery starts with 1, because it holds versions in 32 bits unless it is built with
`int8-versions`.

Examples:
  pgmq-notify generate-migration
  pgmq-notify generate-migration --format diesel --channel-prefix myapp
  pgmq-notify generate-migration --full
  pgmq-notify generate-migration --format flyway --output-dir src/main/resources/db/migration
  pgmq-notify generate-migration --format plain --stdout | psql -v ON_ERROR_STOP=1
  pgmq-notify generate-migration --stdout --down > uninstall.sql")]
pub(crate) struct GenerateMigrationArguments {
    #[command(flatten)]
    migration: MigrationOptions,

    /// The version in the file names [default: see below]
    #[arg(long, value_name = "NUMBER")]
    version_number: Option<Version>,

    /// Overwrite: the migration of --version-number, or the newest one of this name
    #[arg(long)]
    force: bool,

    /// Write everything, also where a part would do, for databases that have not applied the others
    #[arg(long, conflicts_with = "stdout")]
    full: bool,

    #[command(flatten)]
    sql: SqlOptions,

    /// Print an object with the status and the files
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigOptions,
}

#[derive(Args, Debug)]
struct SqlOptions {
    /// Print the SQL instead of writing files
    #[arg(long, conflicts_with_all = ["force", "json", "version_number"])]
    stdout: bool,

    /// With --stdout, print the SQL that removes everything again
    #[arg(long, requires = "stdout")]
    down: bool,
}

pub(crate) fn run(
    arguments: &GenerateMigrationArguments,
    output: &Output,
) -> Result<Answer, Failure> {
    let format = arguments.migration.format;
    if arguments.sql.stdout {
        let migration = arguments.config.migration()?;
        format.accept(&migration)?;
        let sql = if arguments.sql.down {
            format.down(&migration)
        } else {
            format.up(&migration)
        };
        output.data(sql)?;
        return Ok(Answer::Yes);
    }
    if !format.has_versions() && arguments.version_number.is_some() {
        return Err(Failure::new(
            "files of the format plain carry no version",
            "leave out --version-number, or choose another --format",
        ));
    }
    let config = arguments.config.config()?;
    let (comparison, version) = choose(arguments, &config)?;
    if let Some(different) = comparison.different()
        && !arguments.force
    {
        return Err(Failure::new(
            format!("{} exists with other content", different.path.display()),
            "--force overwrites it",
        ));
    }
    let outdated: Vec<_> = comparison
        .outdated()
        .map(|file| file.file.clone())
        .collect();
    let existing = if arguments.force {
        Existing::Replace
    } else {
        Existing::Keep
    };
    write(&arguments.migration.output_dir, &outdated, existing)?;
    print(arguments, &comparison, &version, output)?;
    Ok(Answer::Yes)
}

/// The version is the one that was asked for; or the newest, to confirm, complete or overwrite it;
/// or the next.
fn choose(
    arguments: &GenerateMigrationArguments,
    config: &PgmqNotifyConfig,
) -> Result<(Comparison, Version), Failure> {
    let MigrationOptions {
        format,
        output_dir,
        name,
    } = &arguments.migration;
    let directory = Directory::read(output_dir, *format)?;
    let chain = Chain::read(output_dir, *format, name, &directory)?;
    let extent = if arguments.full {
        Extent::Whole
    } else {
        Extent::Change
    };
    let compare = |version: Version| {
        let migration = chain
            .migration(&version, config, extent)
            .map_err(|error| Failure::new(error.to_string(), "correct the configuration"))?;
        format.accept(&migration)?;
        let files = format.files(name, &version, &migration);
        Ok((Comparison::new(output_dir, files)?, version))
    };
    if let Some(version) = &arguments.version_number {
        return compare(version.clone());
    }
    if let Some(newest) = directory.newest(name) {
        let is_of_config = chain.is_own(newest)
            && chain
                .configuration(newest)
                .is_some_and(|own| SettingDifference::between(own, config).is_empty());
        let newest = compare(newest.clone())?;
        if arguments.force
            || !format.has_versions()
            || is_of_config
            || newest.0.different().is_none()
        {
            return Ok(newest);
        }
    }
    compare(directory.next_version()?)
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    format: Format,
    name: &'a str,
    version: Option<&'a str>,
    files: Vec<String>,
}

fn print(
    arguments: &GenerateMigrationArguments,
    comparison: &Comparison,
    version: &Version,
    output: &Output,
) -> Result<(), Failure> {
    let MigrationOptions { format, name, .. } = &arguments.migration;
    let path = |file: &Compared| file.path.display().to_string();
    if arguments.json {
        output.json(&Report {
            status: if comparison.is_same() {
                "up-to-date"
            } else {
                "written"
            },
            format: *format,
            name: name.as_str(),
            version: format.has_versions().then_some(version.as_str()),
            files: comparison.files().iter().map(path).collect(),
        })?;
    } else {
        let lines = comparison.outdated().map(|file| path(file) + "\n");
        output.data(lines.collect::<String>())?;
    }
    if comparison.is_same() {
        output.note(&format!("{} is up to date", path(comparison.up())));
        return Ok(());
    }
    if comparison.different().is_some() {
        output
            .note("overwritten: a database that has applied the old one will not get the new one");
    }
    if !format.has_down() {
        output.hint(&format!(
            "{} reverts nothing, `pgmq-notify generate-migration --stdout --down` prints how to",
            format.name()
        ));
    }
    if *format == Format::Refinery && !version.fits_i32() {
        output.hint("a version of more than 32 bits needs refinery's feature `int8-versions`");
    }
    Ok(())
}
