//! PgBouncer in front of a server.

mod program;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use super::{
    Server,
    account::Account,
    blocking,
    guard::Guard,
    local::{PORTS_TRIED, free_port, guarded_directory},
    postmaster,
};
use crate::{Error, TestDatabase, eventually::until};

/// Both signals, because the versions disagree about which of them means at once. Only the group is sure to be ours: the process
/// of an earlier pid file may be anybody's.
const CLEANUP: &str = r#"
kill -QUIT 0
kill -TERM 0
tries=0
until rm -rf "$1" || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.1; done
"#;

const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A PgBouncer in transaction mode that this test started: each transaction of a client runs on whichever connection to the server
/// is free.
///
/// It is Debian's package, found on the PATH or in `/usr/sbin`, or what `PGMQ_NOTIFY_TEST_PGBOUNCER` names. On a Debian or Ubuntu without it, `tests/servers/fetch` unpacks it
/// under `target`. It is gone when this value is dropped, or when the test process ends, however that ends.
#[derive(Debug)]
pub struct PgBouncer {
    server: Server,
    directory: PathBuf,
    port: u16,
    child: Child,
    guard: Guard,
}

impl PgBouncer {
    /// Starts one in front of a local server; returns when it has passed on a query.
    ///
    /// # Errors
    /// No PgBouncer can be had, with what to install; or it does not start, with its log; or the server is not a local one.
    pub async fn before(server: &Server) -> Result<Self, Error> {
        let options = server.maintenance();
        let account = server
            .local()
            .ok_or_else(|| server.not_ours())?
            .account()
            .cloned();
        let server = server.clone();
        let started = blocking(move || {
            let program = program::find(account.as_ref())?;
            start(&program, &server, &options, account.as_ref())
        });
        let mut pgbouncer = started.await?;
        pgbouncer.wait_until_it_answers().await?;
        Ok(pgbouncer)
    }

    /// How to connect to `database` through it, as superuser.
    ///
    /// Nothing but the port differs, as for a user who does not know of the pooler. A test that is to get through uses
    /// `sqlx::raw_sql`: a statement that sqlx prepares under a name may be on another connection the next time.
    pub fn options(&self, database: &TestDatabase) -> PgConnectOptions {
        database.options().port(self.port)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The directory that holds everything of it: settings, log.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    async fn wait_until_it_answers(&mut self) -> Result<(), Error> {
        let options = self.server.maintenance().port(self.port);
        let child = &mut self.child;
        let answers = until(ANSWERS_WITHIN, async || {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(Error::new(format!("pgbouncer ended with {status}")));
            }
            let Ok(mut connection) = PgConnection::connect_with(&options).await else {
                return Ok(false);
            };
            let answered = sqlx::raw_sql("select 1").execute(&mut connection).await;
            let _ = connection.close().await;
            Ok(answered.is_ok())
        });
        answers
            .await
            .map_err(Error::because("wait for an answer through pgbouncer"))
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.guard.finish();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Listens, or says why not.
fn start(
    program: &Path,
    server: &Server,
    options: &PgConnectOptions,
    account: Option<&Account>,
) -> Result<PgBouncer, Error> {
    let (guard, directory) = guarded_directory(CLEANUP, account)?;
    let mut attempts = 1..=PORTS_TRIED;
    loop {
        let port = free_port();
        configure(&directory, options, port).map_err(Error::because("configure pgbouncer"))?;
        let log = directory.join("log");
        let mut child = run(program, &directory, &log, account, &guard)?;
        match wait_until_it_listens(&mut child, &log) {
            Ok(()) => {
                return Ok(PgBouncer {
                    server: server.clone(),
                    directory,
                    port,
                    child,
                    guard,
                });
            }
            Err(said) => {
                let _ = (child.kill(), child.wait());
                if attempts.next().is_none() || !said.contains("already in use") {
                    return Err(Error::new(format!("pgbouncer did not start: {said}")));
                }
            }
        }
    }
}

/// Whoever may connect to the tests' server may do so through this.
fn configure(directory: &Path, options: &PgConnectOptions, port: u16) -> std::io::Result<()> {
    let users = directory.join("users");
    fs::write(&users, format!("\"{}\" \"\"\n", options.get_username()))?;
    let settings = format!(
        "[databases]
* = host={host} port={upstream}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
max_client_conn = 200
; sqlx sends it with each connection.
ignore_startup_parameters = extra_float_digits
; A server that comes back is to be found at once.
server_login_retry = 0.1
",
        host = options.get_host(),
        upstream = options.get_port(),
        users = users.display(),
    );
    fs::write(directory.join("settings"), settings)
}

fn run(
    program: &Path,
    directory: &Path,
    log: &Path,
    account: Option<&Account>,
    guard: &Guard,
) -> Result<Child, Error> {
    let failed = || Error::because("start pgbouncer");
    // Of this attempt alone.
    let log = File::create(log).map_err(failed())?;
    let mut command = program::command(program, account);
    postmaster::join(&mut command, guard.group());
    command
        .arg("settings")
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().map_err(failed())
}

/// It says so in its log, once it does.
fn wait_until_it_listens(child: &mut Child, log: &Path) -> Result<(), String> {
    let start = std::time::Instant::now();
    loop {
        let said = fs::read_to_string(log).unwrap_or_default();
        if said.contains("process up") {
            return Ok(());
        }
        if !matches!(child.try_wait(), Ok(None)) || start.elapsed() > ANSWERS_WITHIN {
            return Err(fs::read_to_string(log).unwrap_or(said));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
