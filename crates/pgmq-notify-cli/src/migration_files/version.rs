use std::fmt;
use std::str::FromStr;

/// The version of a migration, as its file name spells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    text: String,
    parts: Vec<u64>,
}

/// A counter with this many digits is a date with a time: `202611231200`.
const TIMESTAMP_DIGITS: usize = 12;

impl Version {
    /// Reads the version of a file that exists: digits, the dots and underscores of Flyway (`1.2`),
    /// or the hyphens of diesel (`2026-11-23-120000-0000`), which compares texts without them, so
    /// that what follows the time is a part of its own.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut digits = text.replace('-', "");
        if digits.len() > 14 && digits.len() < text.len() {
            digits.insert(14, '.');
        }
        let parts: Option<Vec<_>> = digits
            .split(['.', '_'])
            .map(|part| part.parse().ok().filter(|_| !part.starts_with('+')))
            .collect();
        parts.map(|parts| Self {
            text: text.into(),
            parts,
        })
    }

    /// The version for the files of a tool that has none.
    pub(super) fn none() -> Self {
        Self {
            text: String::new(),
            parts: Vec::new(),
        }
    }

    /// The version of a new migration: after `highest`, numbered as that is.
    ///
    /// A tool refuses or silently skips a migration that sorts before one it has applied. So where
    /// migrations are counted (1, 2, 3), this is the next number, and a migration that somebody adds
    /// later as number 4 still comes after it; where they carry a time, it is `now`, or one more
    /// than `highest` should that not have passed yet.
    pub(super) fn after(highest: &Self, now: u64) -> Self {
        let last = highest.parts.first().copied().unwrap_or(0);
        let digits = highest.text.chars().take_while(char::is_ascii_digit);
        let digits = if highest.text.contains('-') {
            TIMESTAMP_DIGITS
        } else {
            digits.count()
        };
        if digits < TIMESTAMP_DIGITS {
            return Self::number(last.saturating_add(1), digits);
        }
        Self::number(now.max(last.saturating_add(1)), 14)
    }

    pub(super) fn number(number: u64, width: usize) -> Self {
        Self {
            text: format!("{number:0width$}"),
            parts: vec![number],
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a build of refinery without its feature `int8-versions` can hold it.
    pub(crate) fn fits_i32(&self) -> bool {
        self.parts.iter().all(|part| i32::try_from(*part).is_ok())
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.parts, &self.text).cmp(&(&other.parts, &other.text))
    }
}

/// A version that the user asks for: a number that every tool's 64 bits can hold.
impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.chars().all(|c| c.is_ascii_digit()) && text.len() <= 18;
        match text.parse() {
            Ok(number) if digits && number > 0 => Ok(Self {
                text: text.into(),
                parts: vec![number],
            }),
            _ => Err("use 1 to 18 digits, such as 20261123120000 or 7, and not 0".into()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 20_261_123_120_000;

    #[test]
    fn a_new_version_follows_the_highest_and_is_numbered_like_it() {
        let cases = [
            ("3", "4"),
            ("0009", "0010"),
            ("1.2", "2"),
            ("20240101", "20240102"),
            ("20240101000000", "20261123120000"),
            ("2024-01-01-000000", "20261123120000"),
            ("2024-01-01-000000-0000", "20261123120000"),
            ("00000000000000", "20261123120000"),
            ("20991231235959", "20991231235960"),
        ];
        for (highest, next) in cases {
            let highest = Version::read(highest).unwrap();
            let version = Version::after(&highest, NOW);
            assert_eq!(version.as_str(), next);
            assert!(version > highest);
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let mut versions = ["10", "9", "1.10", "1.9", "0011"].map(|v| Version::read(v).unwrap());
        versions.sort();
        assert_eq!(
            versions.map(|v| v.to_string()),
            ["1.9", "1.10", "9", "10", "0011"]
        );
    }

    #[test]
    fn only_digits_are_asked_for() {
        assert_eq!("0007".parse::<Version>().unwrap().as_str(), "0007");
        for text in ["", "0", "+1", "-1", "1.2", "1_0", "a", &"1".repeat(19)] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
        for text in ["", "v1", "+1", "1..2", "orders"] {
            assert!(Version::read(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_time_does_not_fit_32_bits() {
        assert!(Version::number(2_147_483_647, 1).fits_i32());
        assert!(!Version::number(NOW, 14).fits_i32());
    }
}
