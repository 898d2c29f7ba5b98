use std::fmt;

/// A release of PGMQ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PgmqVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

impl PgmqVersion {
    pub(crate) const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
        }
    }

    /// The version that `pg_extension` names; `None` where it is not made of numbers.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.').map(|part| part.parse().ok());
        let version = Self {
            major: numbers.next()??,
            minor: numbers.next().unwrap_or(Some(0))?,
            patch: numbers.next().unwrap_or(Some(0))?,
        };
        numbers.next().is_none().then_some(version)
    }
}

/// `1.9`, and `1.11.1` where the patch level matters.
impl fmt::Display for PgmqVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        match self.patch {
            0 => Ok(()),
            patch => write!(f, ".{patch}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number_and_read_as_they_are_written() {
        let parsed = |text| PgmqVersion::parse(text).unwrap();
        assert!(parsed("1.9.0") < parsed("1.10"));
        assert!(parsed("1.11.1") > parsed("1.11.0"));
        assert_eq!(parsed("1.11.1").to_string(), "1.11.1");
        assert_eq!(parsed("1.13.0").to_string(), "1.13");
        for text in ["", "1.x", "one", "1.2.3.4", "1."] {
            assert_eq!(PgmqVersion::parse(text), None, "{text}");
        }
    }
}
