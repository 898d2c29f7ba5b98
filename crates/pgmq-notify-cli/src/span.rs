//! Lengths and points of time in arguments.

use std::time::{Duration, SystemTime};

use pgmq_notify_client::When;

/// `30` (seconds), `1.5`, `500ms`, `5m`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| USE_DURATION.into());
    }
    humantime::parse_duration(trimmed).map_err(|_| USE_DURATION.into())
}

/// As [`duration`], of at least a tenth of a second.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let duration = duration(text)?;
    if duration < Duration::from_millis(100) || duration > Duration::from_hours(1) {
        return Err("use 100ms to 1h".into());
    }
    Ok(duration)
}

/// As [`duration`], or a point in time: `2026-12-24T18:00:00Z`.
pub(crate) fn when(text: &str) -> Result<When, String> {
    if let Ok(duration) = duration(text) {
        return Ok(When::After(duration));
    }
    instant(text.trim()).map(When::At).ok_or_else(|| {
        "use seconds (30), a duration (5m) or a time in UTC (2026-12-24T18:00:00Z)".into()
    })
}

fn instant(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339_weak(text).ok()
}

const USE_DURATION: &str = "use seconds (30) or a duration (500ms, 5m, 1h30m)";

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn seconds_durations_and_times_are_told_apart() {
        for (text, expected) in [
            ("30", When::After(Duration::from_secs(30))),
            ("1.5", When::After(Duration::from_millis(1500))),
            ("0", When::After(Duration::ZERO)),
            ("500ms", When::After(Duration::from_millis(500))),
            ("1h30m", When::After(Duration::from_mins(90))),
            (
                "1970-01-02T00:00:00Z",
                When::At(UNIX_EPOCH + Duration::from_hours(24)),
            ),
            (
                "1970-01-02 00:00:01",
                When::At(UNIX_EPOCH + Duration::from_secs(86_401)),
            ),
        ] {
            assert_eq!(when(text), Ok(expected), "{text}");
        }
        for text in ["", "-1", "soon", "inf", "NaN", "1970-01-02T00:00:00+01:00"] {
            assert!(when(text).is_err(), "{text}");
        }
    }
}
