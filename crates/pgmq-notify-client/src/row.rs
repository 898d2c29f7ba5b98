//! Rows of `pgmq.message_record`, of every release since 1.5.

use std::time::SystemTime;

use pgmq_notify_core::RawJson;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::{PgRow, PgValueFormat, PgValueRef};

use crate::failure::Failure;
use crate::json::JSONB_VERSION;
use crate::timestamp::Timestamp;
use crate::{Message, Received, UndecodableMessage};

/// Selects messages from a function of PGMQ, in the order and with the types that `message` expects.
///
/// `last_read_at` came with PGMQ 1.10. The inner `select` finds the record's own column if it has
/// one, and otherwise the outer null: so one text serves every release, and a prepared statement
/// survives an upgrade because its result type does not change.
macro_rules! select_messages {
    ($function:literal) => {
        concat!(
            "select m.msg_id, m.read_ct, m.enqueued_at, ",
            "(select last_read_at from (select m.*) as present), ",
            "m.vt, m.headers, m.message ",
            "from (select null::timestamp with time zone as last_read_at) as absent, ",
            $function,
            " as m"
        )
    };
}
pub(crate) use select_messages;

/// Each row, in the order of the ids: PGMQ chooses messages in that order, but promises none.
pub(crate) fn by_id<T: DeserializeOwned>(
    mut rows: Vec<PgRow>,
) -> Result<Vec<Received<T>>, Failure> {
    let mut keyed = Vec::with_capacity(rows.len());
    for row in rows.drain(..) {
        keyed.push((row.try_get::<i64, _>(0)?, message(&row)?));
    }
    keyed.sort_by_key(|(msg_id, _)| *msg_id);
    Ok(keyed.into_iter().map(|(_, message)| message).collect())
}

/// Each row, in the order of the server.
pub(crate) fn in_order<T: DeserializeOwned>(rows: &[PgRow]) -> Result<Vec<Received<T>>, Failure> {
    rows.iter().map(message).collect()
}

/// One row, decoded from the bytes that came.
pub(crate) fn message<T: DeserializeOwned>(row: &PgRow) -> Result<Received<T>, Failure> {
    let body = body(row)?;
    let message = without_body(row)?;
    Ok(match serde_json::from_str(body) {
        Ok(decoded) => Ok(message.with_body(decoded)),
        Err(error) => Err(UndecodableMessage::new(
            message.with_body(RawJson::new(body)),
            error,
        )),
    })
}

/// One row, its body as it came.
pub(crate) fn raw(row: &PgRow) -> Result<Message<RawJson>, Failure> {
    Ok(without_body(row)?.with_body(RawJson::new(body(row)?)))
}

fn without_body(row: &PgRow) -> Result<Message<()>, Failure> {
    Ok(Message {
        msg_id: row.try_get(0)?,
        read_count: count::<i32, _>(row.try_get(1)?)?,
        enqueued_at: time(row.try_get(2)?)?,
        last_read_at: row
            .try_get::<Option<Timestamp>, _>(3)?
            .map(time)
            .transpose()?,
        visible_at: time(row.try_get(4)?)?,
        headers: json(&row.try_get_raw(5)?)?.map(RawJson::new),
        body: (),
    })
}

fn body(row: &PgRow) -> Result<&str, Failure> {
    Ok(json(&row.try_get_raw(6)?)?.unwrap_or("null"))
}

/// The text of a `jsonb`, `None` for SQL's `NULL`.
fn json<'r>(value: &PgValueRef<'r>) -> Result<Option<&'r str>, Failure> {
    use sqlx::ValueRef as _;

    if value.is_null() {
        return Ok(None);
    }
    let binary = value.format() == PgValueFormat::Binary;
    let bytes = value.as_bytes().map_err(sqlx::Error::Decode)?;
    let text = match bytes.split_first() {
        Some((&JSONB_VERSION, text)) if binary => text,
        _ if binary => return Err(Failure::unexpected("jsonb came in an unknown version")),
        _ => bytes,
    };
    std::str::from_utf8(text)
        .map(Some)
        .map_err(|_| Failure::unexpected("jsonb came in another encoding than UTF-8"))
}

/// A number of the server that is never negative.
pub(crate) fn count<N: TryInto<M>, M>(number: N) -> Result<M, Failure> {
    number
        .try_into()
        .map_err(|_| Failure::unexpected("a number of PGMQ is out of its range"))
}

/// A timestamp of the server.
pub(crate) fn time(timestamp: Timestamp) -> Result<SystemTime, Failure> {
    timestamp
        .time()
        .ok_or_else(|| Failure::unexpected("a timestamp of PGMQ is beyond this platform's clock"))
}
