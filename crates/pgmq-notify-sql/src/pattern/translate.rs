use std::fmt::Write as _;

use super::choice::Preference;
use super::parts::Parts;
use super::tree::{Kind, Node, Repeat};

/// Writes `before(namespace)(?=after)`.
///
/// As a lookahead, what follows the namespace has no part in what PostgreSQL wants to be longest or shortest.
pub(super) fn translate(parts: &Parts, preference: Preference) -> String {
    let mut out = String::new();
    let mut writer = Writer {
        preference,
        out: &mut out,
    };
    writer.sequence(&parts.before);
    writer.out.push('(');
    writer.enclosed(&parts.namespace);
    writer.out.push(')');
    if !parts.after.is_empty() {
        // Inside a lookahead greedy and lazy are the same.
        writer.preference = Preference::Longest;
        writer.out.push_str("(?=");
        writer.sequence(&parts.after);
        writer.out.push(')');
    }
    out
}

struct Writer<'o> {
    preference: Preference,
    out: &'o mut String,
}

impl Writer<'_> {
    fn sequence(&mut self, nodes: &[Node]) {
        for node in nodes {
            self.operand(node);
        }
    }

    /// A part as it can stand in a sequence.
    fn operand(&mut self, node: &Node) {
        match &node.kind {
            Kind::Alternation(nodes) => {
                self.out.push_str("(?:");
                self.alternatives(nodes);
                self.out.push(')');
                // An alternation alone makes PostgreSQL look for the longest match of all that contains it.
                if self.preference == Preference::Shortest {
                    self.out.push_str("{1,1}?");
                }
            }
            Kind::Empty => {}
            Kind::Class(class) => class.write(self.out),
            Kind::Start => self.out.push_str("\\A"),
            // Not `$`, which could end a dollar-quoted body.
            Kind::End => self.out.push_str("\\Z"),
            Kind::Concat(nodes) => self.sequence(nodes),
            Kind::Repeat(inner, repeat) => self.repeat(inner, *repeat),
            Kind::Namespace(inner) => self.operand(inner),
        }
    }

    /// A part between parentheses.
    fn enclosed(&mut self, node: &Node) {
        match &node.kind {
            Kind::Alternation(nodes) if self.preference == Preference::Longest => {
                self.alternatives(nodes);
            }
            _ => self.operand(node),
        }
    }

    fn alternatives(&mut self, nodes: &[Node]) {
        for (i, node) in nodes.iter().enumerate() {
            if i > 0 {
                self.out.push('|');
            }
            self.operand(node);
        }
    }

    fn repeat(&mut self, inner: &Node, repeat: Repeat) {
        if let Kind::Class(class) = &inner.kind {
            class.write(self.out);
        } else {
            self.out.push_str("(?:");
            self.enclosed(inner);
            self.out.push(')');
        }
        // Writing to a string does not fail.
        match (repeat.min, repeat.max) {
            (0, Some(1)) => self.out.push('?'),
            (0, None) => self.out.push('*'),
            (1, None) => self.out.push('+'),
            (min, None) => _ = write!(self.out, "{{{min},}}"),
            (min, Some(max)) if min == max => _ = write!(self.out, "{{{min}}}"),
            (min, Some(max)) => _ = write!(self.out, "{{{min},{max}}}"),
        }
        if self.preference == Preference::Shortest && repeat.max != Some(repeat.min) {
            self.out.push('?');
        }
    }
}
