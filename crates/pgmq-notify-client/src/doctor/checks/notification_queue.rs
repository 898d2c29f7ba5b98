//! The server's notification queue, of all its databases, and who keeps it from being emptied.

use sqlx::Row as _;

use crate::ClientError;
use crate::doctor::examination::{Examination, failed};
use crate::doctor::facts::one;
use crate::doctor::{FindingCode, Remedy};

/// The queue is as long as its slowest listening session is behind, and a session reads only between transactions,
/// and only as fast as its client does. Who listens cannot be seen from outside; who is in a transaction, or waits
/// for its client, can. The oldest is the first suspect; our own listeners are never in a transaction.
const HOLDER: &str = "
select
  a.pid,
  coalesce(nullif(a.application_name, ''), 'without a name'),
  coalesce(host(a.client_addr), 'a local socket'),
  coalesce(a.state, 'unknown') || case when a.wait_event = 'ClientWrite' then ', writing to its client' else '' end,
  coalesce(to_char(a.query_start at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), 'unknown'),
  coalesce(a.usename::text, 'unknown')
from pg_stat_activity a
where a.pid <> pg_backend_pid() and a.backend_type = 'client backend'
  and (a.xact_start is not null or a.wait_event = 'ClientWrite')
order by coalesce(a.xact_start, a.state_change, a.backend_start)
limit 1";

/// Sessions of which this role sees no more than that they are there.
const HIDDEN: &str = "
select count(*) from pg_stat_activity a where a.query = '<insufficient privilege>'";

pub(super) async fn check(it: &mut Examination<'_>, warning: f64) -> Result<(), ClientError> {
    if it.facts.is_standby {
        return Ok(());
    }
    let rows = it
        .ask(
            "the notification queue",
            "select pg_notification_queue_usage()",
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(());
    };
    let usage: f64 = row.try_get(0).map_err(failed)?;
    let Some(code) = code(usage, warning) else {
        return Ok(());
    };
    let holder = it.ask("who holds the notification queue", HOLDER).await?;
    let (who, remedy) = match holder.first() {
        Some(row) => {
            let [application, address, state, since, role] = texts(row).map_err(failed)?;
            let pid: i32 = row.try_get(0).map_err(failed)?;
            (
                format!(
                    "A session that listens and does not read holds it back; the oldest that may be it: backend \
                     {pid} ({application}) of {role}, from {address}, {state}, its statement of {since}."
                ),
                Remedy::Sql(format!("select pg_terminate_backend({pid});")),
            )
        }
        None => (
            "A session that listens and does not read holds it back, and was not seen.".to_owned(),
            Remedy::Advice(
                "look for sessions in a transaction: select * from pg_stat_activity;".into(),
            ),
        ),
    };
    if holder.is_empty() {
        let hidden = one(it.ask("sessions of other roles", HIDDEN).await?).map_err(failed)?;
        if hidden.try_get::<i64, _>(0).map_err(failed)? > 0 {
            it.not_checked(
                "sessions of other roles",
                "This role may not see what they do, and so not which of them holds the notification queue.",
                Remedy::Sql(format!("grant pg_read_all_stats to {};", it.facts.role)),
            );
        }
    }
    let consequence = match code {
        FindingCode::NotificationQueueFull => {
            "Our triggers publish nothing, and NOTIFY of others fails once it is full."
        }
        _ => "From 50 % on our triggers publish nothing.",
    };
    let explanation = format!(
        "{:.1} % of it are in use. {consequence} {who}",
        usage * 100.0
    );
    it.find(code, "the server's notification queue", explanation, remedy);
    Ok(())
}

/// The triggers stop publishing beyond half.
fn code(usage: f64, warning: f64) -> Option<FindingCode> {
    if usage >= 0.5 {
        Some(FindingCode::NotificationQueueFull)
    } else {
        (usage >= warning).then_some(FindingCode::NotificationQueueFilling)
    }
}

fn texts(row: &sqlx::postgres::PgRow) -> Result<[String; 5], sqlx::Error> {
    Ok([
        row.try_get(1)?,
        row.try_get(2)?,
        row.try_get(3)?,
        row.try_get(4)?,
        row.try_get(5)?,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_a_warning_and_half_an_error() {
        for (usage, expected) in [
            (0.0, None),
            (0.099, None),
            (0.1, Some(FindingCode::NotificationQueueFilling)),
            (0.499, Some(FindingCode::NotificationQueueFilling)),
            (0.5, Some(FindingCode::NotificationQueueFull)),
            (1.0, Some(FindingCode::NotificationQueueFull)),
        ] {
            assert_eq!(code(usage, 0.1), expected, "{usage}");
        }
    }
}
