//! One event, one line.

use std::time::{Duration, SystemTime};

use anstyle::{AnsiColor, Style};
use pgmq_notify_core::{MessageWithPayloadEvent, PgmqNotifyEvent};
use serde::Serialize;

use crate::failure::Failure;
use crate::text::{cut, printable, width};

const TIME: Style = Style::new().dimmed();
const QUEUE: Style = AnsiColor::Cyan.on_default();

/// For a person: when the trigger ran (in UTC), the queue, what happened; with styles. At most `columns` wide.
pub(super) fn readable(event: &PgmqNotifyEvent, bodies: bool, columns: Option<usize>) -> String {
    let (at, what) = told(event, bodies);
    let queue = event
        .queue_name()
        .map_or_else(Default::default, |it| printable(it.as_str()));
    let at = clock(at);
    let what = printable(&what);
    let Some(columns) = columns else {
        return format!("{TIME}{at}{TIME:#}  {QUEUE}{queue}{QUEUE:#}  {what}");
    };
    let left = columns.saturating_sub(width(&at) + 2);
    // Something has to be left to say what happened.
    let queue = cut(&queue, left.saturating_sub(12).max(left / 2));
    let what = cut(&what, left.saturating_sub(width(&queue) + 2));
    format!("{TIME}{at}{TIME:#}  {QUEUE}{queue}{QUEUE:#}  {what}")
}

/// For a program: as on the wire, or without body and headers.
pub(super) fn json(event: &PgmqNotifyEvent, bodies: bool) -> Result<String, Failure> {
    let text = match event {
        PgmqNotifyEvent::MessageWithPayload(event) if !bodies => {
            serde_json::to_string(&WithoutBody::of(event))
        }
        _ => event.to_json(),
    };
    text.map_err(|error| {
        Failure::new(
            format!("cannot write an event as JSON: {error}"),
            "listen without --bodies: somebody has published what is no JSON",
        )
    })
}

/// The fields that a `message_with_payload` has beside its body, in the order of the wire.
#[derive(Serialize)]
struct WithoutBody<'a> {
    event_type: &'static str,
    queue_name: &'a str,
    namespace: &'a str,
    msg_id: i64,
    ready_at: String,
    visible_at: String,
    delay_seconds: u64,
}

impl<'a> WithoutBody<'a> {
    fn of(event: &'a MessageWithPayloadEvent) -> Self {
        let time = |time| humantime::format_rfc3339_micros(time).to_string();
        Self {
            event_type: "message_with_payload",
            queue_name: event.queue_name.as_str(),
            namespace: event.namespace.as_str(),
            msg_id: event.msg_id,
            ready_at: time(event.ready_at),
            visible_at: time(event.visible_at),
            delay_seconds: event.delay_seconds,
        }
    }
}

fn told(event: &PgmqNotifyEvent, bodies: bool) -> (SystemTime, String) {
    match event {
        PgmqNotifyEvent::MessageReady(event) => (
            event.ready_at,
            format!(
                "message {}{}",
                event.msg_id,
                later(event.ready_at, event.visible_at)
            ),
        ),
        PgmqNotifyEvent::MessageWithPayload(event) => {
            let later = later(event.ready_at, event.visible_at);
            let mut what = format!("message {}{later}", event.msg_id);
            if bodies {
                what = format!("{what}  {}", event.message);
                if let Some(headers) = &event.headers {
                    what = format!("{what}  headers {headers}");
                }
            }
            (event.ready_at, what)
        }
        PgmqNotifyEvent::BatchReady(event) => {
            let ids = match (event.msg_ids.first(), event.msg_ids.last()) {
                (Some(first), Some(last)) => format!(", {first} to {last}"),
                _ => String::new(),
            };
            let later = later(event.ready_at, event.visible_at);
            (
                event.ready_at,
                format!("{} messages{ids}{later}", event.message_count),
            )
        }
        PgmqNotifyEvent::QueueCreated(event) => {
            let kind = match (event.is_partitioned, event.is_unlogged) {
                (true, _) => " (partitioned)",
                (_, true) => " (unlogged)",
                _ => "",
            };
            (event.created_at, format!("queue created{kind}"))
        }
        PgmqNotifyEvent::QueueDropped(event) => (event.dropped_at, "queue dropped".into()),
        // `Resumed` is said elsewhere; an event of a newer core.
        other => (SystemTime::now(), other.event_type().into()),
    }
}

/// For what is not visible yet.
fn later(ready_at: SystemTime, visible_at: SystemTime) -> String {
    match visible_at.duration_since(ready_at) {
        Ok(delay) if delay > Duration::ZERO => {
            // In whole seconds, as an event has it: some of the delay is over when the trigger runs.
            let delay = if delay >= Duration::from_secs(1) {
                Duration::from_secs(delay.as_secs() + u64::from(delay.subsec_nanos() > 0))
            } else {
                Duration::from_millis(u64::from(delay.subsec_millis()).max(1))
            };
            format!(", visible in {}", humantime::format_duration(delay))
        }
        _ => String::new(),
    }
}

/// `12:31:07.123Z`
fn clock(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_millis(time).to_string();
    let at = text.find('T').map_or(0, |at| at + 1);
    text[at..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, fields: &str) -> PgmqNotifyEvent {
        let json = format!(
            r#"{{"event_type":"{kind}","queue_name":"orders_queue","namespace":"orders",{fields}}}"#
        );
        PgmqNotifyEvent::from_json(&json).unwrap()
    }

    fn plain(event: &PgmqNotifyEvent, bodies: bool, columns: Option<usize>) -> String {
        anstream::adapter::strip_str(&readable(event, bodies, columns)).to_string()
    }

    const AT: &str =
        r#""ready_at":"2026-01-02T03:04:05.678901Z","visible_at":"2026-01-02T03:04:05.678901Z""#;

    fn with_body() -> PgmqNotifyEvent {
        event(
            "message_with_payload",
            &format!(
                r#""msg_id":7,"message":{{"id": 7}},"headers":{{"a":1}},"delay_seconds":0,{AT}"#
            ),
        )
    }

    #[test]
    fn each_event_has_its_line() {
        let later = r#""ready_at":"2026-01-02T03:04:05Z","visible_at":"2026-01-02T03:09:05.25Z""#;
        for (event, line) in [
            (
                event("message_ready", &format!(r#""msg_id":7,{AT}"#)),
                "03:04:05.678Z  orders_queue  message 7",
            ),
            (
                event("message_ready", &format!(r#""msg_id":8,{later}"#)),
                "03:04:05.000Z  orders_queue  message 8, visible in 5m 1s",
            ),
            (
                event(
                    "batch_ready",
                    &format!(r#""msg_ids":[9,10,12],"message_count":3,{AT}"#),
                ),
                "03:04:05.678Z  orders_queue  3 messages, 9 to 12",
            ),
            (
                event(
                    "queue_created",
                    r#""created_at":"2026-01-02T03:04:05Z","is_partitioned":false,"is_unlogged":true"#,
                ),
                "03:04:05.000Z  orders_queue  queue created (unlogged)",
            ),
            (
                event("queue_dropped", r#""dropped_at":"2026-01-02T03:04:05Z""#),
                "03:04:05.000Z  orders_queue  queue dropped",
            ),
        ] {
            assert_eq!(plain(&event, true, None), line);
        }
    }

    #[test]
    fn a_body_is_shown_when_it_is_asked_for_and_cut_to_the_terminal() {
        let event = with_body();
        for (bodies, columns, line) in [
            (false, None, "03:04:05.678Z  orders_queue  message 7"),
            (
                true,
                None,
                r#"03:04:05.678Z  orders_queue  message 7  {"id": 7}  headers {"a":1}"#,
            ),
            (
                true,
                Some(48),
                r#"03:04:05.678Z  orders_queue  message 7  {"id": …"#,
            ),
            (true, Some(30), "03:04:05.678Z  orders…  messa…"),
        ] {
            let plain = plain(&event, bodies, columns);
            assert_eq!(plain, line);
            assert!(columns.is_none_or(|columns| width(&plain) <= columns));
        }
    }

    #[test]
    fn a_terminal_obeys_no_body() {
        let event = event(
            "message_with_payload",
            &format!(
                r#""msg_id":7,"message":"a{}b","headers":null,"delay_seconds":0,{AT}"#,
                '\u{9b}'
            ),
        );
        assert!(!plain(&event, true, None).contains('\u{9b}'));
    }

    #[test]
    fn for_a_program_an_event_is_as_on_the_wire_with_its_body_or_without() {
        let event = with_body();
        assert_eq!(json(&event, true).unwrap(), event.to_json().unwrap());
        assert_eq!(
            json(&event, false).unwrap(),
            format!(
                r#"{{"event_type":"message_with_payload","queue_name":"orders_queue","namespace":"orders","msg_id":7,{AT},"delay_seconds":0}}"#
            )
        );
    }
}
