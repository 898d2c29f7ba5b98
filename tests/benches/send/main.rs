//! How many messages per second senders get through, by who publishes them; alone, and beside somebody who handles them.
//!
//! Rates are compared as medians of short turns: in every round each way has one turn with each number of senders, in
//! an order drawn anew, so that whatever else the machine does meets all of them.

mod attached;
mod lane;
#[path = "../support/mod.rs"]
mod support;
mod way;

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use lane::{Lane, Turn};
use support::{
    BATCH, BODY, Chart, Environment, Failure, Flush, Line, Options, Panel, Sample, Table, ratio,
    shuffled,
};
use way::{By, Way};

/// The ways that others are compared with, by their place among those that send alone.
const BARE: usize = 0;
const ONE_NOTIFY: usize = 1;

/// What a chart shows beside the disk as it is, unless another delay is asked for.
const SLOW_FLUSH: Duration = Duration::from_micros(1500);

fn main() -> ExitCode {
    support::main_of(
        "send",
        "Messages per second, by who publishes them.",
        |options| {
            tokio::runtime::Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(run(options))
        },
    )
}

/// How often, how long, and how many.
struct Plan {
    quick: bool,
    rounds: u32,
    length: Duration,
    columns: Vec<(usize, By)>,
}

async fn run(mut options: Options) -> Result<String, Failure> {
    let quick = options.quick;
    let chart = options.chart.take();
    let senders = options.senders.unwrap_or_else(|| match (quick, &chart) {
        (true, _) => vec![1, 8],
        (false, None) => vec![1, 8, 32],
        (false, Some(_)) => vec![1, 2, 4, 8, 16, 32],
    });
    let with = |by| senders.iter().map(move |senders| (*senders, by));
    let plan = Plan {
        quick,
        rounds: options.rounds.unwrap_or(if quick { 1 } else { 16 }),
        length: options
            .slice
            .unwrap_or(Duration::from_millis(if quick { 60 } else { 300 })),
        columns: match chart {
            None => with(By::One).chain(with(By::Batch)).collect(),
            Some(_) => with(By::One).collect(),
        },
    };
    match chart {
        None => print(&plan, options.flush).await,
        Some(file) => draw(&plan, senders, options.flush, &file).await,
    }
}

async fn print(plan: &Plan, flush: Flush) -> Result<String, Failure> {
    let environment = Environment::start(flush).await?;
    let mut report = environment.describe().await?;
    let alone = Way::alone();
    let count = alone.len();
    let ways = alone.into_iter().chain(Way::consumed()).collect();
    let results = measure(plan, &environment, ways).await?;
    let (alone, consumed) = results.split_at(count);
    writeln!(
        report,
        "\nrounds: {}, each turn {} ms; message of {} bytes",
        plan.rounds,
        plan.length.as_millis(),
        BODY.len()
    )?;
    for (column, (senders, by)) in plan.columns.iter().enumerate() {
        let plural = if *senders == 1 { "" } else { "s" };
        write!(report, "\n{senders} sender{plural}")?;
        match by {
            By::One => writeln!(report)?,
            By::Batch => writeln!(report, ", batches of {BATCH}")?,
        }
        write!(report, "{}", alone_table(alone, column))?;
        write!(report, "\n{}", consumed_table(consumed, column))?;
    }
    Ok(report)
}

async fn draw(
    plan: &Plan,
    senders: Vec<usize>,
    flush: Flush,
    file: &Path,
) -> Result<String, Failure> {
    let slow = match flush {
        Flush::Disk => Flush::Delayed(SLOW_FLUSH),
        other => other,
    };
    let mut report = String::new();
    let mut panels = Vec::new();
    for flush in [Flush::Disk, slow] {
        let environment = Environment::start(flush).await?;
        let described = environment.describe().await?;
        let results = measure(plan, &environment, Way::consumed()).await?;
        let (_, title) = described.rsplit_once(", ").ok_or("no word of the flush")?;
        panels.push(Panel {
            title: title.to_owned(),
            lines: results.iter().filter_map(Measured::line).collect(),
        });
        writeln!(report, "{described}\n{}", drawn_table(&results, &senders))?;
    }
    let chart = Chart {
        unit: "messages a second".to_owned(),
        senders,
        panels,
    };
    let file = in_repository(file);
    fs::write(&file, chart.svg()?)?;
    writeln!(report, "drawn: {}", file.display())?;
    Ok(report)
}

/// Cargo runs benchmarks in the directory of their package, which is not where the command was given.
fn in_repository(file: &Path) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file)
}

/// What was measured of one way, by column.
struct Measured {
    way: Way,
    turns: Vec<Vec<Turn>>,
}

impl Measured {
    fn sent(&self, column: usize) -> Sample {
        Sample::new(self.turns[column].iter().map(|turn| turn.sent))
    }

    /// What is left of a second's messages when it is handled as they are sent; `None` where nobody handles.
    fn handled(&self, column: usize) -> Option<Sample> {
        let handled: Option<Vec<f64>> =
            self.turns[column].iter().map(|turn| turn.handled).collect();
        handled.map(Sample::new)
    }

    fn line(&self) -> Option<Line> {
        let columns = 0..self.turns.len();
        self.way.ink.map(|ink| Line {
            name: self.way.name.to_owned(),
            ink,
            values: columns.map(|column| self.sent(column).median()).collect(),
        })
    }
}

async fn measure(
    plan: &Plan,
    environment: &Environment,
    ways: Vec<Way>,
) -> Result<Vec<Measured>, Failure> {
    let most = plan.columns.iter().map(|(senders, _)| *senders).max();
    let mut lanes = Vec::new();
    for way in ways {
        lanes.push(Lane::open(way, environment, most.unwrap_or(1)).await?);
    }
    let mut turns = vec![vec![Vec::new(); plan.columns.len()]; lanes.len()];
    for round in 0..plan.rounds {
        if !plan.quick {
            let number = round + 1;
            writeln!(std::io::stderr(), "send: round {number} of {}", plan.rounds)?;
        }
        for (column, (senders, by)) in plan.columns.iter().enumerate() {
            for place in shuffled(lanes.len(), round) {
                let turn = lanes[place].turn(*senders, *by, plan.length).await?;
                turns[place][column].push(turn);
            }
        }
    }
    let mut results = Vec::new();
    for (lane, turns) in lanes.into_iter().zip(turns) {
        results.push(Measured {
            way: lane.way.clone(),
            turns,
        });
        lane.close().await?;
    }
    Ok(results)
}

fn alone_table(results: &[Measured], column: usize) -> Table {
    let rates: Vec<Sample> = results.iter().map(|it| it.sent(column)).collect();
    let mut table = Table::new([
        "way",
        "messages/s",
        "lowest",
        "highest",
        "× bare",
        "× one pg_notify",
    ]);
    for (result, rate) in results.iter().zip(&rates) {
        table.row([
            result.way.name.to_owned(),
            format!("{:.0}", rate.median()),
            format!("{:.0}", rate.min()),
            format!("{:.0}", rate.max()),
            format!("{:.2}", ratio(rate, &rates[BARE])),
            format!("{:.2}", ratio(rate, &rates[ONE_NOTIFY])),
        ]);
    }
    table
}

fn consumed_table(results: &[Measured], column: usize) -> Table {
    let rates: Vec<Sample> = results.iter().map(|it| it.sent(column)).collect();
    let mut table = Table::new([
        "way, and who handles",
        "messages/s",
        "lowest",
        "highest",
        "× bare",
        "handled/s",
    ]);
    for (result, rate) in results.iter().zip(&rates) {
        table.row([
            result.way.name.to_owned(),
            format!("{:.0}", rate.median()),
            format!("{:.0}", rate.min()),
            format!("{:.0}", rate.max()),
            format!("{:.2}", ratio(rate, &rates[BARE])),
            result
                .handled(column)
                .map_or_else(String::new, |handled| format!("{:.0}", handled.median())),
        ]);
    }
    table
}

/// Rates by the number of senders, and beside each what it is of the first way's.
fn drawn_table(results: &[Measured], senders: &[usize]) -> Table {
    let mut head = vec!["way, and who handles".to_owned()];
    for senders in senders {
        head.extend([senders.to_string(), "× bare".to_owned()]);
    }
    let mut table = Table::new(head.iter().map(String::as_str));
    for result in results {
        let mut cells = vec![result.way.name.to_owned()];
        for column in 0..senders.len() {
            let rate = result.sent(column);
            let bare = results[BARE].sent(column);
            cells.push(format!("{:.0}", rate.median()));
            cells.push(format!("{:.2}", ratio(&rate, &bare)));
        }
        table.row(cells);
    }
    table
}
