use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::MigrationFile;
use crate::failure::Failure;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Keep,
    Replace,
}

/// Writes all `files` below `directory`, or none.
///
/// Each is complete under a temporary name in its own directory before the first one gets its
/// final name. The file that is applied gets its name last, so that even a crash leaves no
/// migration that could not be reverted.
pub(crate) fn write(
    directory: &Path,
    files: &[MigrationFile],
    existing: Existing,
) -> Result<(), Failure> {
    let mut written = Written::default();
    for file in files {
        let target = directory.join(&file.path);
        stage(&mut written, target, &file.content)
            .map_err(|(path, error)| failure(&path, &error))?;
    }
    while let Some((temporary, target)) = written.staged.pop() {
        written
            .publish(temporary, &target, existing)
            .map_err(|error| failure(&target, &error))?;
    }
    written.complete = true;
    Ok(())
}

fn stage(
    written: &mut Written,
    target: PathBuf,
    content: &str,
) -> Result<(), (PathBuf, io::Error)> {
    let parent = target.parent().unwrap_or(Path::new(".")).to_owned();
    let staged = written.create_directory(&parent).and_then(|()| {
        let mut temporary = temporary_file(&parent)?;
        temporary.write_all(content.as_bytes())?;
        temporary.as_file().sync_all()?;
        Ok(temporary)
    });
    match staged {
        Ok(temporary) => {
            written.staged.push((temporary, target));
            Ok(())
        }
        Err(error) => Err((target, error)),
    }
}

/// The dot hides it from tools that look into the directory meanwhile. It gets the permissions
/// that any new file gets: others have to read migrations.
fn temporary_file(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".pgmq-notify-").suffix(".tmp");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}

/// What has been done, to be undone unless it becomes complete.
#[derive(Default)]
struct Written {
    complete: bool,
    staged: Vec<(NamedTempFile, PathBuf)>,
    directories: Vec<PathBuf>,
    published: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl Written {
    fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        let missing: Vec<_> = path
            .ancestors()
            .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
            .collect();
        for directory in missing.into_iter().rev() {
            fs::create_dir(directory)?;
            self.directories.push(directory.to_owned());
        }
        Ok(())
    }

    fn publish(
        &mut self,
        temporary: NamedTempFile,
        target: &Path,
        existing: Existing,
    ) -> io::Result<()> {
        let before = match existing {
            Existing::Replace if target.exists() => Some(fs::read(target)?),
            _ => None,
        };
        match existing {
            Existing::Keep => temporary.persist_noclobber(target)?,
            Existing::Replace => temporary.persist(target)?,
        };
        self.published.push((target.to_owned(), before));
        Ok(())
    }
}

impl Drop for Written {
    /// The error that led here is the one to report, so those on the way back are dropped.
    fn drop(&mut self) {
        if self.complete {
            return;
        }
        self.staged.clear();
        for (path, before) in self.published.drain(..).rev() {
            let _ = match before {
                Some(content) => fs::write(path, content),
                None => fs::remove_file(path),
            };
        }
        for directory in self.directories.drain(..).rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}

fn failure(path: &Path, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::AlreadyExists => "--force overwrites it",
        _ => "choose a writable directory with --output-dir; nothing was written",
    };
    Failure::new(format!("cannot write {}: {error}", path.display()), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: [&str; 2]) -> Vec<MigrationFile> {
        paths
            .map(|path| MigrationFile {
                path: path.into(),
                content: "new".into(),
            })
            .into()
    }

    fn listing(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_failure_half_way_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        // A directory stands where the up file should go, which comes after the down file.
        fs::create_dir(root.join("up.sql")).unwrap();
        for existing in [Existing::Keep, Existing::Replace] {
            write(root, &files(["up.sql", "down.sql"]), existing).unwrap_err();
            assert_eq!(listing(root), ["up.sql"], "{existing:?}");
        }
    }

    #[test]
    fn a_failure_half_way_gives_an_overwritten_file_its_content_back() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir(root.join("up.sql")).unwrap();
        fs::write(root.join("down.sql"), "old").unwrap();
        write(root, &files(["up.sql", "down.sql"]), Existing::Replace).unwrap_err();
        assert_eq!(listing(root), ["down.sql", "up.sql"]);
        assert_eq!(fs::read_to_string(root.join("down.sql")).unwrap(), "old");
    }

    #[test]
    fn a_failure_removes_the_directories_it_made() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::write(root.join("file"), "").unwrap();
        let impossible = files(["a/b/up.sql", "file/down.sql"]);
        write(root, &impossible, Existing::Keep).unwrap_err();
        assert_eq!(listing(root), ["file"]);
    }

    #[test]
    fn what_is_there_is_kept_unless_it_may_be_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::write(root.join("up.sql"), "old").unwrap();
        let both = files(["up.sql", "down.sql"]);
        write(root, &both, Existing::Keep).unwrap_err();
        assert_eq!(listing(root), ["up.sql"]);
        write(root, &both, Existing::Replace).unwrap();
        assert_eq!(listing(root), ["down.sql", "up.sql"]);
        assert_eq!(fs::read_to_string(root.join("up.sql")).unwrap(), "new");
    }
}
