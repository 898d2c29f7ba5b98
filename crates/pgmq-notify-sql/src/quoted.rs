//! What may stand in a template: values whose `Display` quotes them. A plain string may not.

use std::fmt::{self, Write};

/// A string literal.
#[derive(Clone, Debug)]
pub(crate) struct Literal(String);

impl Literal {
    pub(crate) fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }
}

impl fmt::Display for Literal {
    /// With a backslash or a control character in it the literal is an `E''`: it means the same
    /// whatever `standard_conforming_strings` says, and stays on one line, where tools that look at
    /// lines (`-- migrate:down`) do not take a part of it for theirs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = |c: char| c == '\\' || c.is_control();
        f.write_str(if self.0.contains(escape) { "E'" } else { "'" })?;
        for c in self.0.chars() {
            match c {
                '\'' => f.write_str("''")?,
                '\\' => f.write_str(r"\\")?,
                '\n' => f.write_str(r"\n")?,
                c if c.is_control() => write!(f, r"\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_str("'")
    }
}

/// A string literal, or `null`.
#[derive(Clone, Debug)]
pub(crate) struct OptionalLiteral(pub(crate) Option<Literal>);

impl fmt::Display for OptionalLiteral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(literal) => literal.fmt(f),
            None => f.write_str("null"),
        }
    }
}

/// A `text[]` of string literals.
#[derive(Clone, Debug)]
pub(crate) struct LiteralArray(pub(crate) Vec<Literal>);

impl fmt::Display for LiteralArray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("array[")?;
        for (index, literal) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            literal.fmt(f)?;
        }
        f.write_str("]::text[]")
    }
}

/// A whole number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Integer(pub(crate) u32);

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The rest of a line of comment. It stays on its line.
#[derive(Clone, Debug)]
pub(crate) struct Remark(String);

impl Remark {
    pub(crate) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            f.write_char(if c.is_control() { ' ' } else { c })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_doubles_quotes_and_backslashes() {
        for (value, sql) in [
            ("", "''"),
            ("orders", "'orders'"),
            ("it's", "'it''s'"),
            (r"a\b", r"E'a\\b'"),
            (r"\'", r"E'\\'''"),
            ("$$; -- /* ", "'$$; -- /* '"),
            ("a\nb\t\u{85}", r"E'a\nb\u0009\u0085'"),
        ] {
            assert_eq!(Literal::new(value).to_string(), sql);
        }
    }

    #[test]
    fn a_remark_does_not_leave_its_line() {
        let remark = Remark::new("a\n; drop schema pgmq; --");
        assert_eq!(remark.to_string(), "a ; drop schema pgmq; --");
    }

    #[test]
    fn an_empty_array_keeps_its_type() {
        assert_eq!(LiteralArray(Vec::new()).to_string(), "array[]::text[]");
        let two = LiteralArray(vec![Literal::new("a"), Literal::new("b'")]);
        assert_eq!(two.to_string(), "array['a', 'b''']::text[]");
    }
}
