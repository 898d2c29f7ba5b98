use pgmq_notify_core::PgmqNotifyEvent;

/// The most characters of a reason that are traced: it may quote what a stranger sent.
const TRACED_CHARS: usize = 100;

/// Why a notification is no event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) is_unknown_type: bool,
    /// Never the body of a message.
    pub(crate) reason: String,
}

impl Unreadable {
    fn invalid(reason: &str) -> Self {
        Self {
            is_unknown_type: false,
            reason: reason.to_owned(),
        }
    }
}

pub(crate) fn decode(text: &str) -> Result<PgmqNotifyEvent, Unreadable> {
    match PgmqNotifyEvent::from_json(text) {
        // The listener alone knows of its gaps.
        Ok(PgmqNotifyEvent::Resumed(_)) => {
            Err(Unreadable::invalid("only the listener makes this event"))
        }
        Ok(event) => Ok(event),
        Err(error) => Err(Unreadable {
            is_unknown_type: error.unknown_event_type().is_some(),
            reason: error.to_string().chars().take(TRACED_CHARS).collect(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_event_is_told_apart_from_what_is_too_new() {
        for (text, is_unknown_type) in [
            ("", false),
            ("hello", false),
            ("[]", false),
            (r#"{"event_type":"message_ready"}"#, false),
            (
                r#"{"event_type":"resumed","reason":"overflow","gap_seconds":1.0}"#,
                false,
            ),
            (r#"{"event_type":"queue_paused"}"#, true),
        ] {
            let unreadable = decode(text).unwrap_err();
            assert_eq!(unreadable.is_unknown_type, is_unknown_type, "{text}");
        }
    }

    #[test]
    fn a_reason_is_short_and_without_the_body() {
        let long = format!(r#"{{"event_type":"{}"}}"#, "x".repeat(5_000));
        assert!(decode(&long).unwrap_err().reason.len() <= TRACED_CHARS);
        let secret = r#"{"event_type":"message_with_payload","queue_name":"q","message":"secret"}"#;
        let reason = decode(secret).unwrap_err().reason;
        assert!(!reason.contains("secret"), "{reason}");
    }
}
