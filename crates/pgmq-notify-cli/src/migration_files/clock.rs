use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::Failure;

/// 9999-12-31 23:59:59, the last second whose year has four digits.
const LAST_SECOND: u64 = 253_402_300_799;

/// The current UTC time as the number `YYYYMMDDHHMMSS`. `SOURCE_DATE_EPOCH`, when it is set, is
/// the time instead, so that builds reproduce (<https://reproducible-builds.org>).
pub(super) fn now() -> Result<u64, Failure> {
    let (source, seconds) = match env::var_os("SOURCE_DATE_EPOCH") {
        Some(value) => (
            format!("SOURCE_DATE_EPOCH={}", value.display()),
            value.to_str().and_then(|text| text.parse().ok()),
        ),
        None => (
            "the clock".into(),
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .map(|elapsed| elapsed.as_secs()),
        ),
    };
    match seconds {
        Some(seconds) if seconds <= LAST_SECOND => Ok(digits(seconds)),
        _ => Err(Failure::new(
            format!("{source} is no number of seconds from 1970 to 9999"),
            "correct it, or give the version with --version-number",
        )),
    }
}

fn digits(seconds: u64) -> u64 {
    let (year, month, day) = date(seconds / 86_400);
    let time = seconds % 86_400;
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    ((((year * 100 + month) * 100 + day) * 100 + hour) * 100 + minute) * 100 + second
}

/// The year, month and day of a number of days since 1970-01-01.
///
/// It counts from 0000-03-01, in eras of 400 years, so that the leap day is the last one of a year.
fn date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let (month, next_year) = match month_from_march {
        0..=9 => (month_from_march + 3, 0),
        _ => (month_from_march - 9, 1),
    };
    (era * 400 + year_of_era + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_the_digits_of_their_date() {
        let cases = [
            (0, 19_700_101_000_000),
            (951_782_400, 20_000_229_000_000),
            (1_709_251_199, 20_240_229_235_959),
            (1_709_251_200, 20_240_301_000_000),
            (1_735_689_599, 20_241_231_235_959),
            (4_107_542_400, 21_000_301_000_000),
            (LAST_SECOND, 99_991_231_235_959),
        ];
        for (seconds, expected) in cases {
            assert_eq!(digits(seconds), expected);
        }
    }
}
