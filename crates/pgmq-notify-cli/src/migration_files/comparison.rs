use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::MigrationFile;
use crate::failure::Failure;

/// The files of a migration, beside what stands in the directory.
#[derive(Debug)]
pub(crate) struct Comparison(Vec<Compared>);

#[derive(Debug)]
pub(crate) struct Compared {
    /// Where it stands, the directory included.
    pub(crate) path: PathBuf,
    pub(crate) file: MigrationFile,
    pub(crate) found: Found,
}

#[derive(Debug)]
pub(crate) enum Found {
    Same,
    Missing,
    Different(Vec<u8>),
}

impl Comparison {
    pub(crate) fn new(directory: &Path, files: Vec<MigrationFile>) -> Result<Self, Failure> {
        let compare = |file: MigrationFile| {
            let path = directory.join(&file.path);
            let found = found(&path, file.content.as_bytes())?;
            Ok(Compared { path, file, found })
        };
        files
            .into_iter()
            .map(compare)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn files(&self) -> &[Compared] {
        &self.0
    }

    /// The file that is applied.
    pub(crate) fn up(&self) -> &Compared {
        &self.0[0]
    }

    pub(crate) fn is_same(&self) -> bool {
        self.outdated().next().is_none()
    }

    /// A file that exists with other content.
    pub(crate) fn different(&self) -> Option<&Compared> {
        self.outdated()
            .find(|file| matches!(file.found, Found::Different(_)))
    }

    /// The files that are missing or different.
    pub(crate) fn outdated(&self) -> impl Iterator<Item = &Compared> {
        self.0
            .iter()
            .filter(|file| !matches!(file.found, Found::Same))
    }
}

fn found(path: &Path, content: &[u8]) -> Result<Found, Failure> {
    match fs::read(path) {
        Ok(old) if old == content => Ok(Found::Same),
        Ok(old) => Ok(Found::Different(old)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Missing),
        Err(error) => Err(Failure::new(
            format!("cannot read {}: {error}", path.display()),
            "make it a readable file, or choose another --output-dir",
        )),
    }
}
