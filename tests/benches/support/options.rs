//! The command line, the same for every benchmark: `cargo bench -- OPTIONS` gives it to all of them.

use std::{path::PathBuf, time::Duration};

pub(crate) const HELP: &str = "\
Options, after `cargo bench -p pgmq-notify-tests [--bench NAME] --`:
  --quick            a few seconds, only to see that it works
  --rounds N         how often every way has its turn (send, lease, rate, throughput, trigger)
  --slice SECONDS    how long a turn is (send, lease)
  --senders 1,8,32   how many send at a time (send, lease)
  --messages N       how many messages a way sends (latency), one burst has (throughput), one turn inserts (trigger, lease)
  --chart FILE       draws the rates as SVG instead of printing all of them, relative to the repository (send)
  --flush-delay MS   every flush of the WAL takes this much longer, at most 100
  --no-flush         commits wait for no flush (synchronous_commit = off)
  --help             this text

Without cargo's --bench, which `cargo bench` adds and `cargo test` does not, --quick is implied.";

/// What commits wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// What the disk takes.
    Disk,
    /// That, and as much more.
    Delayed(Duration),
    /// Nothing.
    Off,
}

/// Every option; `None` is the benchmark's own default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    pub(crate) rounds: Option<u32>,
    pub(crate) slice: Option<Duration>,
    pub(crate) senders: Option<Vec<usize>>,
    pub(crate) messages: Option<u32>,
    pub(crate) chart: Option<PathBuf>,
    pub(crate) flush: Flush,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Run(Options),
    Help,
}

impl Request {
    /// # Errors
    /// What is wrong with which argument.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut arguments = arguments.into_iter();
        let mut options = Options {
            quick: false,
            rounds: None,
            slice: None,
            senders: None,
            messages: None,
            chart: None,
            flush: Flush::Disk,
        };
        let mut by_cargo_bench = false;
        while let Some(argument) = arguments.next() {
            let (name, given) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let flag = matches!(name, "--bench" | "--quick" | "--no-flush" | "--help" | "-h");
            if flag && given.is_some() {
                return Err(format!("{name} takes no value"));
            }
            let mut value = || {
                given
                    .clone()
                    .or_else(|| arguments.next())
                    .ok_or_else(|| format!("{name} needs a value"))
            };
            match name {
                "--bench" => by_cargo_bench = true,
                "--quick" => options.quick = true,
                "--help" | "-h" => return Ok(Self::Help),
                "--rounds" => options.rounds = Some(at_least_one(name, &value()?)?),
                "--messages" => options.messages = Some(at_least_one(name, &value()?)?),
                "--slice" => options.slice = Some(seconds(name, &value()?)?),
                "--senders" => options.senders = Some(senders(name, &value()?)?),
                "--chart" => options.chart = Some(value()?.into()),
                "--no-flush" => flush(&mut options, Flush::Off)?,
                "--flush-delay" => {
                    let delay = flush_delay(name, &value()?)?;
                    flush(&mut options, Flush::Delayed(delay))?;
                }
                _ => return Err(format!("there is no option {argument:?}")),
            }
        }
        options.quick |= !by_cargo_bench;
        Ok(Self::Run(options))
    }
}

fn flush(options: &mut Options, flush: Flush) -> Result<(), String> {
    if options.flush != Flush::Disk {
        return Err("only one of --flush-delay and --no-flush is possible, once".to_owned());
    }
    options.flush = flush;
    Ok(())
}

fn at_least_one(name: &str, value: &str) -> Result<u32, String> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!(
            "{name} needs a whole number from 1 on, not {value:?}"
        )),
    }
}

fn seconds(name: &str, value: &str) -> Result<Duration, String> {
    let seconds = value
        .parse()
        .ok()
        .filter(|seconds| (0.01..=3600.0).contains(seconds));
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("{name} needs seconds from 0.01 to 3600, not {value:?}"))
}

fn flush_delay(name: &str, value: &str) -> Result<Duration, String> {
    let milliseconds: Option<f64> = value.parse().ok();
    // The bounds of PostgreSQL's commit_delay, which is in whole microseconds.
    milliseconds
        .filter(|delay| (0.001..=100.0).contains(delay))
        .map(|delay| Duration::from_secs_f64(delay / 1000.0))
        .ok_or_else(|| format!("{name} needs milliseconds from 0.001 to 100, not {value:?}"))
}

fn senders(name: &str, value: &str) -> Result<Vec<usize>, String> {
    let counts: Option<Vec<usize>> = value
        .split(',')
        .map(|count| {
            let count = count.trim().parse().ok();
            count.filter(|count| (1..=100).contains(count))
        })
        .collect();
    counts.ok_or_else(|| format!("{name} needs numbers from 1 to 100 with commas, not {value:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        match Request::parse(line.split_whitespace().map(str::to_owned))? {
            Request::Run(options) => Ok(options),
            Request::Help => Err("help".to_owned()),
        }
    }

    #[test]
    fn it_is_quick_unless_cargo_bench_runs_it() {
        assert!(parse("").unwrap().quick);
        assert!(!parse("--bench").unwrap().quick);
        assert!(parse("--quick --bench").unwrap().quick);
    }

    #[test]
    fn every_option_is_understood_with_a_space_or_an_equals_sign() {
        let options = parse(
            "--rounds 3 --slice=0.5 --senders 1,8 --messages=20 --flush-delay 1.4 --chart a.svg --bench",
        );
        let expected = Options {
            quick: false,
            rounds: Some(3),
            slice: Some(Duration::from_millis(500)),
            senders: Some(vec![1, 8]),
            messages: Some(20),
            chart: Some("a.svg".into()),
            flush: Flush::Delayed(Duration::from_micros(1400)),
        };
        assert_eq!(options, Ok(expected));
        assert_eq!(parse("--no-flush").unwrap().flush, Flush::Off);
        assert_eq!(
            parse("--rounds x --help").unwrap_err(),
            "--rounds needs a whole number from 1 on, not \"x\""
        );
        assert_eq!(parse("--help --nonsense").unwrap_err(), "help");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, named) in [
            ("--rounds", "--rounds needs a value"),
            ("--rounds 0", "\"0\""),
            ("--slice 0", "\"0\""),
            ("--slice nan", "\"nan\""),
            ("--senders 1,,8", "\"1,,8\""),
            ("--senders 101", "\"101\""),
            ("--messages -1", "\"-1\""),
            ("--chart", "--chart needs a value"),
            ("--flush-delay 101", "\"101\""),
            ("--no-flush --flush-delay 1", "only one"),
            ("--quick=yes", "--quick takes no value"),
            ("--round 1", "\"--round\""),
        ] {
            let problem = parse(line).unwrap_err();
            assert!(problem.contains(named), "{line}: {problem}");
        }
    }
}
