//! The statement that claims messages, and looks for the next due one on the way.

use std::time::{Duration, SystemTime};

use pgmq_notify_core::RawJson;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::Order;
use super::queue::Queue;
use crate::Message;
use crate::failure::Failure;
use crate::row::raw;

/// What is claimed.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    /// The oldest that are visible.
    Oldest {
        /// So many messages can begin at once, or groups.
        handlers: usize,
        /// With groups: the oldest messages that are looked at.
        window: i64,
        /// Probably there is nothing: an index says so for less than the claim itself.
        looks_first: bool,
    },
    /// Those that events have told of, with the times from which they are visible.
    Told(Vec<(i64, SystemTime)>),
}

/// What a claim brought.
#[derive(Debug)]
pub(crate) struct Batch {
    /// In the order of their ids; in groups, those of a group one behind the other.
    pub(crate) messages: Vec<Visible>,
    /// When the next message that cannot be claimed yet becomes visible.
    pub(crate) due: Option<Duration>,
    /// With groups: whether there are messages that were not looked at.
    pub(crate) is_cut: bool,
}

#[derive(Debug)]
pub(crate) struct Visible {
    pub(crate) message: Message<RawJson>,
    /// For how long it had been visible.
    pub(crate) waited: Duration,
    /// The id of the first one of its group.
    pub(crate) group: i64,
}

/// Claims what is visible; [`read`] makes something of the rows.
pub(crate) async fn claim(
    connection: &mut PgConnection,
    queue: &Queue,
    ask: &Ask,
) -> Result<Vec<PgRow>, sqlx::Error> {
    // The only foreign text is the table's name, quoted as an identifier.
    let sql = AssertSqlSafe(match ask {
        Ask::Told(told) => by_id(queue, told.len()),
        Ask::Oldest { looks_first, .. } => match queue.order {
            Order::Unordered => unordered(queue, *looks_first),
            Order::FifoGroups => grouped(queue, *looks_first),
        },
    });
    let query = sqlx::query(sql);
    let most = |it: usize| i64::try_from(it).unwrap_or(i64::MAX);
    let query = match (ask, queue.order) {
        (Ask::Told(told), _) => {
            let query = match told.as_slice() {
                [(id, _)] => query.bind(*id),
                told => query.bind(told.iter().map(|(id, _)| *id).collect::<Vec<i64>>()),
            };
            query.bind(queue.vt_seconds)
        }
        (Ask::Oldest { handlers, .. }, Order::Unordered) => query
            .bind(most(*handlers).min(most(queue.batch_size)))
            .bind(queue.vt_seconds),
        (
            Ask::Oldest {
                handlers, window, ..
            },
            Order::FifoGroups,
        ) => query
            .bind(most(*handlers))
            .bind(queue.vt_seconds)
            .bind(most(queue.batch_size))
            .bind(*window),
    };
    query.fetch_all(connection).await
}

/// What a claim brought.
pub(crate) fn read(queue: &Queue, ask: &Ask, rows: &[PgRow]) -> Result<Batch, Failure> {
    match ask {
        Ask::Oldest { .. } => read_oldest(rows),
        Ask::Told(told) => read_told(queue, told, rows),
    }
}

/// By their ids, which costs a third of a look for the oldest. Where another claim holds one of them
/// this waits until that commits, which is at once.
fn by_id(queue: &Queue, messages: usize) -> String {
    let table = &queue.table;
    let (set, returned) = last_read_at(queue);
    // One of them, as usual, is a tenth quicker without an array.
    let is_it = if messages == 1 { "= $1" } else { "= any($1)" };
    format!(
        "update {table} m
        set {set}vt = clock_timestamp() + make_interval(secs => $2), read_ct = m.read_ct + 1
        where m.msg_id {is_it} and m.vt <= clock_timestamp()
        returning m.msg_id, m.read_ct, m.enqueued_at, {returned}, m.vt, m.headers, m.message"
    )
}

fn read_told(queue: &Queue, told: &[(i64, SystemTime)], rows: &[PgRow]) -> Result<Batch, Failure> {
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        let message = raw(row)?;
        let visible = told.iter().find(|(id, _)| *id == message.msg_id);
        // Both by the server's clock.
        let claimed_at = message
            .visible_at
            .checked_sub(Duration::from_secs(queue.vt_seconds.unsigned_abs().into()));
        let waited = claimed_at
            .zip(visible)
            .and_then(|(claimed_at, (_, visible))| claimed_at.duration_since(*visible).ok());
        messages.push(Visible {
            group: message.msg_id,
            message,
            waited: waited.unwrap_or_default(),
        });
    }
    messages.sort_by_key(|it| it.message.msg_id);
    Ok(Batch {
        messages,
        due: None,
        is_cut: false,
    })
}

/// The column came with PGMQ 1.10.
fn last_read_at(queue: &Queue) -> (&'static str, &'static str) {
    if queue.has_last_read_at {
        ("last_read_at = clock_timestamp(), ", "m.last_read_at")
    } else {
        ("", "null::timestamp with time zone")
    }
}

/// What `pgmq.read` does, and the due time in the same round trip. `pgmq.read` itself plans its
/// statement anew in plpgsql for each call, which takes longer than all the rest of it.
///
/// The time of the next one is compared with `now()`, because an index cannot be searched for
/// `clock_timestamp()`.
fn unordered(queue: &Queue, looks_first: bool) -> String {
    let table = &queue.table;
    let condition = first(queue, looks_first);
    let chosen = format!(
        "select msg_id, vt, msg_id as head from {table}
        where vt <= clock_timestamp() {condition}
        order by msg_id
        limit $1
        for update skip locked"
    );
    statement(queue, &format!("chosen as ({chosen})"), "false")
}

/// As `pgmq.read_grouped`, with one time for the whole statement: a message whose visibility timeout
/// ends in the middle of it must not be overtaken by a later one of its group.
///
/// The head of a group is its oldest message, visible or not. Whoever locks a visible head has the
/// group: until it is gone nobody else finds a visible head there.
fn grouped(queue: &Queue, looks_first: bool) -> String {
    let table = &queue.table;
    let condition = first(queue, looks_first);
    let chosen = format!(
        "oldest as materialized (
          select msg_id, vt, coalesce(headers->>'x-pgmq-group', '_default_fifo_group') as name
          from {table}
          where true {condition}
          order by msg_id
          limit $4
        ),
        ranked as (
          select msg_id, vt, name, first_value(msg_id) over earlier as head,
            bool_and(vt <= now()) over earlier as ready, row_number() over earlier as place
          from oldest
          window earlier as (partition by name order by msg_id)
        ),
        heads as (
          select q.msg_id
          from {table} q
          where q.vt <= now()
            and q.msg_id in (select msg_id from ranked where place = 1 and ready)
          order by q.msg_id
          limit $1
          for update skip locked
        ),
        chosen as (
          select r.msg_id, r.vt, r.head
          from ranked r
          where r.ready and r.head in (select msg_id from heads)
          order by r.place > 1, r.head, r.place
          limit $3
        )"
    );
    statement(queue, &chosen, "(select count(*) = $4 from oldest)")
}

/// Evaluated once, before the table is read.
fn first(queue: &Queue, looks_first: bool) -> String {
    if looks_first {
        let table = &queue.table;
        format!("and exists (select from {table} v where v.vt <= now())")
    } else {
        String::new()
    }
}

fn statement(queue: &Queue, chosen: &str, is_cut: &str) -> String {
    let table = &queue.table;
    let (set, returned) = last_read_at(queue);
    // The ids as an array, because then each plan looks for them in the index.
    format!(
        "with {chosen},
        claimed as (
          update {table} m
          set {set}vt = clock_timestamp() + make_interval(secs => $2), read_ct = m.read_ct + 1
          from chosen
          where m.msg_id = any(array(select msg_id from chosen)) and m.msg_id = chosen.msg_id
          returning m.msg_id, m.read_ct, m.enqueued_at, {returned} as last_read_at, m.vt, m.headers, m.message,
            (date_part('epoch', clock_timestamp() - chosen.vt) * 1000000)::bigint as micros, chosen.head
        )
        select msg_id, read_ct, enqueued_at, last_read_at, vt, headers, message, micros, head, false from claimed
        union all
        select null, null, null, null, null, null, null, (
          select (date_part('epoch', d.vt - clock_timestamp()) * 1000000)::bigint
          from {table} d
          where d.vt > now()
          order by d.vt
          limit 1
        ), null, {is_cut}"
    )
}

fn read_oldest(rows: &[PgRow]) -> Result<Batch, Failure> {
    let mut messages = Vec::with_capacity(rows.len().saturating_sub(1));
    let mut due = None;
    let mut is_cut = false;
    for row in rows {
        let micros: Option<i64> = row.try_get(7)?;
        let duration = |micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0));
        if row.try_get::<Option<i64>, _>(0)?.is_none() {
            due = micros.map(duration);
            is_cut = row.try_get(9)?;
            continue;
        }
        messages.push(Visible {
            message: raw(row)?,
            waited: micros.map(duration).unwrap_or_default(),
            group: row.try_get(8)?,
        });
    }
    messages.sort_by_key(|it| (it.group, it.message.msg_id));
    Ok(Batch {
        messages,
        due,
        is_cut,
    })
}
