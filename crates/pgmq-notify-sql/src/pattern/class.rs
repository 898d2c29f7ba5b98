use std::fmt::Write as _;

use regex_syntax::hir;

/// A set of characters as sorted code point ranges that neither overlap nor touch.
///
/// U+0000 is left out: PostgreSQL's text cannot hold it, so no queue name does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Class(Vec<(u32, u32)>);

const FIRST: u32 = 1;
const LAST: u32 = 0x10_FFFF;
/// No text holds a surrogate, so whether a range covers them makes no difference; covering them joins ranges.
const SURROGATES: (u32, u32) = (0xD800, 0xDFFF);

impl Class {
    pub(super) fn of_char(c: char) -> Self {
        Self::of_ranges(vec![(c.into(), c.into())])
    }

    pub(super) fn of_hir(class: &hir::Class) -> Self {
        let ranges = match class {
            hir::Class::Unicode(class) => class
                .iter()
                .map(|range| (range.start().into(), range.end().into()))
                .collect(),
            // The parser only lets ASCII through here, because the pattern has to match UTF-8.
            hir::Class::Bytes(class) => class
                .iter()
                .map(|range| (range.start().into(), range.end().into()))
                .collect(),
        };
        Self::of_ranges(ranges)
    }

    fn of_ranges(mut ranges: Vec<(u32, u32)>) -> Self {
        if ranges.iter().any(|&(_, end)| end == SURROGATES.0 - 1)
            && ranges.iter().any(|&(start, _)| start == SURROGATES.1 + 1)
        {
            ranges.push(SURROGATES);
        }
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (start, end) in ranges {
            let start = start.max(FIRST);
            match merged.last_mut() {
                _ if start > end => {}
                Some(last) if start <= last.1.saturating_add(1) => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        Self(merged)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it costs to compile, in single characters.
    pub(super) fn cost(&self) -> usize {
        1 + self.0.len() / 256
    }

    pub(super) fn union(&self, other: &Self) -> Self {
        Self::of_ranges(self.0.iter().chain(&other.0).copied().collect())
    }

    pub(super) fn intersects(&self, other: &Self) -> bool {
        let (mut left, mut right) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            if a.1 < b.0 {
                left.next();
            } else if b.1 < a.0 {
                right.next();
            } else {
                return true;
            }
        }
        false
    }

    fn complement(&self) -> Self {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut next = FIRST;
        for &(start, end) in &self.0 {
            if next < start {
                gaps.push((next, start - 1));
            }
            next = end + 1;
        }
        if next <= LAST {
            gaps.push((next, LAST));
        }
        Self(gaps)
    }

    /// Writes the set in PostgreSQL's dialect, always as code points: what `\w` or `[[:alpha:]]` means there depends
    /// on the collation, and what an explicit range means does not.
    pub(super) fn write(&self, out: &mut String) {
        let complement = self.complement();
        match self.0[..] {
            _ if complement.is_empty() => out.push('.'),
            [(start, end)] if start == end => write_char(start, out),
            _ if complement.0.len() < self.0.len() => write_bracket("[^", &complement.0, out),
            _ => write_bracket("[", &self.0, out),
        }
    }
}

fn write_bracket(open: &str, ranges: &[(u32, u32)], out: &mut String) {
    out.push_str(open);
    for &(start, end) in ranges {
        write_char(start, out);
        if end > start + 1 {
            out.push('-');
        }
        if end > start {
            write_char(end, out);
        }
    }
    out.push(']');
}

/// Writes one character so that it means itself inside and outside brackets.
///
/// Quotes and dollar signs become escapes as well, so that a translation can end neither a string nor a
/// dollar-quoted body that it stands in. `\x` is of no use: PostgreSQL's takes any number of digits.
fn write_char(c: u32, out: &mut String) {
    match char::from_u32(c) {
        Some('\n') => out.push_str("\\n"),
        Some(c) if c.is_ascii_alphanumeric() || c == '_' || c == ' ' => out.push(c),
        Some(c) if c.is_ascii_graphic() && !matches!(c, '\'' | '"' | '$') => {
            out.push('\\');
            out.push(c);
        }
        // Writing to a string does not fail.
        _ if c <= 0xFFFF => _ = write!(out, "\\u{c:04X}"),
        _ => _ = write!(out, "\\U{c:08X}"),
    }
}
