//! The decoder and what a stranger may send it: whatever the text is, it is an event or an error.
#![cfg(feature = "serde")]

use std::time::{Duration, SystemTime};

use fastrand::Rng;
use pgmq_notify_core::{
    BatchReadyEvent, MessageReadyEvent, MessageWithPayloadEvent, Namespace, PgmqNotifyEvent,
    QueueCreatedEvent, QueueDroppedEvent, QueueName, RawJson, ResumeReason, ResumedEvent,
};

const ROUNDS: u64 = 20_000;

/// Every field that some event has, one that none has, and one of which two are a mistake.
const FIELDS: [&str; 18] = [
    "event_type",
    "event_type",
    "queue_name",
    "namespace",
    "created_at",
    "dropped_at",
    "ready_at",
    "visible_at",
    "is_partitioned",
    "is_unlogged",
    "msg_id",
    "msg_ids",
    "message_count",
    "message",
    "headers",
    "delay_seconds",
    "reason",
    "gap_seconds",
];

/// What is JSON, and may be more than a field can hold.
const SCALARS: [&str; 24] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-1",
    "1",
    "1.5",
    "1e400",
    "-1e400",
    "1e-400",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    r#""""#,
    r#""orders_queue""#,
    r#""a;b""#,
    r#""\u0000""#,
    r#""\ud83d\ude00""#,
    r#""\ud83d""#,
    r#""2026-09-21T14:13:20.123456Z""#,
    r#""9999-99-99T99:99:99.999999999Z""#,
    r#""0000-01-01T00:00:00Z""#,
];

/// Pieces of JSON, and of what is none.
const PIECES: [&str; 16] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u",
    "\0",
    "1",
    "e",
    "-",
    "ä",
    "\u{10ffff}",
    " ",
];

/// What an error says may quote the text, escaped.
fn decoded(text: &str) -> Option<PgmqNotifyEvent> {
    match PgmqNotifyEvent::from_json(text) {
        Ok(event) => Some(event),
        Err(error) => {
            let said = error.to_string().len();
            assert!(said <= 200 + 12 * text.len(), "{said} bytes about {text}");
            if let Some(name) = error.unknown_event_type() {
                assert!(name.len() <= text.len());
            }
            None
        }
    }
}

/// What was decoded can be written, and is then the same.
fn is_whole(event: &PgmqNotifyEvent, text: &str) {
    let written = event
        .to_json()
        .unwrap_or_else(|error| panic!("{error}: {text}"));
    let again =
        PgmqNotifyEvent::from_json(&written).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(
        again.to_json().expect("it was written before"),
        written,
        "{text}"
    );
    assert_eq!(
        (again.event_type(), again.queue_name()),
        (event.event_type(), event.queue_name())
    );
}

fn json(rng: &mut Rng, depth: u32) -> String {
    let inner = |rng: &mut Rng| json(rng, depth.saturating_sub(1));
    match rng.u8(..if depth == 0 { 6 } else { 10 }) {
        0..=3 => SCALARS[rng.usize(..SCALARS.len())].to_owned(),
        4 => rng.i64(..).to_string(),
        5 => serde_json::to_string(&string(rng)).expect("a string is JSON"),
        6 | 7 => {
            let items: Vec<_> = (0..rng.usize(..4)).map(|_| inner(rng)).collect();
            format!("[{}]", items.join(","))
        }
        _ => object(rng, depth - 1),
    }
}

fn string(rng: &mut Rng) -> String {
    (0..rng.usize(..60)).map(|_| rng.char(..)).collect()
}

/// An object with fields of an event, in any order, some of them twice or not at all.
fn object(rng: &mut Rng, depth: u32) -> String {
    let fields: Vec<_> = (0..rng.usize(..FIELDS.len()))
        .map(|_| {
            format!(
                "\"{}\":{}",
                FIELDS[rng.usize(..FIELDS.len())],
                json(rng, depth)
            )
        })
        .collect();
    format!("{{{}}}", fields.join(","))
}

fn name(rng: &mut Rng) -> String {
    let allowed = |character: &char| !"$;'-\0".contains(*character);
    let length = rng.usize(1..=QueueName::MAX_CHARS);
    std::iter::repeat_with(|| rng.char(..))
        .filter(allowed)
        .take(length)
        .collect()
}

fn time(rng: &mut Rng) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(rng.u64(..253_402_300_800_000_000))
}

/// JSON without a number that a body may hold and a decoder of it may refuse.
fn wakes(rng: &mut Rng) -> Vec<i64> {
    (0..rng.usize(..3)).map(|_| rng.i64(..)).collect()
}

fn body(rng: &mut Rng) -> RawJson {
    RawJson::new(serde_json::to_string(&(string(rng), rng.i64(..))).expect("it is JSON"))
}

fn event(rng: &mut Rng) -> PgmqNotifyEvent {
    let queue_name = QueueName::new(name(rng)).expect("only what is allowed");
    let namespace = Namespace::new(name(rng)).expect("only what is allowed");
    match rng.u8(..6) {
        0 => PgmqNotifyEvent::QueueCreated(QueueCreatedEvent {
            queue_name,
            namespace,
            created_at: time(rng),
            is_partitioned: rng.bool(),
            is_unlogged: rng.bool(),
        }),
        1 => PgmqNotifyEvent::QueueDropped(QueueDroppedEvent {
            queue_name,
            namespace,
            dropped_at: time(rng),
        }),
        2 => PgmqNotifyEvent::MessageReady(MessageReadyEvent {
            queue_name,
            namespace,
            msg_id: rng.i64(..),
            ready_at: time(rng),
            visible_at: time(rng),
            wakes: wakes(rng),
        }),
        3 => PgmqNotifyEvent::MessageWithPayload(MessageWithPayloadEvent {
            queue_name,
            namespace,
            msg_id: rng.i64(..),
            message: body(rng),
            headers: rng.bool().then(|| body(rng)),
            ready_at: time(rng),
            visible_at: time(rng),
            delay_seconds: rng.u64(..),
            wakes: wakes(rng),
        }),
        4 => {
            let msg_ids: Vec<_> = (0..rng.usize(..50)).map(|_| rng.i64(..)).collect();
            PgmqNotifyEvent::BatchReady(BatchReadyEvent {
                queue_name,
                namespace,
                message_count: msg_ids.len() as u64,
                msg_ids,
                ready_at: time(rng),
                visible_at: time(rng),
                wakes: wakes(rng),
            })
        }
        _ => PgmqNotifyEvent::Resumed(ResumedEvent {
            reason: [ResumeReason::Reconnected, ResumeReason::Overflow][rng.usize(..2)],
            gap: Duration::from_millis(rng.u64(..1 << 32)),
        }),
    }
}

fn fields_of(object: &str) -> Vec<(String, String)> {
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(object).expect("an object");
    let fields = fields.into_iter();
    fields
        .map(|(name, value)| (name, value.to_string()))
        .collect()
}

/// Cuts, inserts and repeats, where it likes.
fn damage(rng: &mut Rng, text: &str) -> String {
    let mut characters: Vec<_> = text.chars().collect();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..=characters.len());
        let end = rng.usize(at..=characters.len());
        match rng.u8(..4) {
            0 => drop(characters.drain(at..end.min(at + 3))),
            1 => characters.truncate(at),
            2 => drop(characters.splice(at..at, PIECES[rng.usize(..PIECES.len())].chars())),
            _ => {
                let piece: Vec<_> = characters[at..end].to_vec();
                drop(characters.splice(at..at, piece));
            }
        }
    }
    characters.into_iter().collect()
}

#[test]
fn every_event_is_read_as_it_was_written() {
    for seed in 0..ROUNDS {
        let event = event(&mut Rng::with_seed(seed));
        let text = event.to_json().expect("it can be written");
        assert_eq!(decoded(&text).as_ref(), Some(&event), "seed {seed}: {text}");
    }
}

#[test]
fn arbitrary_json_is_an_event_or_an_error() {
    for seed in 0..ROUNDS {
        let rng = &mut Rng::with_seed(seed);
        let text = if rng.bool() {
            json(rng, 5)
        } else {
            object(rng, 4)
        };
        if let Some(event) = decoded(&text) {
            is_whole(&event, &text);
        }
    }
}

#[test]
fn a_field_of_any_other_kind_is_an_event_or_an_error() {
    let mut events = 0;
    for seed in 0..ROUNDS {
        let rng = &mut Rng::with_seed(seed);
        let written = event(rng).to_json().expect("it can be written");
        let mut fields = fields_of(&written);
        let changed = rng.usize(..fields.len());
        fields[changed].1 = json(rng, 3);
        let fields = fields
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        let text = format!("{{{}}}", fields.collect::<Vec<_>>().join(","));
        if let Some(event) = decoded(&text) {
            is_whole(&event, &text);
            events += 1;
        }
    }
    assert!(events > 0);
}

#[test]
fn a_damaged_event_is_an_event_or_an_error() {
    let mut survived = 0;
    for seed in 0..ROUNDS {
        let rng = &mut Rng::with_seed(seed);
        let written = event(rng).to_json().expect("it can be written");
        let text = damage(rng, &written);
        if let Some(event) = decoded(&text) {
            is_whole(&event, &text);
            survived += 1;
        }
    }
    assert!(
        survived > 0,
        "every damage was noticed, so hardly any was done"
    );
}

#[test]
fn depth_costs_no_stack() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}0{}", open.repeat(100_000), close.repeat(100_000));
        assert!(decoded(&deep).is_none());
        let text = format!(
            r#"{{"event_type":"message_with_payload","queue_name":"q","namespace":"n","msg_id":1,"message":{deep},"headers":null,"ready_at":"2026-01-01T00:00:00Z","visible_at":"2026-01-01T00:00:00Z","delay_seconds":0}}"#
        );
        // A body is not looked into.
        decoded(&text);
    }
}
