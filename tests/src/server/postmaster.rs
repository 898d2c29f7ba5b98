//! The server's process: ready, killed, gone.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use crate::Error;

/// Recovery after a kill may take its time on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A backend whose postmaster was killed notices at its next wait.
const GONE_WITHIN: Duration = Duration::from_mins(1);

/// Puts what `command` starts into a process group.
pub(super) fn join(command: &mut Command, group: Option<i32>) {
    if let Some(group) = group {
        command.process_group(group);
    }
}

/// A server about to be started.
pub(super) struct Launch<'a> {
    pub(super) command: Command,
    pub(super) data: &'a Path,
    pub(super) log: &'a Path,
}

impl Launch<'_> {
    /// Starts the server, and waits for what `pg_ctl` waits for: the word `ready` in `postmaster.pid`.
    pub(super) fn wait_until_ready(mut self) -> Result<Postmaster, Error> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log)
            .map_err(Error::because(format!("open {}", self.log.display())))?;
        let mut child = self
            .command
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(Error::because("start postgres"))?;
        let gone = end_of_output(&mut child);
        let mut postmaster = Postmaster { child, gone };
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = postmaster.child.try_wait() {
                return Err(self.failed(&format!("ended with {status}")));
            }
            if self.is_ready(postmaster.pid()) {
                return Ok(postmaster);
            }
            if start.elapsed() > READY_WITHIN {
                let _ = postmaster.kill();
                return Err(self.failed(&format!("was not ready within {READY_WITHIN:?}")));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_ready(&self, pid: u32) -> bool {
        let Ok(text) = fs::read_to_string(self.data.join("postmaster.pid")) else {
            return false;
        };
        let mut lines = text.lines();
        // The file of a killed predecessor says `ready` as well.
        lines.next() == Some(&pid.to_string())
            && lines.nth(6).is_some_and(|status| status.trim() == "ready")
    }

    fn failed(&self, how: &str) -> Error {
        let log = fs::read_to_string(self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        Error::new(format!("postgres {how}; its log ends:\n{last}"))
    }
}

/// A running server.
#[derive(Debug)]
pub(super) struct Postmaster {
    child: Child,
    gone: Receiver<()>,
}

impl Postmaster {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, then waits for the backends too: they outlive their postmaster by a moment, and until they are gone
    /// no new server can start on the data directory.
    pub(super) fn kill(mut self) -> Result<(), Error> {
        self.child
            .kill()
            .map_err(Error::because("kill the postmaster"))?;
        self.wait_until_gone()
    }

    pub(super) fn wait_until_gone(mut self) -> Result<(), Error> {
        self.child
            .wait()
            .map_err(Error::because("wait for the postmaster"))?;
        match self.gone.recv_timeout(GONE_WITHIN) {
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Error::new(format!(
                "a backend still runs {GONE_WITHIN:?} after its postmaster"
            ))),
            Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => Ok(()),
        }
    }
}

/// Every process of a server inherits its standard output and nothing is written there: its end is the end of them all.
fn end_of_output(child: &mut Child) -> Receiver<()> {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stdout) = child.stdout.take() {
        thread::spawn(move || {
            let _ = stdout.read_to_end(&mut Vec::new());
            let _ = sender.send(());
        });
    }
    receiver
}
