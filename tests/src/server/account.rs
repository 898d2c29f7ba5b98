//! Whom the server runs as: PostgreSQL refuses to run as root.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use crate::Error;

/// An unprivileged account that root drops to.
#[derive(Debug, Clone)]
pub(super) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// `None` unless this process is root: then it already is the account to use.
    pub(super) fn for_servers() -> Result<Option<Self>, Error> {
        if id(&["-u"]) != Some(0) {
            return Ok(None);
        }
        ["postgres", "nobody"].into_iter().find_map(Self::named).map(Some).ok_or_else(|| {
            Error::new("running as root, and neither the user postgres nor nobody exists to run a server as")
        })
    }

    fn named(name: &str) -> Option<Self> {
        let (uid, gid) = (id(&["-u", name])?, id(&["-g", name])?);
        (uid != 0).then(|| Self {
            name: name.to_owned(),
            uid,
            gid,
        })
    }

    /// Makes `command` run as this account. The standard library drops root's supplementary groups along with the uid.
    pub(super) fn apply(&self, command: &mut Command) {
        command
            .uid(self.uid)
            .gid(self.gid)
            .env("USER", &self.name)
            .env("LOGNAME", &self.name)
            .env("HOME", "/");
    }
}

/// `id` asks the system's name service, which on macOS or with LDAP is not `/etc/passwd`.
fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id")
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
