//! The wire format, pinned on literal JSON: old listeners and newer triggers depend on it.
#![cfg(feature = "serde")]

use std::time::{Duration, SystemTime};

use pgmq_notify_core::{
    BatchReadyEvent, MessageReadyEvent, MessageWithPayloadEvent, Namespace, PgmqNotifyEvent,
    QueueCreatedEvent, QueueDroppedEvent, QueueName, RawJson, ResumeReason, ResumedEvent,
};

fn at(micros: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(1_790_000_000_000_000 + micros)
}

fn queue() -> QueueName {
    QueueName::new("Orders_queue").expect("a valid name")
}

fn namespace() -> Namespace {
    Namespace::new("Orders").expect("a valid name")
}

fn every_event() -> Vec<(PgmqNotifyEvent, &'static str)> {
    let (queue_name, namespace) = (queue(), namespace());
    vec![
        (
            PgmqNotifyEvent::QueueCreated(QueueCreatedEvent {
                queue_name: queue_name.clone(),
                namespace: namespace.clone(),
                created_at: at(0),
                is_partitioned: false,
                is_unlogged: true,
            }),
            r#"{"event_type":"queue_created","queue_name":"Orders_queue","namespace":"Orders","created_at":"2026-09-21T14:13:20.000000Z","is_partitioned":false,"is_unlogged":true}"#,
        ),
        (
            PgmqNotifyEvent::QueueDropped(QueueDroppedEvent {
                queue_name: queue_name.clone(),
                namespace: namespace.clone(),
                dropped_at: at(123_456),
            }),
            r#"{"event_type":"queue_dropped","queue_name":"Orders_queue","namespace":"Orders","dropped_at":"2026-09-21T14:13:20.123456Z"}"#,
        ),
        (
            PgmqNotifyEvent::MessageReady(MessageReadyEvent {
                queue_name: queue_name.clone(),
                namespace: namespace.clone(),
                msg_id: 9_223_372_036_854_775_807,
                ready_at: at(1),
                visible_at: at(2),
                wakes: vec![7, 4711],
            }),
            r#"{"event_type":"message_ready","queue_name":"Orders_queue","namespace":"Orders","msg_id":9223372036854775807,"ready_at":"2026-09-21T14:13:20.000001Z","visible_at":"2026-09-21T14:13:20.000002Z","wakes":[7,4711]}"#,
        ),
        (
            PgmqNotifyEvent::MessageWithPayload(MessageWithPayloadEvent {
                queue_name: queue_name.clone(),
                namespace: namespace.clone(),
                msg_id: 1,
                message: RawJson::new(r#"{"id": 1, "big": 12345678901234567890123}"#),
                headers: Some(RawJson::new(r#"{"trace": "ä"}"#)),
                ready_at: at(0),
                visible_at: at(5_000_000),
                delay_seconds: 5,
                wakes: Vec::new(),
            }),
            r#"{"event_type":"message_with_payload","queue_name":"Orders_queue","namespace":"Orders","msg_id":1,"message":{"id": 1, "big": 12345678901234567890123},"headers":{"trace": "ä"},"ready_at":"2026-09-21T14:13:20.000000Z","visible_at":"2026-09-21T14:13:25.000000Z","delay_seconds":5}"#,
        ),
        (
            PgmqNotifyEvent::MessageWithPayload(MessageWithPayloadEvent {
                queue_name: queue_name.clone(),
                namespace: namespace.clone(),
                msg_id: 2,
                message: RawJson::new("null"),
                headers: None,
                ready_at: at(0),
                visible_at: at(0),
                delay_seconds: 0,
                wakes: Vec::new(),
            }),
            r#"{"event_type":"message_with_payload","queue_name":"Orders_queue","namespace":"Orders","msg_id":2,"message":null,"headers":null,"ready_at":"2026-09-21T14:13:20.000000Z","visible_at":"2026-09-21T14:13:20.000000Z","delay_seconds":0}"#,
        ),
        (
            PgmqNotifyEvent::BatchReady(BatchReadyEvent {
                queue_name,
                namespace,
                msg_ids: vec![1, 2, 5],
                message_count: 3,
                ready_at: at(0),
                visible_at: at(0),
                wakes: Vec::new(),
            }),
            r#"{"event_type":"batch_ready","queue_name":"Orders_queue","namespace":"Orders","msg_ids":[1,2,5],"message_count":3,"ready_at":"2026-09-21T14:13:20.000000Z","visible_at":"2026-09-21T14:13:20.000000Z"}"#,
        ),
        (
            PgmqNotifyEvent::Resumed(ResumedEvent {
                reason: ResumeReason::Reconnected,
                gap: Duration::from_millis(1500),
            }),
            r#"{"event_type":"resumed","reason":"reconnected","gap_seconds":1.5}"#,
        ),
    ]
}

#[test]
fn every_event_has_the_documented_json() {
    for (event, json) in every_event() {
        assert_eq!(event.to_json().unwrap(), json);
    }
}

#[test]
fn every_event_is_read_back_from_the_documented_json() {
    for (event, json) in every_event() {
        assert_eq!(PgmqNotifyEvent::from_json(json).unwrap(), event, "{json}");
        assert_eq!(
            serde_json::from_str::<PgmqNotifyEvent>(json).unwrap(),
            event,
            "{json}"
        );
    }
}

#[test]
fn unknown_fields_are_ignored() {
    let (event, json) = every_event().swap_remove(2);
    let newer = json.replacen('{', r#"{"priority":{"a":[1]},"#, 1);
    assert_eq!(PgmqNotifyEvent::from_json(&newer).unwrap(), event);
}

#[test]
fn an_unknown_event_type_is_told_apart_from_nonsense() {
    let newer = PgmqNotifyEvent::from_json(r#"{"event_type":"queue_paused"}"#).unwrap_err();
    assert_eq!(newer.unknown_event_type(), Some("queue_paused"));
    for nonsense in ["", "[]", "{}", "hello", r#"{"event_type":1}"#, "\u{0}"] {
        let error = PgmqNotifyEvent::from_json(nonsense).unwrap_err();
        assert_eq!(error.unknown_event_type(), None, "{nonsense}");
    }
}

#[test]
fn a_missing_or_impossible_field_is_named() {
    let (_, json) = every_event().swap_remove(2);
    for (from, to, named) in [
        (r#","msg_id":9223372036854775807"#, "", "msg_id"),
        ("Orders_queue", "a;b", "queue_name"),
        (r#""namespace":"Orders""#, r#""namespace":"""#, "namespace"),
        ("2026-09-21T14:13:20.000001Z", "yesterday", "ready_at"),
    ] {
        let message = PgmqNotifyEvent::from_json(&json.replace(from, to))
            .unwrap_err()
            .to_string();
        assert!(message.contains(named), "{message}");
    }
    let batch = r#"{"event_type":"batch_ready","queue_name":"q","namespace":"n","msg_ids":[1],"message_count":2,"ready_at":"2026-09-21T14:13:20Z","visible_at":"2026-09-21T14:13:20Z"}"#;
    let message = PgmqNotifyEvent::from_json(batch).unwrap_err().to_string();
    assert!(message.contains("message_count"), "{message}");
}

#[test]
fn a_body_is_decoded_into_the_type_of_its_user() {
    #[derive(serde::Deserialize, PartialEq, Debug)]
    struct Order {
        id: u32,
    }
    let body = RawJson::new(r#"{"id": 7}"#);
    assert_eq!(body.decode::<Order>().unwrap(), Order { id: 7 });
    assert!(RawJson::new("[]").decode::<Order>().is_err());
}

#[test]
fn times_that_rfc_3339_cannot_write_are_clamped() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(400_000_000_000);
    let event = PgmqNotifyEvent::QueueDropped(QueueDroppedEvent {
        queue_name: queue(),
        namespace: namespace(),
        dropped_at: far,
    });
    assert!(event.to_json().unwrap().contains("9999-12-31T23:59:59"));
}

#[test]
fn strings_are_read_whether_they_have_escapes_or_not() {
    let plain = r#"{"event_type":"queue_dropped","queue_name":"a\"b","namespace":"größe","dropped_at":"2026-09-21T14:13:20Z"}"#;
    let escaped = r#"{"\u0065vent_type":"queue\u005fdropped","queue_name":"a\u0022b","namespace":"gr\u00f6\u00dfe","dropped_at":"2026-09-21T14:13:20\u005A"}"#;
    let event = PgmqNotifyEvent::from_json(plain).unwrap();
    assert_eq!(event.queue_name().unwrap(), "a\"b");
    assert_eq!(PgmqNotifyEvent::from_json(escaped).unwrap(), event);
}

#[test]
fn what_is_no_object_with_each_field_once_and_nothing_behind_it_is_refused() {
    let (_, json) = every_event().swap_remove(2);
    let twice = json.replace(r#","msg_id""#, r#","msg_id":1,"msg_id""#);
    let body = r#"{"event_type":"message_with_payload","message":1,"message":2}"#;
    for text in [
        "[]",
        r#"["queue_dropped","q"]"#,
        "null",
        &twice,
        body,
        &format!("{json} {json}"),
        &json[..json.len() - 1],
    ] {
        let error = PgmqNotifyEvent::from_json(text).unwrap_err();
        assert!(error.unknown_event_type().is_none(), "{text}");
        assert!(error.to_string().contains("JSON object"), "{text}: {error}");
    }
}
