//! Nothing stays, however a test process ends.

use std::{
    env,
    io::{self, BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use pgmq_notify_tests::{PgBouncer, Server, Settings, Stop, TestDatabase, Way, eventually};
use sqlx::{Connection as _, PgConnection};

const SOON: Duration = Duration::from_secs(30);

/// Set for the process that a test starts in order to kill it.
const TO_BE_KILLED: &str = "PGMQ_NOTIFY_TEST_TO_BE_KILLED";

/// Is this process there, other than as a zombie that nobody has waited for?
pub(super) fn runs(pid: &str) -> bool {
    let signalled = Command::new("kill")
        .args(["-0", pid])
        .stderr(Stdio::null())
        .status();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    signalled.is_ok_and(|status| status.success()) && !stat.contains(") Z ")
}

/// A test process of its own, with an own server, a standby and a PgBouncer of that, and a database on the shared server, seen
/// from outside.
struct Process {
    child: Child,
    pids: Vec<String>,
    directories: Vec<String>,
    database: String,
}

impl Process {
    /// Runs this binary's test of SIGKILL in its other role, and waits until its server runs.
    fn start() -> Self {
        let mut child = Command::new(env::current_exe().expect("the test binary"))
            .args([
                "--exact",
                "harness::leftovers::a_test_process_killed_by_sigkill_leaves_no_process_and_no_directory",
                "--nocapture",
            ])
            .env(TO_BE_KILLED, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start a test process");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let said = lines
            .map_while(Result::ok)
            .find_map(|line| line.split_once("runs: ").map(|(_, said)| said.to_owned()));
        let said = said.expect("the test process says what it runs");
        let mut words = said.split(' ').map(ToOwned::to_owned);
        let (pids, database) = words
            .next()
            .zip(words.next())
            .expect("processes and a database");
        let pids: Vec<_> = pids.split(',').map(ToOwned::to_owned).collect();
        let directories: Vec<_> = words.collect();
        assert!(
            pids.iter().all(|pid| runs(pid)) && directories.iter().all(|it| Path::new(it).is_dir()),
            "{said}"
        );
        Self {
            child,
            pids,
            directories,
            database,
        }
    }

    fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(kill.expect("run kill").success());
    }

    async fn leaves_nothing(mut self) {
        self.child.wait().expect("wait for the test process");
        let shared = Server::shared().await.expect("a server to ask");
        eventually(SOON, || async {
            let directories: Vec<_> = self
                .directories
                .iter()
                .filter(|it| Path::new(it).exists())
                .collect();
            let databases = databases_beside(&shared, &self.database).await;
            let processes: Vec<_> = self.pids.iter().filter(|pid| runs(pid)).collect();
            match (processes, directories, databases) {
                (processes, directories, None)
                    if processes.is_empty() && directories.is_empty() =>
                {
                    Ok(())
                }
                left => Err(left),
            }
        })
        .await;
    }
}

/// What is left of the databases that a process made on the shared server: on a given one, they must be dropped, the others
/// must go as a whole. A local server's directory is looked at anyway.
async fn databases_beside(shared: &Server, database: &str) -> Option<String> {
    let prefix = database
        .rsplit_once('_')
        .map_or(database, |(prefix, _)| prefix);
    let left = match shared.way() {
        Way::Url => sqlx::query_scalar(
            "select coalesce(string_agg(datname, ' '), '') from pg_database where starts_with(datname, $1)",
        )
        .bind(prefix)
        .fetch_one(&mut PgConnection::connect(&shared.url("postgres")).await.expect("connect"))
        .await
        .expect("look for databases"),
        Way::Container => {
            // Named like the databases in it.
            let filter = format!("name={prefix}");
            let docker = Command::new("docker").args(["ps", "-aq", "--filter", &filter]).output();
            String::from_utf8_lossy(&docker.expect("ask docker").stdout).trim().to_owned()
        }
        _ => String::new(),
    };
    Some(left).filter(|left| !left.is_empty())
}

/// The process to be killed. It ends at once when nobody holds its standard input.
async fn run_until_killed() {
    let server = Server::start(Settings::new()).await.unwrap();
    let database = TestDatabase::new().await;
    database.run("select 1").await.unwrap();
    let standby = server.standby().await.unwrap();
    let pgbouncer = PgBouncer::before(&server).await.unwrap();
    let directories = [&server, &standby, database.server()].into_iter();
    let directories = directories.filter_map(Server::directory);
    let directories = directories.chain([pgbouncer.directory().to_owned()]);
    let directories: Vec<_> = directories.map(|it| it.display().to_string()).collect();
    let mut stdout = io::stdout().lock();
    writeln!(
        stdout,
        "runs: {},{},{} {} {}",
        server.pid().unwrap(),
        standby.pid().unwrap(),
        pgbouncer.pid(),
        database.name(),
        directories.join(" ")
    )
    .unwrap();
    stdout.flush().unwrap();
    let _ = io::stdin().lines().next();
}

#[tokio::test]
async fn a_test_process_killed_by_sigkill_leaves_no_process_and_no_directory() {
    if env::var_os(TO_BE_KILLED).is_some() {
        return run_until_killed().await;
    }
    let process = Process::start();
    process.signal("KILL");
    process.leaves_nothing().await;
}

#[tokio::test]
async fn a_test_process_ended_by_ctrl_c_leaves_no_process_and_no_directory() {
    let process = Process::start();
    process.signal("INT");
    process.leaves_nothing().await;
}

#[tokio::test]
async fn an_own_server_is_gone_when_its_last_handle_is() {
    for end in ["running", "stopped", "killed"] {
        let server = Server::start(Settings::new()).await.unwrap();
        let (pid, directory) = (server.pid().unwrap(), server.directory().unwrap());
        let database = TestDatabase::create(&server, None).await.unwrap();
        match end {
            "stopped" => server.stop(Stop::Fast).await.unwrap(),
            "killed" => server.kill().await.unwrap(),
            _ => {}
        }
        drop(server);
        assert!(directory.exists(), "the database is a handle too");
        drop(database);
        assert!(!runs(&pid.to_string()), "{end}");
        assert!(!directory.exists(), "{end}");
    }
}

#[test]
fn without_any_server_a_test_fails_and_says_what_to_install() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "harness::server::the_shared_server_answers"])
        .env("PGMQ_NOTIFY_TEST_WAY", "local")
        .env("PGMQ_NOTIFY_TEST_BIN", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success());
    assert!(said.contains("apt install postgresql"), "{said}");
    assert!(
        said.contains("looked in /nonexistent: no initdb, postgres, pg_ctl"),
        "{said}"
    );
}
