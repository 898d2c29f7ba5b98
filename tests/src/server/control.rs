//! Starting, stopping and killing an own server.

use super::{Server, Settings, Source, blocking, local::Local};
use crate::Error;

/// How a server is told to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Ends its sessions and writes a checkpoint, as an operator would.
    Fast,
    /// Ends at once; the next start recovers from the write-ahead log.
    Immediate,
}

impl Stop {
    pub(super) fn mode(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Immediate => "immediate",
        }
    }
}

/// Control, for servers from [`Server::start`]: each of these is an error on any other.
///
/// Port, directory and databases outlive a stop, so that a listener can find its server again. They also work on a shared local
/// server, but then on that of every other test as well.
impl Server {
    /// Starts a stopped or killed server; returns when it accepts connections.
    pub async fn start_again(&self) -> Result<(), Error> {
        self.control(Local::start_again).await
    }

    /// Stops it; returns when its last process is gone.
    pub async fn stop(&self, how: Stop) -> Result<(), Error> {
        self.control(move |local| local.stop(how)).await
    }

    /// SIGKILL to the postmaster; returns when its last process is gone.
    pub async fn kill(&self) -> Result<(), Error> {
        self.control(Local::kill).await
    }

    /// [`Stop::Fast`], then a start.
    pub async fn restart(&self) -> Result<(), Error> {
        self.control(|local| local.stop(Stop::Fast).and_then(|()| local.start_again()))
            .await
    }

    /// A restart with other settings; those not named go back to [`Settings::new`].
    pub async fn restart_with(&self, settings: Settings) -> Result<(), Error> {
        self.control(move |local| {
            local.stop(Stop::Fast)?;
            local.set(settings);
            local.start_again()
        })
        .await
    }

    /// The postmaster's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.local().and_then(Local::pid)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.local().is_some_and(|local| local.pid().is_none())
    }

    /// What the server has logged so far.
    pub fn log(&self) -> Result<String, Error> {
        let local = self.local().ok_or_else(|| self.not_ours())?;
        std::fs::read_to_string(local.log()).map_err(Error::because("read the server's log"))
    }

    async fn control(
        &self,
        work: impl FnOnce(&Local) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let server = self.clone();
        blocking(move || match &server.inner.source {
            Source::Local(local) => work(local),
            Source::Existing(_) | Source::Container(_) => Err(server.not_ours()),
        })
        .await
    }

    pub(super) fn not_ours(&self) -> Error {
        Error::new(format!(
            "only a local server can be controlled, and this one came by the way {:?}; use Server::start",
            self.way()
        ))
    }
}
