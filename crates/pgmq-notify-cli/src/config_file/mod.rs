//! `pgmq-notify.toml`: what it may hold, and where in it a problem is.

mod keys;
mod position;
mod problem;
mod reader;

use std::fs;
use std::path::Path;

use pgmq_notify_core::{ConfigProblem, PgmqNotifyConfig};

pub(crate) use position::Position;
pub(crate) use problem::FileProblem;
use reader::{Place, Reader};

use crate::failure::Failure;

/// What a file says, as far as it can be understood, and what cannot.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    config: PgmqNotifyConfig,
    places: Vec<Place>,
    unreadable: Vec<FileProblem>,
}

impl ConfigFile {
    /// The name that is looked for in the current directory.
    pub(crate) const DEFAULT_NAME: &str = "pgmq-notify.toml";

    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) => Err(Failure::new(
                format!("cannot read {}: {error}", path.display()),
                "name a readable TOML file in UTF-8",
            )),
        }
    }

    pub(crate) fn parse(text: &str) -> Self {
        let mut reader = Reader::new(text);
        reader.read();
        let (config, places, unreadable) = reader.finish();
        Self {
            config,
            places,
            unreadable,
        }
    }

    /// The configuration; a setting that could not be understood is at its default.
    pub(crate) fn config(&self) -> &PgmqNotifyConfig {
        &self.config
    }

    /// What is wrong whatever the values are: syntax, unknown keys, types.
    pub(crate) fn unreadable(&self) -> &[FileProblem] {
        &self.unreadable
    }

    /// Every problem, those of the values included, from top to bottom.
    pub(crate) fn validate(&self) -> Vec<FileProblem> {
        let mut problems = self.unreadable.clone();
        if let Err(error) = pgmq_notify_sql::validate(&self.config) {
            for problem in error.problems() {
                let position = self.position_of(problem).unwrap_or_default();
                // Behind a syntax error stands what the parser made up.
                let broken = |other: &FileProblem| other.breaks(position.line);
                if !self.unreadable.iter().any(broken) {
                    problems.push(FileProblem::of_value(position, problem));
                }
            }
        }
        problems.sort_by_key(FileProblem::position);
        problems
    }

    /// Where the value that `problem` is about stands. A setting with several values has one place
    /// for each, told apart by what is wrong with them.
    pub(crate) fn position_of(&self, problem: &ConfigProblem) -> Option<Position> {
        self.places
            .iter()
            .find(|place| place.has(problem))
            .map(Place::position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_sample_says_every_default_and_is_valid() {
        let sample = include_str!("../../pgmq-notify.toml");
        let file = ConfigFile::parse(sample);
        assert_eq!(file.validate(), []);
        assert_eq!(*file.config(), PgmqNotifyConfig::new());
    }

    #[test]
    fn the_sample_with_every_comment_opened_is_valid_and_names_every_key() {
        let open = |line: &'static str| match line.strip_prefix('#') {
            Some(rest) if !rest.is_empty() && !rest.starts_with(' ') => rest,
            _ => line,
        };
        let sample = include_str!("../../pgmq-notify.toml");
        let opened = sample.lines().map(open).collect::<Vec<_>>().join("\n");
        let file = ConfigFile::parse(&opened);
        assert_eq!(file.validate(), [], "{opened}");
        for key in keys::ROOT {
            let named = [format!("\n{key} = "), format!("\n[{key}.")];
            assert!(named.iter().any(|text| opened.contains(text)), "{key}");
        }
        let (_, namespace) = opened.split_once("\n[namespaces.").unwrap();
        for key in keys::NAMESPACE {
            assert!(namespace.contains(&format!("\n{key} = ")), "{key}");
        }
    }
}
