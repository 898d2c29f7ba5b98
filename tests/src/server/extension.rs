//! A server that has the files of the extension pgmq, without a change to the one that is installed.

use std::{
    env, fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::Error;

/// A PostgreSQL beside the installed one: its programs, links to all else, and an extension more. PostgreSQL finds its files by
/// the place of its program. Removed with this value.
#[derive(Debug)]
pub(super) struct Tree(PathBuf);

/// Where the installed one has its files, as the view `pg_config` says.
pub(super) struct Installed {
    pub(super) programs: PathBuf,
    pub(super) share: PathBuf,
    pub(super) libraries: PathBuf,
}

impl Tree {
    /// With PGMQ 1.13, of the crate that embeds it.
    pub(super) fn with_pgmq(installed: &Installed) -> Result<Self, Error> {
        let embedded = embedded()?;
        let name = format!("pgmq-notify-files-{:016x}", fastrand::u64(..));
        let tree = Self(env::temp_dir().join(name));
        tree.fill(installed, &embedded)
            .map_err(Error::because("put the extension pgmq beside a server"))?;
        Ok(tree)
    }

    fn fill(&self, installed: &Installed, embedded: &Path) -> io::Result<()> {
        fs::create_dir(&self.0)?;
        // Servers of root run as somebody else.
        fs::set_permissions(&self.0, fs::Permissions::from_mode(0o755))?;
        let programs = self.within(&installed.programs);
        link_all(&installed.programs, &programs)?;
        for name in ["initdb", "pg_ctl", "postgres"] {
            // A link would lead back to the installed files.
            fs::remove_file(programs.join(name))?;
            fs::copy(installed.programs.join(name), programs.join(name))?;
        }
        let libraries = self.within(&installed.libraries);
        fs::create_dir_all(libraries.parent().unwrap_or(&libraries))?;
        symlink(&installed.libraries, &libraries)?;
        let share = self.within(&installed.share);
        link_all(&installed.share, &share)?;
        let extensions = share.join("extension");
        fs::remove_file(&extensions)?;
        link_all(&installed.share.join("extension"), &extensions)?;
        let control = fs::read_to_string(embedded.join("pgmq.control"))?;
        let version = control
            .lines()
            .find_map(|line| line.strip_prefix("default_version = '")?.strip_suffix('\''))
            .ok_or_else(|| io::Error::other("pgmq.control names no version"))?;
        let sql = extensions.join(format!("pgmq--{version}.sql"));
        fs::copy(embedded.join("sql/pgmq.sql"), sql)?;
        fs::write(extensions.join("pgmq.control"), control)?;
        // Programs of a wheel look for their libraries beside themselves.
        for path in [&installed.programs, &installed.libraries] {
            for above in path.ancestors().skip(1).take(3) {
                link_all(above, &self.within(above))?;
            }
        }
        Ok(())
    }

    pub(super) fn within(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// All that is not there yet.
fn link_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        match symlink(entry.path(), to.join(entry.file_name())) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The directory with `pgmq.control`, in the source of the crate.
fn embedded() -> Result<PathBuf, Error> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked"])
        // Cargo has fetched what this machine builds with, and would have to fetch what others need.
        .args(["--filter-platform", "host-tuple"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(Error::because("ask cargo where the crate pgmq is"))?;
    let metadata = String::from_utf8_lossy(&output.stdout);
    // One line of JSON, in which a package's name and version come before its place.
    let manifest = metadata
        .split(r#""name":"pgmq","version":"0.34."#)
        .nth(1)
        .and_then(|rest| rest.split(r#""manifest_path":""#).nth(1))
        .and_then(|rest| rest.split('"').next());
    let directory = manifest.and_then(|manifest| Path::new(manifest).parent());
    directory
        .map(|directory| directory.join("src/install/embedded"))
        .ok_or_else(|| Error::new("cargo does not say where the crate pgmq is"))
}
