//! Are there dead letters that nobody has looked at?

use sqlx::Row as _;

use crate::ClientError;
use crate::consumer::DEAD_LETTER;
use crate::doctor::examination::{Examination, QUEUES_AT_ONCE, failed};
use crate::doctor::quoted::{some_of, word};
use crate::doctor::{FindingCode, Remedy};

/// Beyond, it is said that there are more.
const COUNTED: i64 = 1000;

pub(super) async fn check(it: &mut Examination<'_>) -> Result<(), ClientError> {
    if it.facts.is_standby {
        return Ok(());
    }
    let queues: Vec<_> = it
        .facts
        .queues
        .iter()
        .filter(|it| it.is_dead_letter_queue() && it.is_readable)
        .map(|it| (it.name.clone(), it.relation.clone()))
        .collect();
    for some in queues.chunks(QUEUES_AT_ONCE) {
        // The only foreign text are names of tables, quoted by the server.
        let parts = some.iter().enumerate().map(|(number, (_, relation))| {
            format!(
                "select {number}::bigint, count(*) from (
                  select from {relation} m where m.headers ? '{DEAD_LETTER}' limit {most}
                ) letters",
                most = COUNTED + 1
            )
        });
        let sql = parts.collect::<Vec<_>>().join(" union all ");
        let names: Vec<_> = some.iter().map(|(name, _)| name.clone()).collect();
        let what = format!("dead letters in {}", some_of(&names));
        for row in it.ask(&what, &sql).await? {
            let number: i64 = row.try_get(0).map_err(failed)?;
            let count: i64 = row.try_get(1).map_err(failed)?;
            let name = usize::try_from(number).ok().and_then(|it| names.get(it));
            if let Some(name) = name.filter(|_| count > 0) {
                report(it, name, count);
            }
        }
    }
    Ok(())
}

fn report(it: &mut Examination<'_>, name: &str, count: i64) {
    let count = match count {
        1 => "1 dead letter lies".to_owned(),
        2..=COUNTED => format!("{count} dead letters lie"),
        _ => format!("More than {COUNTED} dead letters lie"),
    };
    let quoted = word(name);
    it.find(
        FindingCode::DeadLetters,
        name,
        format!(
            "{count} there. `pgmq-notify dead-letters list {quoted}` says why; once that is repaired the remedy puts them \
             back, and `drop` in the place of `redrive` deletes them."
        ),
        Remedy::Shell(format!("pgmq-notify dead-letters redrive {quoted} --all")),
    );
}
