//! The queue naming pattern and its translation into PostgreSQL's dialect.

mod choice;
mod class;
mod deterministic;
mod error;
mod parts;
mod translate;
mod tree;

#[cfg(test)]
mod tests;

use std::fmt;

pub use error::PatternError;
use parts::Parts;
use tree::{Kind, Node};

/// At most this many bytes of pattern.
const MAX_BYTES: usize = 1_000;
/// The largest cost of a pattern, see [`cost`]. Not much above it the `regex` crate refuses patterns as too large,
/// and PostgreSQL takes seconds to compile some.
const MAX_COST: usize = 500;
/// At most this many bytes of translation, nearly all of which are the code points of Unicode classes: `\w` has
/// 12,000.
const MAX_TRANSLATED_BYTES: usize = 100_000;

/// A regular expression that finds the namespace in a queue name, and means the same in Rust and in PostgreSQL.
///
/// The syntax and the meaning are those of the `regex` crate: the pattern may match anywhere in the name, the first
/// match counts, and the namespace is what the group `namespace` holds. A name that does not match, or whose group is
/// empty, belongs to the namespace `default`.
///
/// PostgreSQL's regular expressions look alike and differ in which match they choose, in what `\w` is, and in much
/// else. So the pattern is not handed over but translated, and what cannot mean the same for every name is
/// refused. The translation is exact for every name in a UTF-8 database, whatever its locale.
///
/// # Examples
///
/// ```
/// use pgmq_notify_sql::NamespacePattern;
///
/// let pattern = NamespacePattern::new("^(?P<namespace>[a-z]+)_queue$")?;
/// assert_eq!(pattern.postgres(), r"\A([a-z]+)(?=_queue\Z)");
///
/// let error = NamespacePattern::new(r"\b(?P<namespace>[a-z]+)_queue").unwrap_err();
/// assert!(error.to_string().starts_with(r"`\b` at byte 0: word boundaries"));
/// # Ok::<(), pgmq_notify_sql::PatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamespacePattern {
    source: String,
    postgres: String,
}

impl NamespacePattern {
    /// Parses and translates a pattern.
    ///
    /// It needs exactly one group called `namespace`, which every match has to go through: it must not stand in an
    /// alternative, be optional or be repeated. What follows the group can be anything but word boundaries and line
    /// anchors.
    ///
    /// Up to the end of the group, the pattern must not leave it to the engine which of several ways to take. Any of
    /// these is enough:
    ///
    /// - Characters, character classes and repetitions of them, either all greedy or all lazy. Alternatives and
    ///   optional groups may stand in front of the first repetition, those that can match more before those that
    ///   match less.
    /// - The next character always decides how to go on, as in `[a-z]+(?:-[a-z]+)*`, and everything is greedy.
    /// - All that follows the group has one length and ends with `$`. Then the inside of the group can be anything, and
    ///   these rules hold for what stands before it only.
    ///
    /// # Errors
    ///
    /// The pattern is not a regular expression, is longer than 1,000 bytes, or could choose another namespace in
    /// PostgreSQL than in Rust. The error names the construct, its place and the remedy.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        if pattern.len() > MAX_BYTES {
            let length = pattern.len();
            return Err(PatternError::whole(format!(
                "the pattern has {length} bytes; at most {MAX_BYTES} are supported"
            )));
        }
        if let Some(nul) = pattern.find('\0') {
            return Err(PatternError::at(
                pattern,
                &(nul..nul + 1),
                "PostgreSQL's text cannot hold this character; take it out",
            ));
        }
        let root = tree::parse(pattern)?;
        if cost(&root) > MAX_COST {
            return Err(PatternError::whole(
                "the pattern is too large with its counted repetitions written out; use smaller counts, `*` and `+`, and \
                 ASCII classes such as `[a-z0-9_]` instead of `\\w`",
            ));
        }
        let parts = Parts::split(pattern, root)?;
        let preference = choice::preference(pattern, &parts)?;
        let postgres = translate::translate(&parts, preference);
        if postgres.len() > MAX_TRANSLATED_BYTES {
            return Err(PatternError::whole(
                "the pattern names too many Unicode characters; use ASCII classes such as `[a-z0-9_]` instead of `\\w`",
            ));
        }
        Ok(Self {
            source: pattern.to_owned(),
            postgres,
        })
    }

    /// The pattern as it was configured.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// The same in PostgreSQL's dialect, for `(regexp_match(queue_name collate "C", …))[1]`.
    ///
    /// Printable ASCII, without quotes and without dollar signs, but with backslashes. In a database whose encoding
    /// is not UTF-8 it can only be relied on for ASCII names.
    pub fn postgres(&self) -> &str {
        &self.postgres
    }
}

impl fmt::Display for NamespacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl std::str::FromStr for NamespacePattern {
    type Err = PatternError;

    fn from_str(pattern: &str) -> Result<Self, PatternError> {
        Self::new(pattern)
    }
}

/// How many characters the pattern has once counted repetitions are written out, as both engines do. A character
/// class counts more, the more ranges it has (`\w`: 4).
fn cost(node: &Node) -> usize {
    match &node.kind {
        Kind::Empty => 0,
        Kind::Start | Kind::End => 1,
        Kind::Class(class) => class.cost(),
        Kind::Concat(nodes) | Kind::Alternation(nodes) => {
            nodes.iter().map(cost).fold(0, usize::saturating_add)
        }
        Kind::Repeat(inner, repeat) => {
            let times = repeat.max.unwrap_or(repeat.min).max(1) as usize;
            // What can be empty can be skipped, so each copy leads to every later one.
            let links = if times > 1 && inner.length().0 == 0 {
                4
            } else {
                1
            };
            cost(inner).saturating_mul(times).saturating_mul(links)
        }
        Kind::Namespace(inner) => cost(inner),
    }
}
