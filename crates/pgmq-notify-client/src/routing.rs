//! PGMQ's rules for topics, checked before any SQL.

use crate::ClientError;

const LONGEST: usize = 255;

/// Checks what `pgmq.validate_routing_key` checks.
pub(crate) fn routing_key(key: &str) -> Result<String, ClientError> {
    check("routing key", key, |c| {
        c.is_ascii_alphanumeric() || ".-_".contains(c)
    })?;
    Ok(key.to_owned())
}

/// Checks what `pgmq.validate_topic_pattern` checks.
pub(crate) fn topic_pattern(pattern: &str) -> Result<String, ClientError> {
    check("topic pattern", pattern, |c| {
        c.is_ascii_alphanumeric() || ".-_*#".contains(c)
    })?;
    match ["**", "##", "*#", "#*"]
        .iter()
        .find(|pair| pattern.contains(**pair))
    {
        Some(pair) => Err(refused(
            "topic pattern",
            pattern,
            &format!("contains {pair:?}"),
        )),
        None => Ok(pattern.to_owned()),
    }
}

fn check(what: &str, text: &str, allowed: impl Fn(char) -> bool) -> Result<(), ClientError> {
    let reason = if text.is_empty() {
        "is empty".to_owned()
    } else if let Some(odd) = text.chars().find(|c| !allowed(*c)) {
        format!("contains {odd:?}")
    } else if text.len() > LONGEST {
        format!(
            "has {} characters, at most {LONGEST} are possible",
            text.len()
        )
    } else if text.starts_with('.') {
        "starts with a dot".to_owned()
    } else if text.ends_with('.') {
        "ends with a dot".to_owned()
    } else if text.contains("..") {
        "has an empty segment".to_owned()
    } else {
        return Ok(());
    };
    Err(refused(what, text, &reason))
}

fn refused(what: &str, text: &str, reason: &str) -> ClientError {
    ClientError::invalid(format!("{what} {text:?} {reason}"))
}
