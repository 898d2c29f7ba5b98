//! Is there a PGMQ that is new enough?

use crate::doctor::examination::Examination;
use crate::doctor::facts::Table;
use crate::doctor::{FindingCode, Remedy};
use crate::version::PgmqVersion;

const OLDEST: PgmqVersion = PgmqVersion::new(1, 5, 0);
const MANUAL: &str = "https://github.com/pgmq/pgmq/blob/main/INSTALLATION.md";

/// Whether the rest can be checked.
pub(super) fn check(it: &mut Examination<'_>) -> bool {
    if it.facts.pgmq.meta == Table::Missing {
        let remedy = if it.facts.has_extension {
            Remedy::Sql("create extension pgmq;".into())
        } else {
            Remedy::Advice(format!(
                "run PGMQ's own SQL with psql: {MANUAL}; or connect to the database with the queues"
            ))
        };
        let database = format!("the database {}", it.facts.database);
        it.find(
            FindingCode::PgmqMissing,
            database,
            "It has no table pgmq.meta: PGMQ is not installed, or this is another database than the one with the queues.",
            remedy,
        );
        return false;
    }
    let version = it.facts.pgmq.version;
    if version.is_some_and(|it| it >= OLDEST) {
        return true;
    }
    let remedy = if it.facts.pgmq.is_extension {
        Remedy::Sql("alter extension pgmq update;".into())
    } else {
        Remedy::Advice(format!(
            "run the SQL of PGMQ's later releases, in their order: {MANUAL}"
        ))
    };
    let found = version.map_or_else(|| "an older one".to_owned(), |it| it.to_string());
    it.find(
        FindingCode::PgmqOutdated,
        "PGMQ",
        format!("pgmq-notify needs PGMQ {OLDEST} or newer, and this is {found}."),
        remedy,
    );
    false
}
