use std::borrow::Cow;

use similar::TextDiff;

use super::{Compared, Found};
use crate::output::{ADDED, REMOVED};

/// From what a file holds to what would be generated.
#[derive(Debug)]
pub(crate) struct Difference<'a> {
    path: String,
    old: String,
    new: Cow<'a, str>,
}

impl<'a> Difference<'a> {
    /// Of a file that exists with other content.
    pub(crate) fn of(file: &'a Compared) -> Option<Self> {
        let Found::Different(old) = &file.found else {
            return None;
        };
        Some(Self {
            path: file.path.display().to_string(),
            old: String::from_utf8_lossy(old).into_owned(),
            new: Cow::Borrowed(&file.file.content),
        })
    }

    /// Of two texts that are no files; `path` says what the old one is.
    pub(crate) fn between(path: &str, old: String, new: String) -> Self {
        Self {
            path: path.into(),
            old,
            new: Cow::Owned(new),
        }
    }

    pub(crate) fn into_owned(self) -> Difference<'static> {
        Difference {
            path: self.path,
            old: self.old,
            new: Cow::Owned(self.new.into_owned()),
        }
    }

    /// A unified diff.
    pub(crate) fn unified(&self) -> String {
        TextDiff::from_lines(self.old.as_str(), &*self.new)
            .unified_diff()
            .header(&self.path, "generated")
            .to_string()
    }

    /// A unified diff to read: coloured, and long lines cut. A queue naming pattern with `\w` becomes
    /// a line of many kilobytes.
    pub(crate) fn readable(&self) -> String {
        let readable = |line: &str| {
            let line = shortened(line);
            match line.as_bytes().first() {
                Some(b'+') => format!("{ADDED}{line}{ADDED:#}\n"),
                Some(b'-') => format!("{REMOVED}{line}{REMOVED:#}\n"),
                _ => format!("{line}\n"),
            }
        };
        self.unified().lines().map(readable).collect()
    }
}

fn shortened(line: &str) -> String {
    const MOST: usize = 200;
    let count = line.chars().count();
    if count <= MOST {
        return line.into();
    }
    let start: String = line.chars().take(MOST).collect();
    format!("{start}… ({count} characters)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_for_reading_only() {
        let old = format!("same\n{}\n", "ö".repeat(300));
        let difference = Difference {
            path: "up.sql".into(),
            old,
            new: "same\nother\n".into(),
        };
        assert!(difference.unified().contains(&"ö".repeat(300)));
        let readable = difference.readable();
        assert!(readable.contains("… (301 characters)"), "{readable}");
        assert!(!readable.contains(&"ö".repeat(200)), "{readable}");
        assert!(readable.contains("+other"), "{readable}");
    }
}
