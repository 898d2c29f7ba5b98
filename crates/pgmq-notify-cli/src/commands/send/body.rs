//! JSON that a queue can hold.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use crate::failure::Failure;

/// A JSON value, as it was written.
#[derive(Debug)]
pub(super) struct Body(Box<RawValue>);

impl Body {
    pub(super) fn bytes(&self) -> usize {
        self.0.get().len()
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

/// Where a text is no JSON, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoJson {
    /// Of the text, from 1.
    line: u64,
    /// In bytes, from 1.
    column: usize,
    why: String,
}

impl NoJson {
    fn new(error: &serde_json::Error) -> Self {
        let text = error.to_string();
        let why = text
            .rsplit_once(" at line ")
            .map_or(text.as_str(), |(why, _)| why);
        Self {
            line: error.line().max(1) as u64,
            column: error.column().max(1),
            why: why.to_owned(),
        }
    }

    /// Of a text that is this line of another one.
    pub(super) fn in_line(self, line: u64) -> Self {
        Self { line, ..self }
    }

    /// In a file, or in standard input.
    pub(super) fn place(&self, name: &str) -> String {
        format!("{name}:{}:{}: {}", self.line, self.column, self.why)
    }

    pub(super) fn at(&self, name: &str) -> Failure {
        Failure::new(format!("{}; nothing was sent", self.place(name)), REMEDY)
    }

    pub(super) fn of_argument(&self, what: &str) -> Failure {
        let Self { line, column, why } = self;
        Failure::new(
            format!("{what} is no JSON, line {line} column {column}: {why}; nothing was sent"),
            REMEDY,
        )
    }
}

pub(super) const REMEDY: &str = "a body is JSON: {\"id\": 7}, or a text in double quotes, which the shell has to leave there: '\"hello\"'";

/// Checks what PostgreSQL would refuse, as far as that can be told here.
pub(super) fn body(text: &str) -> Result<Body, NoJson> {
    let value: Box<RawValue> = serde_json::from_str(text).map_err(|error| NoJson::new(&error))?;
    if text.contains("u0000")
        && let Err(error) = serde_json::from_str::<Storable>(text)
        // Others are those of this reader, such as a number that is too large for it.
        && error.is_data()
    {
        return Err(NoJson::new(&error));
    }
    Ok(Body(value))
}

/// The headers: an object, which is what readers of groups and dead letters look into.
pub(super) fn headers(text: &str) -> Result<Body, Failure> {
    let value = body(text).map_err(|error| error.of_argument("--headers"))?;
    if !value.0.get().starts_with('{') {
        return Err(Failure::new(
            format!("--headers {text} is no JSON object; nothing was sent"),
            "write names and values: '{\"x-pgmq-group\": \"eu\"}'",
        ));
    }
    Ok(value)
}

/// Without U+0000, which `jsonb` cannot hold.
struct Storable;

impl<'de> Deserialize<'de> for Storable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Storable {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self, E> {
        if text.contains('\0') {
            return Err(E::custom("jsonb cannot hold the character U+0000"));
        }
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while let Some(Self) = items.next_element()? {}
        Ok(Self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        while let Some((Self, Self)) = entries.next_entry()? {}
        Ok(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_taken_as_it_was_written() {
        for text in [
            "{\"id\": 7,\n \"id\": 8}",
            "\"hello\"",
            "null",
            "1e400",
            r#""\\u0000""#,
            r#"[1, {"a": "\u0001"}]"#,
        ] {
            let body = body(text).unwrap();
            assert_eq!(serde_json::to_string(&body).unwrap(), text);
        }
        assert_eq!(body(" 7\n").unwrap().bytes(), 1);
    }

    #[test]
    fn what_is_no_json_is_named_with_its_place() {
        for (text, place) in [
            ("hello", "in:1:1: expected value"),
            ("", "in:1:1: EOF while parsing a value"),
            ("{\"id\": 7,\n \"b\" 8}", "in:2:6: expected `:`"),
            ("7 8", "in:1:3: trailing characters"),
            (
                r#"[1, {"a": "\u0000"}]"#,
                "in:1:18: jsonb cannot hold the character U+0000",
            ),
        ] {
            assert_eq!(body(text).unwrap_err().place("in"), place, "{text}");
        }
    }

    #[test]
    fn headers_are_an_object() {
        assert!(headers(r#" {"a": 1}"#).is_ok());
        for text in ["[]", "\"a\"", "{"] {
            assert!(headers(text).is_err(), "{text}");
        }
    }
}
