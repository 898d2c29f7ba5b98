//! JSON both ways: one flat object whose field `event_type` says which event it is.

mod fields;
mod published;
mod time;
mod value;

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use self::fields::Wire;
use crate::{
    BatchReadyEvent, MessageReadyEvent, MessageWithPayloadEvent, Namespace, PgmqNotifyEvent,
    QueueCreatedEvent, QueueDroppedEvent, QueueName, RawJson, ResumeReason, ResumedEvent,
};

/// The largest time that RFC 3339 can write, in seconds since 1970: the last second of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

/// Why a text is no event.
#[derive(Debug)]
pub struct DecodeEventError(Reason);

#[derive(Debug)]
enum Reason {
    Json(serde_json::Error),
    UnknownType(String),
    Field(&'static str, String),
}

impl DecodeEventError {
    /// The `event_type` that this version does not know, when that is the reason. A newer trigger
    /// may have sent it.
    pub fn unknown_event_type(&self) -> Option<&str> {
        match &self.0 {
            Reason::UnknownType(name) => Some(name),
            _ => None,
        }
    }

    fn missing(field: &'static str) -> Self {
        Self(Reason::Field(field, "is missing".into()))
    }

    fn wrong(field: &'static str, why: &impl ToString) -> Self {
        Self(Reason::Field(field, why.to_string()))
    }
}

impl fmt::Display for DecodeEventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Reason::Json(_) => {
                f.write_str("the notification is not a JSON object of the expected shape")
            }
            Reason::UnknownType(name) => write!(f, "unknown event_type {name:?}"),
            Reason::Field(field, why) => write!(f, "field {field:?}: {why}"),
        }
    }
}

impl std::error::Error for DecodeEventError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            Reason::Json(error) => Some(error),
            _ => None,
        }
    }
}

impl Wire<'_> {
    fn event(&mut self) -> Result<PgmqNotifyEvent, DecodeEventError> {
        Ok(match field("event_type", self.event_type.as_deref())? {
            "queue_created" => PgmqNotifyEvent::QueueCreated(QueueCreatedEvent {
                queue_name: self.queue_name()?,
                namespace: self.namespace()?,
                created_at: time("created_at", self.created_at.as_deref())?,
                is_partitioned: field("is_partitioned", self.is_partitioned)?,
                is_unlogged: field("is_unlogged", self.is_unlogged)?,
            }),
            "queue_dropped" => PgmqNotifyEvent::QueueDropped(QueueDroppedEvent {
                queue_name: self.queue_name()?,
                namespace: self.namespace()?,
                dropped_at: time("dropped_at", self.dropped_at.as_deref())?,
            }),
            "message_ready" => {
                let (ready_at, visible_at) = self.times()?;
                PgmqNotifyEvent::MessageReady(MessageReadyEvent {
                    queue_name: self.queue_name()?,
                    namespace: self.namespace()?,
                    msg_id: field("msg_id", self.msg_id)?,
                    ready_at,
                    visible_at,
                    wakes: self.wakes(),
                })
            }
            "message_with_payload" => {
                let (ready_at, visible_at) = self.times()?;
                PgmqNotifyEvent::MessageWithPayload(MessageWithPayloadEvent {
                    queue_name: self.queue_name()?,
                    namespace: self.namespace()?,
                    msg_id: field("msg_id", self.msg_id)?,
                    message: RawJson::new(field("message", self.message)?.get()),
                    headers: self.headers.map(|headers| RawJson::new(headers.get())),
                    ready_at,
                    visible_at,
                    delay_seconds: field("delay_seconds", self.delay_seconds)?,
                    wakes: self.wakes(),
                })
            }
            "batch_ready" => PgmqNotifyEvent::BatchReady(self.batch()?),
            "resumed" => PgmqNotifyEvent::Resumed(self.resumed()?),
            other => return Err(DecodeEventError(Reason::UnknownType(other.to_owned()))),
        })
    }

    fn queue_name(&self) -> Result<QueueName, DecodeEventError> {
        let name = self.queue_name.as_deref();
        QueueName::new(field("queue_name", name)?)
            .map_err(|error| DecodeEventError::wrong("queue_name", &error))
    }

    fn namespace(&self) -> Result<Namespace, DecodeEventError> {
        let name = self.namespace.as_deref();
        Namespace::new(field("namespace", name)?)
            .map_err(|error| DecodeEventError::wrong("namespace", &error))
    }

    /// `ready_at` and `visible_at`, which are the same but for a delayed message.
    fn times(&self) -> Result<(SystemTime, SystemTime), DecodeEventError> {
        let ready_at = time("ready_at", self.ready_at.as_deref())?;
        if self.visible_at.as_deref() == self.ready_at.as_deref() {
            return Ok((ready_at, ready_at));
        }
        let visible_at = time("visible_at", self.visible_at.as_deref())?;
        Ok((ready_at, visible_at))
    }

    fn batch(&mut self) -> Result<BatchReadyEvent, DecodeEventError> {
        let queue_name = self.queue_name()?;
        let namespace = self.namespace()?;
        let (ready_at, visible_at) = self.times()?;
        let message_count = field("message_count", self.message_count)?;
        let msg_ids = field("msg_ids", self.msg_ids.take())?;
        if msg_ids.len() as u64 != message_count {
            let why = format!("is {message_count}, but msg_ids has {}", msg_ids.len());
            return Err(DecodeEventError::wrong("message_count", &why));
        }
        Ok(BatchReadyEvent {
            queue_name,
            namespace,
            msg_ids,
            message_count,
            ready_at,
            visible_at,
            wakes: self.wakes(),
        })
    }

    fn wakes(&mut self) -> Vec<i64> {
        self.wakes.take().unwrap_or_default()
    }

    fn resumed(&self) -> Result<ResumedEvent, DecodeEventError> {
        let name = field("reason", self.reason.as_deref())?;
        let reason = [ResumeReason::Reconnected, ResumeReason::Overflow]
            .into_iter()
            .find(|reason| reason.as_str() == name)
            .ok_or_else(|| {
                DecodeEventError::wrong("reason", &format!("unknown reason {name:?}"))
            })?;
        let gap = Duration::try_from_secs_f64(field("gap_seconds", self.gap_seconds)?)
            .map_err(|error| DecodeEventError::wrong("gap_seconds", &error))?;
        Ok(ResumedEvent { reason, gap })
    }
}

/// An event as anybody may write it.
fn read(text: &str) -> Result<PgmqNotifyEvent, DecodeEventError> {
    let mut wire = Wire::read(text).map_err(|error| DecodeEventError(Reason::Json(error)))?;
    wire.event()
}

fn field<T>(name: &'static str, value: Option<T>) -> Result<T, DecodeEventError> {
    value.ok_or_else(|| DecodeEventError::missing(name))
}

fn time(name: &'static str, value: Option<&str>) -> Result<SystemTime, DecodeEventError> {
    time::parse(field(name, value)?).map_err(|error| {
        let why = format!(
            "{:?} is no RFC 3339 time in UTC: {error}",
            value.unwrap_or_default()
        );
        DecodeEventError::wrong(name, &why)
    })
}

impl PgmqNotifyEvent {
    /// Reads one event from the JSON object of a notification. Feature `serde`.
    ///
    /// Unknown fields are ignored, so that an old listener lives with a newer trigger.
    ///
    /// # Errors
    ///
    /// When `text` is no event; an unknown `event_type` is told apart by
    /// [`DecodeEventError::unknown_event_type`].
    pub fn from_json(text: &str) -> Result<Self, DecodeEventError> {
        match published::read(text) {
            Some(event) => Ok(event),
            None => read(text),
        }
    }

    /// Writes the event as one JSON object, without line breaks of its own. Feature `serde`.
    ///
    /// # Errors
    ///
    /// When a [`RawJson`] in it holds a text that is no JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }
}

impl Serialize for PgmqNotifyEvent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("event_type", self.event_type())?;
        if let (Some(queue_name), Some(namespace)) = (self.queue_name(), self.namespace()) {
            map.serialize_entry("queue_name", queue_name.as_str())?;
            map.serialize_entry("namespace", namespace.as_str())?;
        }
        match self {
            Self::QueueCreated(event) => {
                map.serialize_entry("created_at", &rfc3339(event.created_at))?;
                map.serialize_entry("is_partitioned", &event.is_partitioned)?;
                map.serialize_entry("is_unlogged", &event.is_unlogged)?;
            }
            Self::QueueDropped(event) => {
                map.serialize_entry("dropped_at", &rfc3339(event.dropped_at))?;
            }
            Self::MessageReady(event) => {
                map.serialize_entry("msg_id", &event.msg_id)?;
                map.serialize_entry("ready_at", &rfc3339(event.ready_at))?;
                map.serialize_entry("visible_at", &rfc3339(event.visible_at))?;
            }
            Self::MessageWithPayload(event) => {
                map.serialize_entry("msg_id", &event.msg_id)?;
                map.serialize_entry("message", &event.message)?;
                map.serialize_entry("headers", &event.headers)?;
                map.serialize_entry("ready_at", &rfc3339(event.ready_at))?;
                map.serialize_entry("visible_at", &rfc3339(event.visible_at))?;
                map.serialize_entry("delay_seconds", &event.delay_seconds)?;
            }
            Self::BatchReady(event) => {
                map.serialize_entry("msg_ids", &event.msg_ids)?;
                map.serialize_entry("message_count", &event.message_count)?;
                map.serialize_entry("ready_at", &rfc3339(event.ready_at))?;
                map.serialize_entry("visible_at", &rfc3339(event.visible_at))?;
            }
            Self::Resumed(event) => {
                map.serialize_entry("reason", event.reason.as_str())?;
                map.serialize_entry("gap_seconds", &event.gap.as_secs_f64())?;
            }
        }
        if let Some(wakes) = self.wakes().filter(|it| !it.is_empty()) {
            map.serialize_entry("wakes", wakes)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for PgmqNotifyEvent {
    /// From `serde_json` only, because the body is kept as raw JSON text.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Box::<RawValue>::deserialize(from)?;
        Self::from_json(text.get()).map_err(de::Error::custom)
    }
}

impl Serialize for RawJson {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(self.as_str())
            .map_err(serde::ser::Error::custom)?
            .serialize(to)
    }
}

impl<'de> Deserialize<'de> for RawJson {
    /// From `serde_json` only, because the value is kept as text.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::new(Box::<str>::from(Box::<RawValue>::deserialize(
            from,
        )?)))
    }
}

/// The wire knows the years 1970 to 9999; PostgreSQL's triggers clamp to the same range.
fn rfc3339(time: SystemTime) -> String {
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_SECOND);
    let time = time.clamp(SystemTime::UNIX_EPOCH, last);
    humantime::format_rfc3339_micros(time).to_string()
}
