//! What it costs a sender to find out that nobody has to be told of its message, by where that is written.
//!
//! The loaded case of wake-up delivery: a consumer looks into the queue by itself, has said so, and each sender's
//! trigger looks for that instead of notifying. Senders are loops on the server, so that neither round trips nor the
//! client hide what a look costs; with a flush for each transaction and many senders, what little is left of it. The
//! candidates take turns as in `send`.

mod candidate;
mod lane;
#[path = "../support/mod.rs"]
mod support;

use std::{fmt::Write as _, io::Write as _, iter, process::ExitCode, time::Duration};

use candidate::Candidate;
use lane::{By, Lane};
use support::{BODY, Environment, Failure, Options, Sample, Table, ratio, shuffled};

/// What the others are compared with, by its place in [`Candidate::all`].
const BARE: usize = 0;

fn main() -> ExitCode {
    let about = "What a look for a lease costs a sender, by what holds the lease.";
    support::main_of("lease", about, |options| {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?
            .block_on(run(options))
    })
}

/// What was measured of one way to send, by candidate and in its turns.
struct Column {
    by: By,
    senders: Senders,
    per_second: Vec<Vec<f64>>,
    /// Microseconds.
    processor: Vec<Vec<f64>>,
}

#[derive(Debug, Clone, Copy)]
enum Senders {
    /// One, and all of its messages are one transaction.
    AtOnce,
    /// So many, with a transaction for each message.
    Each(usize),
}

impl Column {
    fn new(by: By, senders: Senders, candidates: usize) -> Self {
        Self {
            by,
            senders,
            per_second: vec![Vec::new(); candidates],
            processor: vec![Vec::new(); candidates],
        }
    }
}

async fn run(options: Options) -> Result<String, Failure> {
    let quick = options.quick;
    let rounds = options.rounds.unwrap_or(if quick { 1 } else { 16 });
    let length = options
        .slice
        .unwrap_or(Duration::from_millis(if quick { 20 } else { 300 }));
    let senders = options
        .senders
        .unwrap_or_else(|| if quick { vec![1, 4] } else { vec![1, 8, 32] });
    let messages = options.messages.unwrap_or(if quick { 100 } else { 2000 });

    let environment = Environment::start(options.flush).await?;
    let mut report = environment.describe().await?;
    let most = senders.iter().copied().max().unwrap_or(1);
    let mut lanes = Vec::new();
    for candidate in Candidate::all() {
        lanes.push(Lane::open(candidate, &environment, most).await?);
    }
    let mut columns = Vec::new();
    for by in By::ALL {
        let each = senders.iter().copied().map(Senders::Each);
        let all = iter::once(Senders::AtOnce).chain(each);
        columns.extend(all.map(|senders| Column::new(by, senders, lanes.len())));
    }
    for round in 0..rounds {
        if !quick {
            writeln!(std::io::stderr(), "lease: round {} of {rounds}", round + 1)?;
        }
        for column in &mut columns {
            for place in shuffled(lanes.len(), round) {
                let lane = &mut lanes[place];
                let processor = match column.senders {
                    Senders::AtOnce => lane.at_once(column.by, messages).await?,
                    Senders::Each(senders) => {
                        let turn = lane.transactions(column.by, senders, length).await?;
                        column.per_second[place].push(turn.per_second);
                        turn.processor
                    }
                };
                column.processor[place].extend(processor);
            }
        }
    }
    writeln!(
        report,
        "\nrounds: {rounds}, each turn {} ms, or {messages} messages in one transaction; message of {} bytes",
        length.as_millis(),
        BODY.len()
    )?;
    for by in By::ALL {
        let columns: Vec<&Column> = columns.iter().filter(|column| column.by == by).collect();
        let (name, rates, times) = (by.name(), rates(&lanes, &columns), times(&lanes, &columns));
        write!(
            report,
            "\n{name}: messages a second, by number of senders\n{rates}"
        )?;
        write!(report, "\n{name}: µs on a processor per message\n{times}")?;
    }
    for lane in lanes {
        lane.close().await?;
    }
    Ok(report)
}

fn rates(lanes: &[Lane], columns: &[&Column]) -> Table {
    let mut head = vec!["way".to_owned()];
    for column in columns {
        if let Senders::Each(senders) = column.senders {
            head.extend([senders.to_string(), "× none".to_owned()]);
        }
    }
    let mut table = Table::new(head.iter().map(String::as_str));
    for (place, lane) in lanes.iter().enumerate() {
        let mut row = vec![lane.candidate.name.to_owned()];
        for column in columns {
            let sample = |place: usize| Sample::new(column.per_second[place].iter().copied());
            if let Senders::Each(_) = column.senders {
                let (own, bare) = (sample(place), sample(BARE));
                row.push(format!("{:.0}", own.median()));
                row.push(format!("{:.2}", ratio(&own, &bare)));
            }
        }
        table.row(row);
    }
    table
}

fn times(lanes: &[Lane], columns: &[&Column]) -> Table {
    let mut head = vec!["way".to_owned()];
    for column in columns {
        let senders = match column.senders {
            Senders::AtOnce => "one transaction".to_owned(),
            Senders::Each(senders) => senders.to_string(),
        };
        head.extend([senders, "− none".to_owned()]);
    }
    let mut table = Table::new(head.iter().map(String::as_str));
    for (place, lane) in lanes.iter().enumerate() {
        let mut row = vec![lane.candidate.name.to_owned()];
        for column in columns {
            let [own, bare] = [place, BARE].map(|place| &column.processor[place]);
            // Not every system says.
            row.extend(if own.is_empty() || bare.is_empty() {
                ["?", "?"].map(str::to_owned)
            } else {
                let [own, bare] =
                    [own, bare].map(|times| Sample::new(times.iter().copied()).median());
                [format!("{own:.1}"), format!("{:+.1}", own - bare)]
            });
        }
        table.row(row);
    }
    table
}
