//! Do messages wait for nobody, and has a consumer gone without a word?

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::Row as _;

use crate::ClientError;
use crate::doctor::examination::{Examination, QUEUES_AT_ONCE, age, failed};
use crate::doctor::facts::Table;
use crate::doctor::quoted::{literal, some_of};
use crate::doctor::{FindingCode, Remedy};

/// Consumers refresh their leases of 15 seconds every few. One that is this long past its end is gone.
const GONE_AFTER: &str = "30 seconds";

const SESSIONS: &str = "
select count(*) from pg_stat_activity a
where a.datname = current_database() and a.application_name like 'pgmq-notify-consumer%'";

#[derive(Default)]
struct Sleepers {
    valid: i64,
    gone: i64,
    since: Duration,
    /// Whether one is at work: it holds the queue's advisory lock, and need not sleep.
    is_attended: bool,
}

impl Sleepers {
    fn are_there(&self) -> bool {
        self.valid > 0 || self.is_attended
    }
}

pub(super) async fn check(
    it: &mut Examination<'_>,
    backlog_age: Duration,
) -> Result<(), ClientError> {
    // There neither unlogged tables can be read nor consumers be.
    if it.facts.is_standby {
        return Ok(());
    }
    let sleepers = sleepers(it).await?;
    for (table, sleepers) in &sleepers {
        // As long as others sleep there they delete its row.
        if sleepers.gone > 0 && !sleepers.are_there() {
            gone(it, table, sleepers);
        }
    }
    let mut sessions = 0;
    for row in it.ask("sessions of consumers", SESSIONS).await? {
        sessions = row.try_get(0).map_err(failed)?;
    }
    let waiting = waiting(it, backlog_age).await?;
    let (unconsumed, slow): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(table, ..)| {
        let sleep = sleepers.get(table).is_some_and(Sleepers::are_there);
        sessions == 0_i64 && !sleep
    });
    report(
        it,
        FindingCode::BacklogUnconsumed,
        &unconsumed,
        "and no consumer is connected to this database",
        "start a consumer of it; what nobody wants any more goes with select pgmq.purge_queue('…');",
    );
    report(
        it,
        FindingCode::BacklogWaiting,
        &slow,
        "though consumers are connected to this database: they do not keep up, or consume other queues",
        "`pgmq-notify top` shows whether it shrinks; else start more consumers of it",
    );
    Ok(())
}

/// By the name of the queue's table.
async fn sleepers(it: &mut Examination<'_>) -> Result<BTreeMap<String, Sleepers>, ClientError> {
    let mut sleepers = BTreeMap::new();
    match it.facts.parked {
        Table::Missing => return Ok(sleepers),
        Table::Unreadable => {
            let grants = format!("grant select on pgmq_notify.parked to {};", it.facts.role);
            it.not_checked(
                "consumers that sleep",
                "This role may not read pgmq_notify.parked.",
                Remedy::Sql(grants),
            );
            return Ok(sleepers);
        }
        Table::Readable => {}
    }
    let sql = format!(
        "select p.queue,
          count(*) filter (where p.parked_until > statement_timestamp()),
          count(*) filter (where p.parked_until < statement_timestamp() - interval '{GONE_AFTER}'),
          date_part('epoch', statement_timestamp() - max(p.parked_until)),
          exists (
            select from pg_locks l
            where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
              and l.database = (select d.oid from pg_database d where d.datname = current_database())
              -- As pgmq_notify.route works it out.
              and (l.classid::bigint << 32 | l.objid::bigint) = ('x' || left(encode(
                sha256(convert_to('pgmq_notify.attended:' || p.queue, 'UTF8')), 'hex'
              ), 16))::bit(64)::bigint
          )
        from pgmq_notify.parked p group by p.queue"
    );
    for row in it.ask("consumers that sleep", &sql).await? {
        let since: f64 = row.try_get(3).map_err(failed)?;
        let found = Sleepers {
            valid: row.try_get(1).map_err(failed)?,
            gone: row.try_get(2).map_err(failed)?,
            since: Duration::try_from_secs_f64(since).unwrap_or_default(),
            is_attended: row.try_get(4).map_err(failed)?,
        };
        sleepers.insert(row.try_get(0).map_err(failed)?, found);
    }
    Ok(sleepers)
}

fn gone(it: &mut Examination<'_>, table: &str, sleepers: &Sleepers) {
    let queue = it.facts.queues.iter().find(|it| it.table == table);
    let name = queue.map_or_else(|| table.to_owned(), |it| it.name.clone());
    let explanation = format!(
        "{} of its consumers went to sleep and did not come back, the last one {} ago, and none is there now. Start it again \
         where it crashed; where it is not wanted any more, the remedy forgets it.",
        sleepers.gone,
        age(sleepers.since)
    );
    let remedy = format!(
        "delete from pgmq_notify.parked where queue = {} and parked_until < clock_timestamp() - interval '{GONE_AFTER}';",
        literal(table)
    );
    it.find(
        FindingCode::ConsumerGone,
        name,
        explanation,
        Remedy::Sql(remedy),
    );
}

/// The table and name of each queue that has such a message, and for how long its oldest has been visible: the index on
/// `vt` knows.
async fn waiting(
    it: &mut Examination<'_>,
    backlog_age: Duration,
) -> Result<Vec<(String, String, Duration)>, ClientError> {
    let mut unreadable = Vec::new();
    let mut readable = Vec::new();
    for queue in &it.facts.queues {
        if !queue.is_readable {
            unreadable.push((queue.name.clone(), queue.relation.clone()));
        } else if !queue.is_dead_letter_queue() {
            readable.push((
                queue.table.clone(),
                queue.name.clone(),
                queue.relation.clone(),
            ));
        }
    }
    let mut waiting = Vec::new();
    for some in readable.chunks(QUEUES_AT_ONCE) {
        let parts = some.iter().enumerate().map(|(number, (_, _, relation))| {
            format!(
                "(select {number}::bigint, date_part('epoch', statement_timestamp() - m.vt) from {relation} m
                where m.vt <= statement_timestamp() order by m.vt limit 1)"
            )
        });
        let sql = parts.collect::<Vec<_>>().join(" union all ");
        let names: Vec<_> = some.iter().map(|(_, name, _)| name.clone()).collect();
        let what = format!("messages that wait in {}", some_of(&names));
        for row in it.ask(&what, &sql).await? {
            let number: i64 = row.try_get(0).map_err(failed)?;
            let seconds: f64 = row.try_get(1).map_err(failed)?;
            let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
            let queue = usize::try_from(number).ok().and_then(|it| some.get(it));
            if let Some((table, name, _)) = queue.filter(|_| since >= backlog_age) {
                waiting.push((table.clone(), name.clone(), since));
            }
        }
    }
    if !unreadable.is_empty() {
        let (names, relations): (Vec<_>, Vec<_>) = unreadable.into_iter().unzip();
        let grants = format!(
            "grant select on {} to {};",
            relations.join(", "),
            it.facts.role
        );
        it.not_checked(
            format!("messages that wait in {}", some_of(&names)),
            "This role may not read the table.",
            Remedy::Sql(grants),
        );
    }
    Ok(waiting)
}

fn report(
    it: &mut Examination<'_>,
    code: FindingCode,
    queues: &[(String, String, Duration)],
    why: &str,
    remedy: &str,
) {
    let Some(oldest) = queues.iter().map(|(_, _, since)| *since).max() else {
        return;
    };
    let names: Vec<_> = queues.iter().map(|(_, name, _)| name.clone()).collect();
    it.find(
        code,
        some_of(&names),
        format!("A message has been visible for {}, {why}.", age(oldest)),
        Remedy::Advice(remedy.into()),
    );
}
