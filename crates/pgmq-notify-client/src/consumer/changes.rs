//! What settles or extends claims: one statement for those of several queues.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::Acknowledgement;
use super::held::Key;
use super::queue::Queue;

/// What happens to messages. Each applies to the very claim only: `read_ct` is as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Change {
    Delete,
    Archive,
    /// After a failure, which is remembered in the headers if it is the first.
    Retry,
    /// Given back by a handler or before its start: the read does not count.
    Release,
    /// Given back in the middle of a handler that was ended.
    Return,
    Extend,
}

impl Change {
    pub(crate) fn of(acknowledgement: Acknowledgement) -> Self {
        match acknowledgement {
            Acknowledgement::Delete => Self::Delete,
            Acknowledgement::Archive => Self::Archive,
        }
    }
}

/// One message of a change.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) key: Key,
    /// From now to the visibility, where that is set.
    pub(crate) delay: Duration,
    /// Of a retry.
    pub(crate) error: Option<String>,
}

impl Item {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            delay: Duration::ZERO,
            error: None,
        }
    }
}

/// One change of messages of one queue.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) queue: Arc<Queue>,
    pub(crate) change: Change,
    pub(crate) items: Vec<Item>,
}

impl Piece {
    /// In the order of the ids: two statements that lock several messages, each in an order of its
    /// own, could wait for each other.
    pub(crate) fn new(queue: Arc<Queue>, change: Change, mut items: Vec<Item>) -> Self {
        items.sort_unstable_by_key(|it| it.key.msg_id);
        Self {
            queue,
            change,
            items,
        }
    }
}

/// The header under which the first failure is kept.
pub(crate) const FIRST_FAILURE: &str = "x-pgmq-notify-first-failure";

/// Applies all of them in one statement, and says for each which messages it found.
pub(crate) async fn run(
    connection: &mut PgConnection,
    pieces: &[Piece],
) -> Result<Vec<HashSet<i64>>, sqlx::Error> {
    let mut query = sqlx::query(AssertSqlSafe(sql(pieces)));
    // The texts for one queue are few; with several queues each may be another one.
    query = query.persistent(pieces.len() == 1);
    for piece in pieces {
        let items = piece.items.iter();
        let ids: Vec<i64> = items.clone().map(|it| it.key.msg_id).collect();
        let counts: Vec<i32> = items.clone().map(|it| it.key.read_ct()).collect();
        query = query.bind(ids).bind(counts);
        if piece.change.sets_visibility() {
            let delays: Vec<f64> = items.clone().map(|it| it.delay.as_secs_f64()).collect();
            query = query.bind(delays);
        }
        if piece.change == Change::Retry {
            let errors: Vec<Option<String>> = items.map(|it| it.error.clone()).collect();
            query = query.bind(errors);
        }
    }
    let rows = query.fetch_all(connection).await?;
    let mut found: Vec<HashSet<i64>> = pieces.iter().map(|_| HashSet::new()).collect();
    for row in rows {
        let piece = usize::try_from(row.try_get::<i32, _>(0)?).unwrap_or(usize::MAX);
        if let Some(found) = found.get_mut(piece) {
            found.insert(row.try_get(1)?);
        }
    }
    Ok(found)
}

/// Applies one change to one message; whether it was found.
pub(crate) async fn run_one(
    connection: &mut PgConnection,
    queue: &Arc<Queue>,
    change: Change,
    item: Item,
) -> Result<bool, sqlx::Error> {
    let piece = Piece {
        queue: Arc::clone(queue),
        change,
        items: vec![item],
    };
    let found = run(connection, &[piece]).await?;
    Ok(found.iter().any(|found| !found.is_empty()))
}

impl Change {
    /// Whether the message is gone afterwards.
    pub(crate) fn removes(self) -> bool {
        matches!(self, Self::Delete | Self::Archive)
    }

    fn sets_visibility(self) -> bool {
        !self.removes()
    }
}

/// The only foreign texts are the tables' names, quoted as identifiers.
fn sql(pieces: &[Piece]) -> String {
    let mut ctes = Vec::with_capacity(pieces.len());
    let mut selects = Vec::with_capacity(pieces.len());
    let mut parameter = 0;
    let mut next = || {
        parameter += 1;
        parameter
    };
    for (n, piece) in pieces.iter().enumerate() {
        let table = &piece.queue.table;
        let (ids, counts) = (next(), next());
        let is_it = "m.msg_id = d.msg_id and m.read_ct = d.read_ct";
        let mut arrays = format!("${ids}::bigint[], ${counts}::integer[]");
        let mut columns = "msg_id, read_ct".to_owned();
        if piece.change.sets_visibility() {
            let _ = write!(arrays, ", ${}::float8[]", next());
            columns.push_str(", delay");
        }
        if piece.change == Change::Retry {
            let _ = write!(arrays, ", ${}::text[]", next());
            columns.push_str(", error");
        }
        let given = format!("unnest({arrays}) as d({columns})");
        let visible = "clock_timestamp() + make_interval(secs => d.delay)";
        ctes.push(match piece.change {
            Change::Delete => format!(
                "s{n} as (delete from {table} m using {given} where {is_it} returning m.msg_id)"
            ),
            Change::Archive => {
                let archive = &piece.queue.archive;
                let last_read_at = if piece.queue.has_last_read_at {
                    ", last_read_at"
                } else {
                    ""
                };
                let kept = format!("msg_id, vt, read_ct, enqueued_at{last_read_at}, message, headers");
                format!(
                    "g{n} as (delete from {table} m using {given} where {is_it} returning m.*),
                    s{n} as (insert into {archive} ({kept}) select {kept} from g{n} returning msg_id)"
                )
            }
            Change::Retry => format!(
                "s{n} as (update {table} m set vt = {visible}, headers = case
                  when m.headers is null or jsonb_typeof(m.headers) = 'object' and not m.headers ? '{FIRST_FAILURE}'
                  then coalesce(m.headers, '{{}}') || jsonb_build_object('{FIRST_FAILURE}',
                    jsonb_build_object('error', d.error, 'at', clock_timestamp()))
                  else m.headers end
                from {given} where {is_it} returning m.msg_id)"
            ),
            Change::Release => format!(
                "s{n} as (update {table} m set vt = {visible}, read_ct = m.read_ct - 1
                from {given} where {is_it} returning m.msg_id)"
            ),
            Change::Return => format!(
                "s{n} as (update {table} m set vt = {visible} from {given} where {is_it} returning m.msg_id)"
            ),
            Change::Extend => format!(
                "s{n} as (update {table} m set vt = greatest(m.vt, {visible})
                from {given} where {is_it} returning m.msg_id)"
            ),
        });
        selects.push(format!("select {n}, msg_id from s{n}"));
    }
    format!("with {} {}", ctes.join(",\n"), selects.join(" union all "))
}
