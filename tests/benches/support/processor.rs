//! Time on a processor, as Linux counts it for every thread, in nanoseconds.

use std::{fs, time::Duration};

/// What the threads of a process have used so far; `None` where the system does not say.
///
/// Only of threads that are there: compare two looks between which none ends.
pub(crate) fn processor_time(process: u32) -> Option<Duration> {
    let mut time = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{process}/task")).ok()? {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
        time += Duration::from_nanos(nanoseconds);
    }
    Some(time)
}
