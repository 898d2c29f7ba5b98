use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{Format, MigrationName, Version, clock};
use crate::failure::Failure;

/// The migrations that exist, as far as their names are those of a format.
#[derive(Debug)]
pub(crate) struct Directory {
    format: Format,
    entries: Vec<(Version, String)>,
}

impl Directory {
    /// A directory that does not exist is an empty one.
    pub(crate) fn read(path: &Path, format: Format) -> Result<Self, Failure> {
        let unreadable = |error| {
            Failure::new(
                format!("cannot read the directory {}: {error}", path.display()),
                "name a readable directory with --output-dir",
            )
        };
        let mut entries = Vec::new();
        let found = match fs::read_dir(path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { format, entries });
            }
            Err(error) => return Err(unreadable(error)),
        };
        for entry in found {
            let name = entry.map_err(unreadable)?.file_name();
            if let Some((version, rest)) = name.to_str().and_then(|name| format.split(name)) {
                entries.push((version, rest.to_owned()));
            }
        }
        Ok(Self { format, entries })
    }

    /// The version of the newest migration called `name`.
    pub(crate) fn newest(&self, name: &MigrationName) -> Option<&Version> {
        let rest = self.format.rest(name);
        self.entries
            .iter()
            .filter(|(_, entry)| *entry == rest)
            .map(|(version, _)| version)
            .max()
    }

    /// The versions of all migrations called `name`, in ascending order.
    pub(super) fn versions(&self, name: &MigrationName) -> Vec<Version> {
        let rest = self.format.rest(name);
        let called = self.entries.iter().filter(|(_, entry)| *entry == rest);
        let mut versions: Vec<_> = called.map(|(version, _)| version.clone()).collect();
        versions.sort();
        versions
    }

    /// The version of a migration that comes after all others.
    ///
    /// The first one carries the time, except refinery's: it holds versions in 32 bits unless it is
    /// built with `int8-versions`, and its users count.
    pub(crate) fn next_version(&self) -> Result<Version, Failure> {
        if !self.format.has_versions() {
            return Ok(Version::none());
        }
        let highest = self.entries.iter().map(|(version, _)| version).max();
        Ok(match highest {
            Some(highest) => Version::after(highest, clock::now()?),
            None if self.format == Format::Refinery => Version::number(1, 1),
            None => Version::number(clock::now()?, 14),
        })
    }
}
