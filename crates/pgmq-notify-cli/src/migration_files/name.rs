use std::fmt;
use std::str::FromStr;

/// The name of a migration, such as `pgmq_notify`.
///
/// Lower-case letters, digits and underscores, a letter first: what every tool accepts in a file
/// name, whatever separates it from the version there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MigrationName(String);

impl MigrationName {
    /// Flyway keeps 200 characters of a description, refinery and diesel 255 bytes.
    const MAX_CHARS: usize = 100;

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MigrationName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let letter_first = name.starts_with(|c: char| c.is_ascii_lowercase());
        if letter_first && name.chars().all(plain) && name.len() <= Self::MAX_CHARS {
            return Ok(Self(name.into()));
        }
        Err(format!(
            "use a letter, then letters, digits and underscores, all lower case, at most {} \
             characters",
            Self::MAX_CHARS
        ))
    }
}

impl fmt::Display for MigrationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_every_tool_accepts_in_a_file_name_is_a_name() {
        for name in ["a", "pgmq_notify", "events_2", &"a".repeat(100)] {
            assert!(name.parse::<MigrationName>().is_ok(), "{name}");
        }
        for name in [
            "",
            "_a",
            "2a",
            "A",
            "a-b",
            "a.up",
            "a/b",
            "../a",
            "ä",
            &"a".repeat(101),
        ] {
            assert!(name.parse::<MigrationName>().is_err(), "{name}");
        }
    }
}
