//! What the benchmarks share: their command line, a server and a database per way of sending, statistics and tables.
//!
//! No framework: what is compared here runs concurrently (senders on many connections) or takes its two times in two
//! threads (a call and an event), and must be interleaved between databases, because neighbours, caches and the disk
//! change more within a minute than the ways differ. Criterion measures one closure after the other.
//!
//! It is also compiled as a test by itself, because a benchmark without the usual harness runs no unit tests.
#![allow(
    dead_code,
    unused_imports,
    reason = "each benchmark is a crate of its own that uses a part of this, and leaves out its tests"
)]

mod chart;
mod deliveries;
mod environment;
mod options;
mod processor;
mod publisher;
mod receiver;
mod statistics;
mod table;

pub(crate) use chart::{Chart, Ink, Line, Panel};
pub(crate) use deliveries::Deliveries;
pub(crate) use environment::Environment;
pub(crate) use options::{Flush, Options, Request};
pub(crate) use processor::processor_time;
pub(crate) use publisher::{Publisher, Queue};
pub(crate) use receiver::{Receiver, Report};
pub(crate) use statistics::{Sample, ratio};
pub(crate) use table::Table;

/// Whatever stops a benchmark.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The queue that every database has.
pub(crate) const QUEUE: &str = "orders_queue";

/// A small order: 118 bytes as PostgreSQL prints it.
pub(crate) const BODY: &str = r#"{"order": 48151, "customer": "c-16234", "lines": [{"sku": "A-42", "count": 2}, {"sku": "B-7", "count": 1}], "eur": 99}"#;

/// How many messages a batch has.
pub(crate) const BATCH: u32 = 100;

/// `count` in an order that differs from round to round, and is the same in every run.
pub(crate) fn shuffled(count: usize, round: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    fastrand::Rng::with_seed(u64::from(round)).shuffle(&mut order);
    order
}

/// Reads the command line and, unless it asks for help or is wrong, runs the benchmark.
pub(crate) fn main_of<Run>(name: &str, about: &str, run: Run) -> std::process::ExitCode
where
    Run: FnOnce(Options) -> Result<String, Failure>,
{
    use std::{io::Write as _, process::ExitCode};

    match Request::parse(std::env::args().skip(1)) {
        Ok(Request::Help) => {
            let _ = writeln!(std::io::stdout(), "{about}\n\n{}", options::HELP);
            ExitCode::SUCCESS
        }
        Ok(Request::Run(options)) => match run(options) {
            Ok(report) => {
                let _ = writeln!(std::io::stdout(), "{name}: {report}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                let _ = writeln!(std::io::stderr(), "{name}: {error:?}");
                ExitCode::FAILURE
            }
        },
        Err(problem) => {
            let _ = writeln!(
                std::io::stderr(),
                "{name}: {problem}\nhint: the options are in --help"
            );
            ExitCode::from(2)
        }
    }
}
