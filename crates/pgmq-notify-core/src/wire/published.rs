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
            },
        ))
    }

    fn message_ready(mut self) -> Option<PgmqNotifyEvent> {
        let (queue_name, namespace) = self.names()?;
        let msg_id = self.integer()?;
        let (ready_at, visible_at) = self.times()?;
        self.end()?;
        Some(PgmqNotifyEvent::MessageReady(MessageReadyEvent {
            queue_name: QueueName::new(queue_name).ok()?,
            namespace: Namespace::new(namespace).ok()?,
            msg_id,
            ready_at,
            visible_at,
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
