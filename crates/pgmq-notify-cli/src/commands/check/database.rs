use std::fmt::Write as _;

use pgmq_notify_client::{InstallationDifferences, PgmqNotifyConfig};
use serde::{Serialize, Serializer};

use super::{SettingReport, Status};
use crate::database::{DatabaseOptions, Secret, block_on, client_failure};
use crate::failure::Failure;
use crate::migration_files::Difference;
use crate::output::Output;

/// What a database has, beside what the configuration would install.
pub(super) struct Database {
    /// None where nothing is installed.
    differences: Option<InstallationDifferences>,
}

impl Database {
    pub(super) fn look(url: &Secret, config: &PgmqNotifyConfig) -> Result<Self, Failure> {
        let options = DatabaseOptions::at(url.clone());
        let differences = block_on(async {
            let client = options.client("check", config.clone())?;
            let installation = client.installation().await;
            let installation = installation.map_err(|error| client_failure(&error))?;
            let differences = installation.map(|it| it.differences(config)).transpose();
            differences.map_err(|error| client_failure(&error))
        })?;
        Ok(Self { differences })
    }

    pub(super) fn is_same(&self) -> bool {
        self.status() == Status::Same
    }

    fn status(&self) -> Status {
        match &self.differences {
            None => Status::Missing,
            Some(differences) if differences.is_empty() => Status::Same,
            Some(_) => Status::Differs,
        }
    }

    /// The settings first, then the functions as diffs, then the queues.
    pub(super) fn readable(&self) -> String {
        let mut text = String::new();
        let Some(differences) = &self.differences else {
            return text;
        };
        if let Some((from, to)) = &differences.version {
            let _ = writeln!(text, "database: version: {from} -> {to}");
        }
        for setting in &differences.settings {
            let _ = writeln!(text, "database: {setting}");
        }
        for (_, difference) in self.functions() {
            text.push_str(&difference.readable());
        }
        for line in queues(differences) {
            let _ = writeln!(text, "database: {line}");
        }
        text
    }

    pub(super) fn explain(&self, output: &Output) {
        match self.status() {
            Status::Same => output.note("the database has what the configuration installs"),
            Status::Missing => {
                output.note("pgmq-notify is not installed in the database");
                output.hint(
                    "`pgmq-notify install` with these options installs it, or apply the migration",
                );
            }
            Status::Differs => {
                output.note("the database has not what the configuration installs");
                output.hint("`pgmq-notify upgrade` with these options brings it up to date, or apply the migration");
            }
        }
    }

    fn functions(&self) -> impl Iterator<Item = (&str, Difference<'static>)> {
        let functions = self.differences.iter().flat_map(|it| &it.functions);
        functions.map(|function| {
            let line_end = |text: &Option<String>| text.clone().unwrap_or_default() + "\n";
            let difference = Difference::between(
                &format!("database: pgmq_notify.{}", function.name),
                line_end(&function.installed),
                line_end(&function.generated),
            );
            (&*function.name, difference)
        })
    }
}

fn queues(differences: &InstallationDifferences) -> Vec<String> {
    let mut lines = Vec::new();
    if differences.without_meta_triggers {
        lines.push("pgmq.meta lacks a trigger, so new queues get none".to_owned());
    }
    if differences.queues_missing > 0 {
        lines.push(format!(
            "queues that lack a trigger: {}",
            differences.queues_missing
        ));
    }
    if differences.queues_stale > 0 {
        lines.push(format!(
            "queues with an outdated trigger: {}",
            differences.queues_stale
        ));
    }
    if differences.queues_disabled > 0 {
        lines.push(format!(
            "queues with a trigger that somebody disabled, which is no difference: {}",
            differences.queues_disabled
        ));
    }
    lines
}

#[derive(Serialize)]
struct DatabaseReport<'a> {
    status: Status,
    version: Option<Versions<'a>>,
    settings: Vec<SettingReport<'a>>,
    functions: Vec<FunctionReport<'a>>,
    meta_triggers_missing: bool,
    queues_missing: usize,
    queues_stale: usize,
    queues_disabled: usize,
}

#[derive(Serialize)]
struct Versions<'a> {
    from: &'a str,
    to: &'a str,
}

#[derive(Serialize)]
struct FunctionReport<'a> {
    name: &'a str,
    diff: String,
}

impl Serialize for Database {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let differences = self.differences.as_ref();
        let count = |of: fn(&InstallationDifferences) -> usize| differences.map_or(0, of);
        let version = differences.and_then(|it| it.version.as_ref());
        DatabaseReport {
            status: self.status(),
            version: version.map(|(from, to)| Versions { from, to }),
            settings: differences.map_or_else(Vec::new, |it| SettingReport::all(&it.settings)),
            functions: self
                .functions()
                .map(|(name, difference)| FunctionReport {
                    name,
                    diff: difference.unified(),
                })
                .collect(),
            meta_triggers_missing: differences.is_some_and(|it| it.without_meta_triggers),
            queues_missing: count(|it| it.queues_missing),
            queues_stale: count(|it| it.queues_stale),
            queues_disabled: count(|it| it.queues_disabled),
        }
        .serialize(serializer)
    }
}
