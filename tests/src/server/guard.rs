//! Cleaning up whatever happens to the test process.
//!
//! A guard is a shell that waits for the end of its standard input. This process holds the other end of that pipe, and
//! the kernel closes it when the process ends, be it by a return, a panic, Ctrl-C or SIGKILL. `Drop` alone would not do: it
//! does not run for a static, nor after a signal.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, ChildStdin, Command, Stdio},
};

use super::account::Account;
use crate::Error;

/// Runs before the clean-up. Its own process group and the traps keep it alive through a Ctrl-C at the terminal.
const WAIT: &str = r"
echo ready
exec >/dev/null 2>&1
while read -r _; do :; done
";

/// A process that cleans up once this one is gone, or once it is dropped.
#[derive(Debug)]
pub(super) struct Guard {
    child: Child,
    held: Option<ChildStdin>,
}

impl Guard {
    /// Runs `setup`, then waits for the end of this process, then runs `cleanup`. Both are `sh`, with `arguments` as `$1`
    /// and so on.
    ///
    /// What is to be cleaned up is made in `setup`: so there is no moment in which it exists unguarded.
    pub(super) fn start<S: AsRef<OsStr>>(
        setup: &str,
        cleanup: &str,
        arguments: &[S],
        account: Option<&Account>,
    ) -> Result<Self, Error> {
        let script = format!("trap '' HUP INT QUIT TERM\nexec 2>&1\n{setup}\n{WAIT}\n{cleanup}\n");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script, "pgmq-notify-test-guard"])
            .args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        command.current_dir("/").process_group(0);
        if let Some(account) = account {
            account.apply(&mut command);
        }
        let mut child = command
            .spawn()
            .map_err(Error::because("start the guard process"))?;
        let held = child.stdin.take();
        let mut said = String::new();
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = BufReader::new(stdout);
            let _ = stdout.read_line(&mut said);
            if said == "ready\n" {
                return Ok(Self { child, held });
            }
            let _ = stdout.read_to_string(&mut said);
        }
        let _ = child.wait();
        Err(Error::new(said.trim()))
    }

    /// Processes put into this group are ended by a `kill 0` in the guard's script.
    pub(super) fn group(&self) -> Option<i32> {
        self.child.id().try_into().ok()
    }

    /// Cleans up now, and returns when that is done.
    pub(super) fn finish(&mut self) {
        drop(self.held.take());
        let _ = self.child.wait();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.finish();
    }
}
