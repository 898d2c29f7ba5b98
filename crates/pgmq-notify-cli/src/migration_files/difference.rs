use similar::TextDiff;

use super::{Compared, Found};
use crate::output::{ADDED, REMOVED};

/// From what a file holds to what it should hold.
pub(crate) struct Difference<'a> {
    path: String,
    old: String,
    new: &'a str,
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
            new: &file.file.content,
        })
    }

    pub(crate) fn plain(&self) -> String {
        TextDiff::from_lines(self.old.as_str(), self.new)
            .unified_diff()
            .header(&self.path, "generated")
            .to_string()
    }

    pub(crate) fn styled(&self) -> String {
        let colour = |line: &str| match line.as_bytes().first() {
            Some(b'+') => format!("{ADDED}{line}{ADDED:#}\n"),
            Some(b'-') => format!("{REMOVED}{line}{REMOVED:#}\n"),
            _ => format!("{line}\n"),
        };
        self.plain().lines().map(colour).collect()
    }
}
