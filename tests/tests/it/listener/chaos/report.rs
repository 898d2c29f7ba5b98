//! How it went, for whoever runs it.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use pgmq_notify_listener::ListenerStats;
use pgmq_notify_tests::{Fault, Struck};

use super::told::Told;

pub(super) fn print(
    strikes: &[Struck],
    told: &Told,
    stats: &ListenerStats,
    messages: usize,
    lasted: Duration,
) {
    let rate = messages as u128 * 1_000 / lasted.as_millis();
    let mut lines = vec![
        format!("{} faults in {lasted:.1?}", strikes.len()),
        format!(
            "{messages} messages wait ({rate} a second), {} events ({} of catch-ups), {} gaps, {} reconnects, {} overflows",
            stats.events(),
            stats.caught_up_events,
            stats.gaps,
            stats.reconnects,
            stats.overflows,
        ),
    ];
    let mut kinds = BTreeMap::<_, Vec<_>>::new();
    for struck in strikes {
        for kind in ["All", kind(struck.fault)] {
            kinds.entry(kind).or_default().push(struck);
        }
    }
    for (kind, strikes) in kinds {
        // One that met no connection came while there was none.
        let met = strikes.iter().filter(|struck| struck.connections > 0);
        let recoveries: Vec<_> = met
            .map(|struck| (struck, recovered(struck, told)))
            .collect();
        let since = |start: fn(&Struck) -> Instant| {
            let times = recoveries.iter();
            let times = times.map(|(struck, at)| at.duration_since(start(struck)));
            quantiles(times.collect())
        };
        lines.push(format!(
            "{kind}: {}; the first event {} after the beginning, {} after the end",
            strikes.len(),
            since(|struck| struck.began),
            since(|struck| struck.healed),
        ));
    }
    let _ = writeln!(io::stderr(), "{}", lines.join("\n"));
}

fn kind(fault: Fault) -> &'static str {
    match fault {
        Fault::TerminatedBackend => "terminated backend",
        Fault::Reset => "RST",
        Fault::Closed => "FIN",
        Fault::BlackHole(_) => "black hole",
        Fault::Delay => "delay",
        Fault::FastRestart => "fast restart",
        Fault::ImmediateRestart => "immediate stop and start",
    }
}

/// When the application was told of something again.
fn recovered(struck: &Struck, told: &Told) -> Instant {
    let from = match struck.fault {
        // The session may outlive it.
        Fault::BlackHole(_) | Fault::Delay => struck.healed,
        // It does not, and what was on the way when it was lost does not count.
        _ => first_after(&told.gaps, struck.began, struck),
    };
    first_after(&told.events, from, struck)
}

fn first_after(times: &[Instant], from: Instant, struck: &Struck) -> Instant {
    let after = times.partition_point(|time| *time < from);
    *times
        .get(after)
        .unwrap_or_else(|| panic!("nothing was heard after {struck:?}"))
}

fn quantiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let quantile = |percent: usize| {
        times.get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
    };
    match (quantile(50), quantile(99)) {
        (Some(median), Some(late)) => format!("{median:.1?} (99th percentile {late:.1?})"),
        _ => "never".to_owned(),
    }
}
