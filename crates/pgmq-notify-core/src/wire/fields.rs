use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A string, without a copy of it where it has no escapes.
///
/// A type of its own, because serde borrows for a field of the type `Cow`, and copies for one of the
/// type `Option<Cow>`.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Every field that any event has; unknown ones are ignored.
#[derive(Default)]
pub(super) struct Wire<'a> {
    pub(super) event_type: Option<Text<'a>>,
    pub(super) queue_name: Option<Text<'a>>,
    pub(super) namespace: Option<Text<'a>>,
    pub(super) created_at: Option<Text<'a>>,
    pub(super) dropped_at: Option<Text<'a>>,
    pub(super) ready_at: Option<Text<'a>>,
    pub(super) visible_at: Option<Text<'a>>,
    pub(super) is_partitioned: Option<bool>,
    pub(super) is_unlogged: Option<bool>,
    pub(super) msg_id: Option<i64>,
    pub(super) msg_ids: Option<Vec<i64>>,
    pub(super) message_count: Option<u64>,
    // Not `null` to `None`, as for the other fields: a body that is SQL `NULL` is there.
    pub(super) message: Option<&'a RawValue>,
    pub(super) headers: Option<&'a RawValue>,
    pub(super) delay_seconds: Option<u64>,
    pub(super) wakes: Option<Vec<i64>>,
    pub(super) reason: Option<Text<'a>>,
    pub(super) gap_seconds: Option<f64>,
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    EventType,
    QueueName,
    Namespace,
    CreatedAt,
    DroppedAt,
    ReadyAt,
    VisibleAt,
    IsPartitioned,
    IsUnlogged,
    MsgId,
    MsgIds,
    MessageCount,
    Message,
    Headers,
    DelaySeconds,
    Wakes,
    Reason,
    GapSeconds,
    #[serde(other)]
    Unknown,
}

impl<'a> Wire<'a> {
    /// Reads one JSON object, and nothing behind it.
    pub(super) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        let mut wire = Self::default();
        let mut from = serde_json::Deserializer::from_str(text);
        Fill(&mut wire).deserialize(&mut from)?;
        from.end()?;
        Ok(wire)
    }
}

/// Writes the fields where they belong. What serde derives collects them in variables, and then moves
/// the whole structure several times.
struct Fill<'w, 'a>(&'w mut Wire<'a>);

impl<'de> DeserializeSeed<'de> for Fill<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fill<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let wire = self.0;
        while let Some(field) = map.next_key()? {
            match field {
                Field::EventType => once(&mut wire.event_type, &mut map)?,
                Field::QueueName => once(&mut wire.queue_name, &mut map)?,
                Field::Namespace => once(&mut wire.namespace, &mut map)?,
                Field::CreatedAt => once(&mut wire.created_at, &mut map)?,
                Field::DroppedAt => once(&mut wire.dropped_at, &mut map)?,
                Field::ReadyAt => once(&mut wire.ready_at, &mut map)?,
                Field::VisibleAt => once(&mut wire.visible_at, &mut map)?,
                Field::IsPartitioned => once(&mut wire.is_partitioned, &mut map)?,
                Field::IsUnlogged => once(&mut wire.is_unlogged, &mut map)?,
                Field::MsgId => once(&mut wire.msg_id, &mut map)?,
                Field::MsgIds => once(&mut wire.msg_ids, &mut map)?,
                Field::MessageCount => once(&mut wire.message_count, &mut map)?,
                Field::Message => {
                    let message: &RawValue = map.next_value()?;
                    if wire.message.replace(message).is_some() {
                        return Err(twice());
                    }
                }
                Field::Headers => once(&mut wire.headers, &mut map)?,
                Field::DelaySeconds => once(&mut wire.delay_seconds, &mut map)?,
                Field::Wakes => once(&mut wire.wakes, &mut map)?,
                Field::Reason => once(&mut wire.reason, &mut map)?,
                Field::GapSeconds => once(&mut wire.gap_seconds, &mut map)?,
                Field::Unknown => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads a field, `null` as if it were not there.
fn once<'de, T: Deserialize<'de>, A: MapAccess<'de>>(
    field: &mut Option<T>,
    map: &mut A,
) -> Result<(), A::Error> {
    if field.is_some() {
        return Err(twice());
    }
    *field = map.next_value()?;
    Ok(())
}

fn twice<E: de::Error>() -> E {
    E::custom("a field occurs twice")
}
