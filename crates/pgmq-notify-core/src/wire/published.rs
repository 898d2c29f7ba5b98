//! The events of single messages, as the generated SQL writes them: those of which there are many.
//!
//! It knows the order of the fields, and that nothing stands between them, so that it reads a text once and
//! collects nothing. Of anything else it says `None`, of a mistake too: whoever knows JSON in general
//! decides what that is.

use std::time::SystemTime;

use super::{time, value};
use crate::{
    MessageReadyEvent, MessageWithPayloadEvent, Namespace, PgmqNotifyEvent, QueueName, RawJson,
};

pub(super) fn read(text: &str) -> Option<PgmqNotifyEvent> {
    let mut from = From { text, at: 0 };
    from.literal(br#"{"event_type":"message_"#)?;
    if from.literal(br#"with_payload","queue_name":""#).is_some() {
        from.message_with_payload()
    } else {
        from.literal(br#"ready","queue_name":""#)?;
        from.message_ready()
    }
}

/// A text, read up to an index.
struct From<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> From<'a> {
    fn message_with_payload(mut self) -> Option<PgmqNotifyEvent> {
        let (queue_name, namespace) = self.names()?;
        let msg_id = self.integer()?;
        self.literal(br#","message":"#)?;
        let message = self.value()?;
        self.literal(br#","headers":"#)?;
        let headers = self.value()?;
        let (ready_at, visible_at) = self.times()?;
        self.literal(br#","delay_seconds":"#)?;
        let delay_seconds = self.integer()?.try_into().ok()?;
        let wakes = self.wakes()?;
        self.end()?;
        let headers = (headers != "null").then(|| RawJson::new(headers));
        Some(PgmqNotifyEvent::MessageWithPayload(
            MessageWithPayloadEvent {
                queue_name: QueueName::new(queue_name).ok()?,
                namespace: Namespace::new(namespace).ok()?,
                msg_id,
                message: RawJson::new(message),
                headers,
                ready_at,
                visible_at,
                delay_seconds,
                wakes,
            },
        ))
    }

    fn message_ready(mut self) -> Option<PgmqNotifyEvent> {
        let (queue_name, namespace) = self.names()?;
        let msg_id = self.integer()?;
        let (ready_at, visible_at) = self.times()?;
        let wakes = self.wakes()?;
        self.end()?;
        Some(PgmqNotifyEvent::MessageReady(MessageReadyEvent {
            queue_name: QueueName::new(queue_name).ok()?,
            namespace: Namespace::new(namespace).ok()?,
            msg_id,
            ready_at,
            visible_at,
            wakes,
        }))
    }

    fn names(&mut self) -> Option<(&'a str, &'a str)> {
        let queue_name = self.rest_of_string()?;
        self.literal(br#","namespace":""#)?;
        let namespace = self.rest_of_string()?;
        self.literal(br#","msg_id":"#)?;
        Some((queue_name, namespace))
    }

    fn times(&mut self) -> Option<(SystemTime, SystemTime)> {
        self.literal(br#","ready_at":""#)?;
        let ready = self.rest_of_string()?;
        self.literal(br#","visible_at":""#)?;
        let visible = self.rest_of_string()?;
        let ready_at = time::parse(ready).ok()?;
        if visible == ready {
            return Some((ready_at, ready_at));
        }
        Some((ready_at, time::parse(visible).ok()?))
    }

    /// The numbers of those that are to look, if there are any.
    fn wakes(&mut self) -> Option<Vec<i64>> {
        let mut wakes = Vec::new();
        if self.literal(br#","wakes":["#).is_none() {
            return Some(wakes);
        }
        loop {
            wakes.push(self.integer()?);
            if self.literal(b"]").is_some() {
                return Some(wakes);
            }
            self.literal(b",")?;
        }
    }

    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        rest.starts_with(literal).then(|| self.at += literal.len())
    }

    /// The content of a string, up to its end. One with an escape would have to be copied.
    fn rest_of_string(&mut self) -> Option<&'a str> {
        let end = value::end_of_plain_string(self.text.as_bytes(), self.at)?;
        let content = self.text.get(self.at..end);
        self.at = end + 1;
        content
    }

    fn value(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.at = value::end(self.text.as_bytes(), start)?;
        self.text.get(start..self.at)
    }

    /// A positive one of at most 18 digits, which is more than anybody counts up to.
    fn integer(&mut self) -> Option<i64> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let mut number = 0;
        let mut count = 0;
        while let Some(digit @ b'0'..=b'9') = rest.get(count) {
            if count == 18 {
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
            count += 1;
        }
        let has_zero_ahead = count > 1 && rest[0] == b'0';
        if count == 0 || has_zero_ahead {
            return None;
        }
        self.at += count;
        Some(number)
    }

    fn end(&mut self) -> Option<()> {
        self.literal(b"}")?;
        (self.at == self.text.len()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    const BODIES: [&str; 8] = [
        "null",
        "{}",
        "-1.5e+3",
        r#""a \"b\" \\ \u00e4 \ud83d""#,
        r#"[1, "two", {"three": [null, true]}, []]"#,
        r#"{"eur": 99, "lines": [{"sku": "A-42", "count": 2}], "to": "Größe 🐘"}"#,
        r#"{"headers":null,"ready_at":"2026-01-01T00:00:00Z"}"#,
        r#"",\"headers\":null""#,
    ];

    /// As the generated SQL writes it.
    fn published(rng: &mut Rng) -> String {
        let pick = |rng: &mut Rng, texts: &[&'static str]| texts[rng.usize(..texts.len())];
        let queue = pick(
            rng,
            &[
                "orders_queue",
                "",
                "Größe",
                "an elephant 🐘 of more than 22 bytes",
            ],
        );
        let namespace = pick(rng, &["orders", "default", "Ö"]);
        let id = pick(rng, &["0", "7", "4711", "999999999999999999"]);
        let ready = "2026-09-21T14:13:20.123456Z";
        let visible = pick(
            rng,
            &[
                ready,
                "2026-09-21T14:13:21.000000Z",
                "9999-12-31T23:59:59.999999Z",
            ],
        );
        let names = format!(r#""queue_name":"{queue}","namespace":"{namespace}","msg_id":{id}"#);
        let times = format!(r#""ready_at":"{ready}","visible_at":"{visible}""#);
        let wakes = pick(rng, &["", r#","wakes":[7]"#, r#","wakes":[4711,1]"#]);
        if rng.bool() {
            return format!(r#"{{"event_type":"message_ready",{names},{times}{wakes}}}"#);
        }
        let (message, headers) = (pick(rng, &BODIES), pick(rng, &BODIES));
        let delay = pick(rng, &["0", "1", "86400"]);
        format!(
            r#"{{"event_type":"message_with_payload",{names},"message":{message},"headers":{headers},{times},"delay_seconds":{delay}{wakes}}}"#
        )
    }

    /// What both say of it: an event that is read here is the same event there.
    fn both(text: &str) -> Option<PgmqNotifyEvent> {
        let event = read(text)?;
        match super::super::read(text) {
            Ok(other) => assert_eq!(event, other, "{text}"),
            Err(error) => panic!("{error}: {text}"),
        }
        Some(event)
    }

    #[test]
    fn what_is_published_is_read_here_and_is_the_same_event() {
        let mut rng = Rng::with_seed(1);
        for _ in 0..5_000 {
            let text = published(&mut rng);
            assert!(both(&text).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_damaged_is_read_here_only_if_it_is_an_event() {
        const PIECES: [&str; 24] = [
            "\"",
            "\\",
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            " ",
            "\n",
            "\0",
            "0",
            "1",
            "-",
            ".",
            "e",
            "ä",
            "\\u",
            "null",
            "\"a\":1",
            ",\"headers\":null",
            "Z",
            "$",
            "99999999999999999999",
        ];
        let mut rng = Rng::with_seed(2);
        let (mut here, mut elsewhere) = (0, 0);
        for _ in 0..100_000 {
            let mut text = published(&mut rng);
            for _ in 0..rng.u8(1..4) {
                let boundaries: Vec<_> = text.char_indices().map(|(index, _)| index).collect();
                let from = boundaries[rng.usize(..boundaries.len())];
                let rest = &text[from..];
                let removed = rest
                    .chars()
                    .take(rng.usize(..3))
                    .map(char::len_utf8)
                    .sum::<usize>();
                let piece = if rng.bool() {
                    PIECES[rng.usize(..PIECES.len())]
                } else {
                    ""
                };
                text.replace_range(from..from + removed, piece);
            }
            if both(&text).is_some() {
                here += 1;
            } else if super::super::read(&text).is_ok() {
                elsewhere += 1;
            }
        }
        // Both happen, or this would prove little.
        assert!(here > 1_000 && elsewhere > 100, "{here} {elsewhere}");
    }

    #[test]
    fn what_is_written_otherwise_is_left_to_the_other() {
        let ready = r#""ready_at":"2026-09-21T14:13:20.123456Z","visible_at":"2026-09-21T14:13:20.123456Z""#;
        let event = |head: &str| format!(r#"{{"event_type":"message_ready",{head},{ready}}}"#);
        for head in [
            r#""queue_name":"a\"b","namespace":"n","msg_id":1"#,
            r#""queue_name":"q","namespace":"n","msg_id":-1"#,
            r#""queue_name":"q","namespace":"n","msg_id":9223372036854775807"#,
            r#""namespace":"n","queue_name":"q","msg_id":1"#,
            r#""queue_name":"q","namespace":"n","new":{},"msg_id":1"#,
            r#""queue_name": "q","namespace":"n","msg_id":1"#,
        ] {
            let text = event(head);
            assert_eq!(read(&text), None, "{text}");
            assert!(super::super::read(&text).is_ok(), "{text}");
        }
        let whole = event(r#""queue_name":"q","namespace":"n","msg_id":1"#);
        assert!(read(&whole).is_some());
        assert_eq!(read(&format!("{whole} ")), None);
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
    }
}
