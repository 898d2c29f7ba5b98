//! Are there dead letters that nobody has looked at?

use sqlx::Row as _;

use crate::ClientError;
use crate::consumer::DEAD_LETTER;
use crate::doctor::examination::{Examination, failed};
use crate::doctor::quoted::word;
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
    for (name, relation) in queues {
        // The only foreign text is the table's name, quoted by the server.
        let most = COUNTED + 1;
        let sql = format!(
            "select count(*) from (select from {relation} m where m.headers ? '{DEAD_LETTER}' limit {most}) letters"
        );
        let rows = it.ask(&name, &sql).await?;
        let Some(row) = rows.first() else {
            continue;
        };
        let count: i64 = row.try_get(0).map_err(failed)?;
        if count == 0 {
            continue;
        }
        let count = if count > COUNTED {
            format!("More than {COUNTED} dead letters lie")
        } else if count == 1 {
            "1 dead letter lies".to_owned()
        } else {
            format!("{count} dead letters lie")
        };
        let quoted = word(&name);
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
    Ok(())
}
