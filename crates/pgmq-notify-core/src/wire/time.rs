//! RFC 3339 in UTC.

use std::time::{Duration, SystemTime};

/// Reads a time, first as our triggers write each, then as anybody may.
pub(super) fn parse(text: &str) -> Result<SystemTime, humantime::TimestampError> {
    match with_microseconds(text) {
        Some(time) => Ok(time),
        None => humantime::parse_rfc3339(text),
    }
}

/// Of the form `2026-09-21T14:13:20.123456Z`, from 1970 on, without leap seconds.
fn with_microseconds(text: &str) -> Option<SystemTime> {
    let text: &[u8; 27] = text.as_bytes().try_into().ok()?;
    let is = |at: usize, byte: u8| text[at] == byte;
    let is_form = is(4, b'-')
        & is(7, b'-')
        & is(10, b'T')
        & is(13, b':')
        & is(16, b':')
        & is(19, b'.')
        & is(26, b'Z');
    // Of what is no digit it becomes too large.
    let mut largest = 0;
    let mut digit = |at: usize| {
        let digit = text[at].wrapping_sub(b'0');
        largest = largest.max(digit);
        u32::from(digit)
    };
    let mut two = |at: usize| digit(at) * 10 + digit(at + 1);
    let year = two(0) * 100 + two(2);
    let (month, day) = (two(5), two(8));
    let (hour, minute, second) = (two(11), two(14), two(17));
    let micros = (two(20) * 100 + two(22)) * 100 + two(24);
    if !is_form || largest > 9 || year < 1970 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_before = DAYS_BEFORE.get(month.checked_sub(1)? as usize)?;
    let days_of_month = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day == 0 || day > days_of_month {
        return None;
    }
    // Each year before this one, and a day for each leap year among them: 477 before 1970.
    let before = year - 1;
    let leap_years = before / 4 - before / 100 + before / 400 - 477;
    let leap_day = u32::from(is_leap && month > 2);
    let days = (year - 1970) * 365 + leap_years + days_before + leap_day + day - 1;
    let seconds = u64::from(days) * 86_400 + u64::from(hour * 3_600 + minute * 60 + second);
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, micros * 1_000))
}

/// Of each month, in a year that is no leap year.
const DAYS_BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_the_same_both_ways() {
        let last = super::super::LAST_SECOND;
        let mut second = 0;
        while second <= last {
            let time = SystemTime::UNIX_EPOCH + Duration::new(second, 987_654_000);
            let text = humantime::format_rfc3339_micros(time).to_string();
            assert_eq!(with_microseconds(&text), Some(time), "{text}");
            // A day, a minute and a second, so that all of these are seen as well.
            second += 86_461;
        }
    }

    #[test]
    fn what_it_reads_is_what_the_other_reads() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut read = 0;
        for _ in 0..200_000 {
            let mut text = *b"2026-02-21T14:13:20.123456Z";
            for _ in 0..rng.u8(1..4) {
                let other = b"0123456789-:TZ.+ \0\xc3";
                text[rng.usize(..27)] = other[rng.usize(..other.len())];
            }
            let Ok(text) = str::from_utf8(&text) else {
                continue;
            };
            if let Some(time) = with_microseconds(text) {
                assert_eq!(humantime::parse_rfc3339(text), Ok(time), "{text}");
                read += 1;
            }
        }
        assert!(read > 1_000, "{read}");
    }

    #[test]
    fn what_it_does_not_read_is_left_to_the_other() {
        for text in [
            "2026-02-29T00:00:00.000000Z",
            "2026-13-01T00:00:00.000000Z",
            "2026-00-01T00:00:00.000000Z",
            "2026-01-00T00:00:00.000000Z",
            "2026-01-01T24:00:00.000000Z",
            "2026-01-01T00:60:00.000000Z",
            "2016-12-31T23:59:60.000000Z",
            "1969-12-31T23:59:59.999999Z",
            "2026-01-01T00:00:00.00000Z",
            "2026-01-01T00:00:00Z",
            "",
        ] {
            assert_eq!(with_microseconds(text), None, "{text}");
            assert_eq!(
                parse(text).ok(),
                humantime::parse_rfc3339(text).ok(),
                "{text}"
            );
        }
    }
}
