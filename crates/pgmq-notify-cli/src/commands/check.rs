use clap::Args;
use serde::Serialize;

use crate::commands::Answer;
use crate::config::ConfigOptions;
use crate::failure::Failure;
use crate::migration_files::{
    Compared, Comparison, Difference, Directory, Format, Found, MigrationOptions, Version,
};
use crate::output::Output;

/// Is the committed migration what the configuration would generate? For CI
///
/// Compares the newest migration of this name, byte for byte, and prints the difference as a
/// unified diff from the file to what would be generated.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  it is
  1  it differs, or there is none
  2  it cannot be checked

Examples:
  pgmq-notify check
  pgmq-notify check --format diesel --config deploy/pgmq-notify.toml
  pgmq-notify check --json | jq -r .status")]
pub(crate) struct CheckArguments {
    #[command(flatten)]
    migration: MigrationOptions,

    /// Print an object with the status and, for each file, the difference
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    config: ConfigOptions,
}

pub(crate) fn run(arguments: &CheckArguments, output: &Output) -> Result<Answer, Failure> {
    let migration = arguments.config.migration()?;
    let MigrationOptions {
        format,
        output_dir,
        name,
    } = &arguments.migration;
    format.accept(&migration)?;
    let directory = Directory::read(output_dir, *format)?;
    let Some(version) = directory.newest(name) else {
        return none(arguments, output);
    };
    let files = format.files(name, version, &migration);
    let comparison = Comparison::new(output_dir, files)?;
    if arguments.json {
        output.json(&Report::new(arguments, version, &comparison))?;
    } else {
        for file in comparison.files() {
            if let Some(difference) = Difference::of(file) {
                output.styled_data(&difference.readable())?;
            }
        }
    }
    explain(&comparison, output);
    Ok(if comparison.is_same() {
        Answer::Yes
    } else {
        Answer::No
    })
}

fn none(arguments: &CheckArguments, output: &Output) -> Result<Answer, Failure> {
    let MigrationOptions {
        format,
        output_dir,
        name,
    } = &arguments.migration;
    if arguments.json {
        output.json(&Report {
            status: "missing",
            format: *format,
            name: name.as_str(),
            version: None,
            files: Vec::new(),
        })?;
    }
    output.note(&format!(
        "{} holds no {} migration called {name}",
        output_dir.display(),
        format.name()
    ));
    output.hint("`pgmq-notify generate-migration` with these options writes it");
    Ok(Answer::No)
}

fn explain(comparison: &Comparison, output: &Output) {
    if comparison.is_same() {
        let path = comparison.up().path.display();
        output.note(&format!("{path} is what the configuration generates"));
        return;
    }
    for file in comparison.outdated() {
        let path = file.path.display();
        match file.found {
            Found::Missing => output.note(&format!("{path} is missing")),
            _ => output.note(&format!("{path} is not what the configuration generates")),
        }
    }
    let only_line_ends = |file: &Compared| match &file.found {
        Found::Different(old) => {
            String::from_utf8_lossy(old).replace("\r\n", "\n") == file.file.content
        }
        _ => false,
    };
    if comparison.outdated().all(only_line_ends) {
        output.hint(
            "only the ends of lines differ, `*.sql text eol=lf` in .gitattributes keeps them",
        );
    } else {
        output
            .hint("`pgmq-notify generate-migration` with these options writes a migration that is");
    }
}

#[derive(Serialize)]
struct Report<'a> {
    status: &'static str,
    format: Format,
    name: &'a str,
    version: Option<&'a str>,
    files: Vec<FileReport>,
}

#[derive(Serialize)]
struct FileReport {
    path: String,
    status: &'static str,
    diff: Option<String>,
}

impl<'a> Report<'a> {
    fn new(arguments: &'a CheckArguments, version: &'a Version, comparison: &Comparison) -> Self {
        let MigrationOptions { format, name, .. } = &arguments.migration;
        let report = |file: &Compared| FileReport {
            path: file.path.display().to_string(),
            status: match file.found {
                Found::Same => "same",
                Found::Missing => "missing",
                Found::Different(_) => "differs",
            },
            diff: Difference::of(file).map(|difference| difference.unified()),
        };
        Self {
            status: if comparison.is_same() {
                "same"
            } else {
                "differs"
            },
            format: *format,
            name: name.as_str(),
            version: format.has_versions().then_some(version.as_str()),
            files: comparison.files().iter().map(report).collect(),
        }
    }
}
