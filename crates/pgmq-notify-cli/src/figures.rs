//! Numbers in few columns.

use std::time::Duration;

/// `12`, `99999`, `123k`, `1.2M`.
pub(crate) fn count(number: u64) -> String {
    match number {
        0..100_000 => number.to_string(),
        100_000..1_000_000 => format!("{}k", number / 1000),
        // A tenth is enough, and is not rounded up to the next unit.
        1_000_000..100_000_000 => format!("{}.{}M", number / 1_000_000, number / 100_000 % 10),
        100_000_000..1_000_000_000 => format!("{}M", number / 1_000_000),
        _ => format!("{}G", number / 1_000_000_000),
    }
}

/// A second: `0`, `0.4`, `12.3`, `1234`, `12.3k`.
pub(crate) fn rate(number: f64) -> String {
    match number {
        ..0.05 => "0".into(),
        0.05..99.95 => format!("{number:.1}"),
        99.95..9999.5 => format!("{number:.0}"),
        _ => format!("{:.1}k", number / 1000.0),
    }
}

/// `0.4ms`, `12ms`, `1.2s`, `34s`, `5m`, `7h`, `3d`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        ..0.009_95 => format!("{:.1}ms", seconds * 1e3),
        0.009_95..0.9995 => format!("{:.0}ms", seconds * 1e3),
        0.9995..9.95 => format!("{seconds:.1}s"),
        9.95..119.5 => format!("{seconds:.0}s"),
        119.5..7200.0 => format!("{}m", duration.as_secs() / 60),
        7200.0..172_800.0 => format!("{}h", duration.as_secs() / 3600),
        _ => format!("{}d", duration.as_secs() / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_takes_more_than_six_columns() {
        for (number, text) in [
            (0, "0"),
            (99_999, "99999"),
            (100_000, "100k"),
            (999_999, "999k"),
            (1_250_000, "1.2M"),
            (99_999_999, "99.9M"),
            (999_999_999, "999M"),
            (5_000_000_000, "5G"),
        ] {
            assert_eq!(count(number), text);
        }
        for (number, text) in [
            (0.0, "0"),
            (0.4, "0.4"),
            (99.94, "99.9"),
            (99.96, "100"),
            (9999.0, "9999"),
            (12_345.0, "12.3k"),
        ] {
            assert_eq!(rate(number), text);
        }
        for (micros, text) in [
            (0, "0.0ms"),
            (420, "0.4ms"),
            (9_940, "9.9ms"),
            (9_960, "10ms"),
            (999_400, "999ms"),
            (1_200_000, "1.2s"),
            (34_000_000, "34s"),
            (119_000_000, "119s"),
            (300_000_000, "5m"),
            (7_200_000_000, "2h"),
            (259_200_000_000, "3d"),
        ] {
            assert_eq!(duration(Duration::from_micros(micros)), text);
        }
    }
}
