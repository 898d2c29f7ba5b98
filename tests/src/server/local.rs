//! A server of our own, from programs on this machine.

use std::{
    env, fs,
    path::{self, Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use sqlx::postgres::PgConnectOptions;

use super::{
    Settings, Stop,
    account::Account,
    binaries::Binaries,
    guard::Guard,
    postmaster::{Launch, Postmaster},
};
use crate::Error;

/// `$1` is the server's directory. It is made by the account that is to own it, in a place that this account can enter.
const SETUP: &str = r#"mkdir -m 700 "$1" || exit 1"#;

/// To the group, the signal means an immediate stop; it also ends an `initdb`, or a server too young for a pid file. Waiting
/// is not left to `pg_ctl`, which looks only ten times a second. Only a killed server leaves a pid file behind, and with it
/// the System V segment named in its seventh line.
const CLEANUP: &str = r#"
kill -QUIT 0
tries=0
while pid=$(head -n 1 "$1/data/postmaster.pid") && kill -0 "$pid"; do
    tries=$((tries + 1))
    [ $tries -ne 500 ] || kill -KILL "$pid"
    sleep 0.02
done
segment=$(sed -n 7p "$1/data/postmaster.pid")
[ -z "$segment" ] || ipcrm -m "${segment##* }"
tries=0
until rm -rf "$1" || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.1; done
"#;

/// Below every system's range of ephemeral ports: an outgoing connection must not take the port while the server is down.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// How often a start is tried when somebody else took the port first.
pub(super) const PORTS_TRIED: u32 = 10;

/// The data directory, and the server process on it while one runs.
#[derive(Debug)]
pub(super) struct Local {
    binaries: Binaries,
    account: Option<Account>,
    directory: PathBuf,
    port: u16,
    state: Mutex<State>,
    guard: Guard,
}

#[derive(Debug)]
struct State {
    settings: Settings,
    running: Option<Postmaster>,
}

impl Local {
    /// Makes a cluster and starts its server. Blocks for about a second.
    pub(super) fn start(
        binaries: Binaries,
        account: Option<Account>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let mut local = Self::without_data(binaries, account, settings)?;
        local.initdb("C.UTF-8").or_else(|_| local.initdb("C"))?;
        local.start_on_a_free_port()?;
        Ok(local)
    }

    /// Runs a streaming standby of this server, from a copy of its data. Blocks for a second or two.
    ///
    /// A replication slot makes this server keep what the standby has not got yet, also while one of them is down.
    pub(super) fn standby(&self) -> Result<Self, Error> {
        let settings = self.state().settings.clone();
        let mut standby =
            Self::without_data(self.binaries.clone(), self.account.clone(), settings)?;
        let slot = format!("standby_{:08x}", fastrand::u32(..));
        let mut copy = standby.command("pg_basebackup");
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .args(["--create-slot", "--slot", &slot])
            .args(["--host=127.0.0.1", "--username=postgres", "--no-password"])
            .arg(format!("--port={}", self.port))
            .arg("-D")
            .arg(standby.data());
        run(copy, "pg_basebackup")?;
        standby.start_on_a_free_port()?;
        Ok(standby)
    }

    /// A directory, and the guard that cleans it up.
    fn without_data(
        binaries: Binaries,
        account: Option<Account>,
        settings: Settings,
    ) -> Result<Self, Error> {
        let (guard, directory) = guarded_directory(CLEANUP, account.as_ref())?;
        Ok(Self {
            binaries,
            account,
            directory,
            port: 0,
            state: Mutex::new(State {
                settings,
                running: None,
            }),
            guard,
        })
    }

    fn start_on_a_free_port(&mut self) -> Result<(), Error> {
        for attempt in 1.. {
            self.port = free_port();
            match self.start_again() {
                Err(error) if attempt < PORTS_TRIED && self.port_was_taken() => drop(error),
                result => return result,
            }
        }
        unreachable!("the loop above only ends by returning")
    }

    fn initdb(&self, locale: &str) -> Result<(), Error> {
        let mut initdb = self.command("initdb");
        initdb.args([
            "--username=postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--no-sync",
            "--locale",
            locale,
        ]);
        initdb.arg("-D").arg(self.data());
        run(initdb, "initdb")
    }

    /// Starts the server on its data directory, unless it runs; returns when it accepts connections.
    pub(super) fn start_again(&self) -> Result<(), Error> {
        let mut state = self.state();
        if state.running.is_none() {
            let mut command = self.command("postgres");
            command
                .arg("-D")
                .arg(self.data())
                .args(state.settings.arguments());
            for (name, value) in [
                ("listen_addresses", "127.0.0.1".as_ref()),
                ("port", self.port.to_string().as_ref()),
                ("unix_socket_directories", self.directory.as_os_str()),
            ] {
                let mut setting = std::ffi::OsString::from(name);
                setting.push("=");
                setting.push(value);
                command.arg("-c").arg(setting);
            }
            let launch = Launch {
                command,
                data: &self.data(),
                log: &self.log(),
            };
            state.running = Some(launch.wait_until_ready()?);
        }
        Ok(())
    }

    /// Stops the server and returns when its last process is gone.
    pub(super) fn stop(&self, how: Stop) -> Result<(), Error> {
        let mut state = self.state();
        let Some(running) = state.running.take() else {
            return Ok(());
        };
        let mut pg_ctl = self.command("pg_ctl");
        pg_ctl
            .args(["stop", "-w", "-t", "60", "-m", how.mode(), "-D"])
            .arg(self.data());
        match run(pg_ctl, "pg_ctl stop") {
            Ok(()) => running.wait_until_gone(),
            Err(error) => {
                state.running = Some(running);
                Err(error)
            }
        }
    }

    /// SIGKILL to the postmaster; returns when its last process is gone.
    pub(super) fn kill(&self) -> Result<(), Error> {
        let running = self.state().running.take();
        running.map_or(Ok(()), Postmaster::kill)
    }

    pub(super) fn set(&self, settings: Settings) {
        self.state().settings = settings;
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.state().running.as_ref().map(Postmaster::pid)
    }

    pub(super) fn options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(self.port)
            .username("postgres")
            .password("")
    }

    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn binaries(&self) -> &Path {
        self.binaries.directory()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn port_was_taken(&self) -> bool {
        fs::read_to_string(self.log()).is_ok_and(|log| log.contains("could not bind"))
    }

    /// A program of the server, in the guard's process group.
    fn command(&self, program: &str) -> Command {
        let mut command = self.binaries.command(program, self.account.as_ref());
        super::postmaster::join(&mut command, self.guard.group());
        command.current_dir(&self.directory).stdin(Stdio::null());
        command
    }

    /// A test that panicked while it held the lock has not made the state wrong.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.guard.finish();
        if let Some(running) = self.state().running.take() {
            let _ = running.kill();
        }
    }
}

/// A new directory of the account's own, in the first place where it may have one.
///
/// `cleanup` runs with the directory as `$1`, and removes it.
pub(super) fn guarded_directory(
    cleanup: &str,
    account: Option<&Account>,
) -> Result<(Guard, PathBuf), Error> {
    let name = format!("pgmq-notify-{:08x}", fastrand::u32(..));
    let mut refused = Vec::new();
    for place in [
        path::absolute(env::temp_dir()).unwrap_or_default(),
        "/tmp".into(),
        "/dev/shm".into(),
    ] {
        let directory = place.join(&name);
        match Guard::start(SETUP, cleanup, &[&directory], account) {
            Ok(guard) => return Ok((guard, directory)),
            Err(error) => refused.push(error.to_string()),
        }
    }
    Err(Error::new(format!(
        "no place for a data directory: {}",
        refused.join("; ")
    )))
}

/// A port that was free a moment ago. Another process may take it first, so the start is tried again.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Runs to the end; the error is what the program said.
fn run(mut command: Command, name: &str) -> Result<(), Error> {
    let output = command
        .output()
        .map_err(Error::because(format!("run {name}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!(
        "{name} failed ({}): {}",
        output.status,
        said.trim()
    )))
}
