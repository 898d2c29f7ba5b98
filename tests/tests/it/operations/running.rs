//! The program while it runs.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pgmq_notify_tests::{TestDatabase, eventually};

use crate::harness::command_line;

pub(super) const SOON: Duration = Duration::from_secs(30);

/// A process of the program, and the lines that it has written so far. It is killed with the test.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    data: Lines,
    words: Lines,
}

#[derive(Clone, Debug, Default)]
struct Lines {
    written: Arc<Mutex<Vec<String>>>,
    /// Whether there will be no more.
    ended: Arc<AtomicBool>,
}

impl Lines {
    fn read(output: impl Read + Send + 'static) -> Self {
        let lines = Self::default();
        let Self { written, ended } = lines.clone();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                written
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
            ended.store(true, Ordering::Release);
        });
        lines
    }

    fn get(&self) -> Vec<String> {
        self.written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The program, connected to this database.
pub(super) fn command(database: &TestDatabase, arguments: &[&str]) -> Command {
    command_line::command(arguments, &[("DATABASE_URL", &database.url())])
}

/// Runs it to its end, without anything on its standard input.
pub(super) fn run(database: &TestDatabase, arguments: &[&str]) -> command_line::Ran {
    command_line::run(arguments, &[("DATABASE_URL", &database.url())])
}

impl Running {
    pub(super) fn start(database: &TestDatabase, arguments: &[&str]) -> Self {
        Self::of(&mut command(database, arguments))
    }

    pub(super) fn of(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        Self {
            data: Lines::read(child.stdout.take().expect("it is piped")),
            words: Lines::read(child.stderr.take().expect("it is piped")),
            child,
        }
    }

    /// The lines of its standard output.
    pub(super) fn data(&self) -> Vec<String> {
        self.data.get()
    }

    /// Those of standard error.
    pub(super) fn words(&self) -> Vec<String> {
        self.words.get()
    }

    /// Waits until standard error has a line with this text.
    #[track_caller]
    pub(super) fn says(&self, text: &str) -> impl Future<Output = ()> {
        let words = self.words.clone();
        let text = text.to_owned();
        eventually(SOON, move || {
            let seen = words.get();
            let found = seen.iter().any(|line| line.contains(&text));
            async move { if found { Ok(()) } else { Err(seen) } }
        })
    }

    /// Waits until standard output has so many lines.
    #[track_caller]
    pub(super) fn writes(&self, lines: usize) -> impl Future<Output = Vec<String>> {
        let data = self.data.clone();
        eventually(SOON, move || {
            let seen = data.get();
            async move {
                if seen.len() >= lines {
                    Ok(seen)
                } else {
                    Err(seen)
                }
            }
        })
    }

    /// Writes to its standard input.
    pub(super) fn type_in(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("it is open");
        input.write_all(text.as_bytes()).expect("it reads");
        input.flush().expect("it reads");
    }

    pub(super) fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// `-INT`, `-TERM`.
    pub(super) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill is installed").success());
    }

    /// Waits for its end.
    #[track_caller]
    pub(super) fn ends(&mut self) -> impl Future<Output = ExitStatus> {
        let child = &mut self.child;
        eventually(SOON, move || {
            let ended = child.try_wait().expect("it is our child");
            async move { ended }
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sessions of this database that a command has.
pub(super) async fn sessions(database: &TestDatabase, command: &str) -> i64 {
    sqlx::query_scalar(
        "select count(*) from pg_stat_activity where datname = current_database() and application_name like $1",
    )
    .bind(format!("%pgmq-notify {command}"))
    .fetch_one(database.pool())
    .await
    .expect("the server answers")
}

/// What it prints on a terminal so wide, all of it, escapes included; `typed` is what somebody types there.
#[cfg(target_os = "linux")]
pub(super) async fn on_terminal(
    database: &TestDatabase,
    columns: u16,
    environment: &[(&str, &str)],
    arguments: &str,
    while_it_runs: impl AsyncFnOnce(&mut Running),
) -> (Option<i32>, String) {
    let program = command_line::program().display().to_string();
    let script = format!("stty rows 24 cols {columns}; exec {program} {arguments}");
    let mut command = Command::new("script");
    command
        .args(["--quiet", "--return", "--command", &script, "/dev/null"])
        .env_remove("COLUMNS")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .env("DATABASE_URL", database.url())
        .envs(environment.iter().copied());
    let mut running = Running::of(&mut command);
    while_it_runs(&mut running).await;
    let status = running.ends().await;
    let data = eventually(SOON, || {
        let has_ended = running.data.ended.load(Ordering::Acquire);
        let text = running.data().join("\n");
        async move { has_ended.then_some(text) }
    });
    (status.code(), data.await)
}
