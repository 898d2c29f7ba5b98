//! Which way to a server, and what to say when there is none.

use std::{env, ffi::OsString, fmt::Write as _, path::PathBuf};

use crate::Error;

/// How a test comes by its PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Way {
    /// An existing server, `PGMQ_NOTIFY_TEST_URL`.
    Url,
    /// Programs on this machine, run for these tests only.
    Local,
    /// A container.
    Container,
}

impl Way {
    /// The one `PGMQ_NOTIFY_TEST_WAY` insists on.
    pub(super) fn forced() -> Result<Option<Self>, Error> {
        match variable("PGMQ_NOTIFY_TEST_WAY")
            .as_ref()
            .map(|way| way.to_string_lossy())
        {
            None => Ok(None),
            Some(way) => match &*way {
                "url" => Ok(Some(Self::Url)),
                "local" => Ok(Some(Self::Local)),
                "container" => Ok(Some(Self::Container)),
                other => Err(Error::new(format!(
                    "PGMQ_NOTIFY_TEST_WAY is `{other}`, but one of `url`, `local`, `container` is possible"
                ))),
            },
        }
    }
}

/// Where a server was looked for in vain.
#[derive(Debug, Default)]
pub(super) struct Searched {
    /// The way that was insisted on, if one was.
    pub(super) forced: Option<Way>,
    /// Each directory of programs, and why it is of no use.
    pub(super) directories: Vec<(PathBuf, String)>,
    /// Why no container can be run, if that was tried.
    pub(super) container: Option<String>,
}

impl Searched {
    /// What to install or set, and what was found wanting.
    fn advice(&self) -> String {
        let mut text = match self.forced {
            None => "no PostgreSQL to test on; any one of these is enough:".to_owned(),
            Some(Way::Url) => {
                "PGMQ_NOTIFY_TEST_WAY is `url`, but PGMQ_NOTIFY_TEST_URL is not set:".to_owned()
            }
            Some(Way::Local) => {
                "PGMQ_NOTIFY_TEST_WAY is `local`, but there are no usable server programs here:"
                    .to_owned()
            }
            Some(Way::Container) => {
                "PGMQ_NOTIFY_TEST_WAY is `container`, but none can be run:".to_owned()
            }
        };
        for (way, advice) in [
            (
                Way::Local,
                "install a server, 14 to 18: `apt install postgresql`, `dnf install postgresql-server` or \
                 `brew install postgresql@18`",
            ),
            (
                Way::Local,
                "PGMQ_NOTIFY_TEST_BIN=<directory that holds initdb, postgres and pg_ctl>",
            ),
            (
                Way::Url,
                "PGMQ_NOTIFY_TEST_URL=postgres://<superuser>@<host>/postgres",
            ),
            (
                Way::Container,
                "start Docker; the image is PGMQ_NOTIFY_TEST_IMAGE or PGMQ's own",
            ),
        ] {
            if self.forced.is_none_or(|forced| forced == way) {
                text.push_str("\n  - ");
                text.push_str(advice);
            }
        }
        if self.directories.is_empty() && self.forced.is_none_or(|forced| forced == Way::Local) {
            text.push_str("\nlooked on the PATH and in the usual places: no server programs");
        }
        for (directory, reason) in &self.directories {
            let _ = write!(text, "\nlooked in {}: {reason}", directory.display());
        }
        if let Some(reason) = &self.container {
            let _ = write!(text, "\ntried a container: {reason}");
        }
        text
    }

    pub(super) fn into_error(self) -> Error {
        Error::new(self.advice())
    }
}

/// An environment variable; empty counts as unset.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_nothing_at_all_every_way_is_named() {
        let searched = Searched {
            container: Some("docker: not found".to_owned()),
            ..Searched::default()
        };
        assert_eq!(
            searched.advice(),
            "no PostgreSQL to test on; any one of these is enough:\n  \
             - install a server, 14 to 18: `apt install postgresql`, `dnf install postgresql-server` or \
             `brew install postgresql@18`\n  \
             - PGMQ_NOTIFY_TEST_BIN=<directory that holds initdb, postgres and pg_ctl>\n  \
             - PGMQ_NOTIFY_TEST_URL=postgres://<superuser>@<host>/postgres\n  \
             - start Docker; the image is PGMQ_NOTIFY_TEST_IMAGE or PGMQ's own\n\
             looked on the PATH and in the usual places: no server programs\n\
             tried a container: docker: not found"
        );
    }

    #[test]
    fn a_directory_that_is_no_server_is_named_with_what_it_lacks() {
        let searched = Searched {
            directories: vec![("/opt/pg/bin".into(), "no initdb, pg_ctl".to_owned())],
            ..Searched::default()
        };
        assert!(
            searched
                .advice()
                .contains("looked in /opt/pg/bin: no initdb, pg_ctl")
        );
        assert!(!searched.advice().contains("no server programs"));
    }

    #[test]
    fn a_forced_way_is_given_only_its_own_advice() {
        let advice = |way| {
            Searched {
                forced: Some(way),
                ..Searched::default()
            }
            .advice()
        };
        assert!(advice(Way::Url).contains("PGMQ_NOTIFY_TEST_URL=postgres://"));
        assert!(!advice(Way::Url).contains("Docker"));
        assert!(advice(Way::Local).contains("apt install postgresql"));
        assert!(!advice(Way::Local).contains("PGMQ_NOTIFY_TEST_URL"));
        assert!(advice(Way::Container).contains("start Docker"));
        assert!(!advice(Way::Container).contains("apt install"));
    }
}
