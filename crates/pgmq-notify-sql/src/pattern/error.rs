use std::error::Error;
use std::fmt;
use std::ops::Range;

use regex_syntax::ast::Span;

/// Why a queue naming pattern was refused.
///
/// The text quotes the construct, says where it stands, why PostgreSQL and Rust would not agree on it, and what
/// to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    message: String,
    span: Option<Range<usize>>,
}

impl PatternError {
    /// The bytes of the pattern that the error is about; `None` when it is about the pattern as a whole.
    pub fn span(&self) -> Option<Range<usize>> {
        self.span.clone()
    }

    pub(super) fn whole(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            message,
            span: None,
        }
    }

    /// An error in the pattern's own syntax, found by the parser.
    pub(super) fn syntax(pattern: &str, error: &regex_syntax::Error) -> Self {
        let (reason, span) = match error {
            regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span()),
            regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span()),
            _ => return Self::whole("the pattern is not a valid regular expression"),
        };
        Self::at(
            pattern,
            &bytes(span),
            &format!("not a valid regular expression: {reason}"),
        )
    }

    /// An error about the bytes `span` of `pattern`, as `` `text` at byte 3: reason ``.
    pub(super) fn at(pattern: &str, span: &Range<usize>, reason: &str) -> Self {
        let place = place(pattern, span.start);
        let message = match pattern.get(span.clone()) {
            None | Some("") => format!("{place}: {reason}"),
            Some(text) => format!("{} {place}: {reason}", quote(text)),
        };
        Self {
            message,
            span: Some(span.clone()),
        }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for PatternError {}

pub(super) fn bytes(span: &Span) -> Range<usize> {
    span.start.offset..span.end.offset
}

/// Quotes a piece of a pattern on one line: what cannot be seen is written as an escape.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::from('`');
    for c in text.chars() {
        if c.is_control() {
            quoted.extend(c.escape_default());
        } else {
            quoted.push(c);
        }
    }
    quoted.push('`');
    quoted
}

fn place(pattern: &str, offset: usize) -> String {
    let before = pattern.get(..offset).unwrap_or(pattern);
    match before.rfind('\n') {
        None => format!("at byte {offset}"),
        Some(newline) => {
            let line = before.matches('\n').count() + 1;
            let column = before[newline + 1..].chars().count() + 1;
            format!("at byte {offset} (line {line}, column {column})")
        }
    }
}
