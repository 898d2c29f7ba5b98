//! Workers in processes of their own.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pgmq_notify_tests::{TestDatabase, eventually};

use super::SOON;
use super::record::{Handling, Record, Run};

/// How a worker is started.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) mode: &'static str,
    pub(super) handlers: usize,
    pub(super) visibility_timeout: Duration,
    /// How long a handler takes, drawn between these.
    pub(super) work: (Duration, Duration),
}

/// A process with a consumer of `orders_queue`. It ends with this value, or with the test's process.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    /// Its end is the end of the worker.
    input: Option<ChildStdin>,
    reader: Option<JoinHandle<()>>,
    said: Arc<Mutex<Said>>,
}

/// What it said apart from the runs of its handlers.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    is_ready: bool,
    /// The messages that it lost while their handlers ran.
    pub(super) lost: Vec<i64>,
    pub(super) refused: Vec<i64>,
    /// Done, lost and unsettled, when it left.
    pub(super) stats: Option<(u64, u64, u64)>,
}

impl Worker {
    /// `number` is what the record calls it.
    pub(super) fn start(
        database: &TestDatabase,
        settings: Settings,
        number: usize,
        record: &Record,
    ) -> Self {
        let Settings {
            mode,
            handlers,
            visibility_timeout,
            work,
        } = settings;
        let mut child = Command::new(env!("CARGO_BIN_EXE_worker"))
            .args([&database.url(), "orders_queue", mode])
            .arg(handlers.to_string())
            .arg(visibility_timeout.as_secs().to_string())
            .arg(work.0.as_millis().to_string())
            .arg(work.1.as_millis().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the worker was built with this test");
        let output = child.stdout.take().expect("it is piped");
        let said = Arc::new(Mutex::new(Said::default()));
        let reader = {
            let (said, record) = (Arc::clone(&said), record.clone());
            thread::spawn(move || {
                let mut runs = HashMap::new();
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    hear(&line, number, &mut said, &record, &mut runs);
                }
            })
        };
        Self {
            input: child.stdin.take(),
            child,
            reader: Some(reader),
            said,
        }
    }

    pub(super) fn said(&self) -> Said {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) async fn ready(&self) {
        eventually(SOON, || async { self.said().is_ready }).await;
    }

    /// SIGKILL. Returns from when on it was dead for certain, once all that it said is heard.
    pub(super) fn kill(mut self) -> SystemTime {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
        let dead = SystemTime::now();
        self.join();
        dead
    }

    /// SIGSTOP.
    pub(super) fn stop(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub(super) fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill is installed").success());
    }

    /// Asks it to shut down, and waits for its end.
    pub(super) async fn leave(mut self) -> Said {
        if let Some(input) = &mut self.input {
            input.write_all(b"leave\n").expect("it reads");
        }
        eventually(SOON, || {
            let left = self.child.try_wait().expect("it is our child").is_some();
            async move { left }
        })
        .await;
        self.join();
        self.said()
    }

    fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader does not panic");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hear(
    line: &str,
    worker: usize,
    said: &mut Said,
    record: &Record,
    runs: &mut HashMap<(i64, i64), Run>,
) {
    let mut words = line.split(' ');
    let what = words.next().unwrap_or_default();
    let numbers: Vec<i64> = words
        .map(|it| {
            it.parse()
                .unwrap_or_else(|error| panic!("{line:?}: {error}"))
        })
        .collect();
    match (what, &numbers[..]) {
        ("ready", []) => said.is_ready = true,
        ("stats", &[done, lost, unsettled]) => {
            said.stats = Some((
                done.unsigned_abs(),
                lost.unsigned_abs(),
                unsettled.unsigned_abs(),
            ));
        }
        (_, &[msg_id, attempt, micros]) => {
            let at = UNIX_EPOCH + Duration::from_micros(micros.unsigned_abs());
            match what {
                "begun" => {
                    let run = record.begun(Handling {
                        worker,
                        msg_id,
                        begun: at,
                        ended: None,
                    });
                    runs.insert((msg_id, attempt), run);
                }
                "ended" => record.end(runs[&(msg_id, attempt)], at),
                "lost" => said.lost.push(msg_id),
                "refused" => said.refused.push(msg_id),
                _ => panic!("{line:?}"),
            }
        }
        _ => panic!("{line:?}"),
    }
}
