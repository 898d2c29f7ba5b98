use std::time::Duration;

use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::error::DatabaseError;
use sqlx::postgres::PgRow;

use super::facts::Facts;
use super::{Finding, FindingCode, Remedy};
use crate::call::Call;
use crate::failure::explain;
use crate::installing::connection::Connection;
use crate::{ClientError, PgmqNotifyClient};

pub(super) const OPERATION: &str = "doctor";

/// Before each statement of a check, in the same message and so in the same transaction: it goes behind a pooler
/// too. It changes nothing, waits for no lock for long, and finds functions in one place only.
const CAREFULLY: &str = "set local transaction_read_only = on;\n\
    set local lock_timeout = '1s';\n\
    set local statement_timeout = '20s';\n\
    set local search_path = pg_catalog, pg_temp;\n";

/// Queues of one statement: it holds a lock on each table and index until its end.
pub(super) const QUEUES_AT_ONCE: usize = 100;

/// What the checks share.
pub(super) struct Examination<'c> {
    pub(super) client: &'c PgmqNotifyClient,
    pub(super) connection: Connection,
    /// What the database is compared with.
    pub(super) config: PgmqNotifyConfig,
    pub(super) facts: Facts,
    /// Whether the SQL is of a later version: installing ours would be a step back.
    pub(super) is_newer: bool,
    pub(super) findings: Vec<Finding>,
}

/// A statement of a check that the server refused.
pub(super) enum Refusal {
    /// The role may not.
    Forbidden,
    /// Somebody has a lock on it, or it takes too long.
    Busy,
    /// What it names is gone, or cannot be read on a standby.
    Gone,
}

impl Refusal {
    fn of(error: &sqlx::Error) -> Option<Self> {
        let code = error.as_database_error().and_then(DatabaseError::code)?;
        match &*code {
            "42501" => Some(Self::Forbidden),
            "55P03" | "57014" => Some(Self::Busy),
            "42P01" | "3F000" | "42883" | "42703" | "0A000" => Some(Self::Gone),
            _ => None,
        }
    }

    fn explanation(&self) -> &'static str {
        match self {
            Self::Forbidden => "This role may not look there",
            Self::Busy => "It is locked, or the look takes too long",
            Self::Gone => "What is there is not what was expected, or went while it was looked at",
        }
    }
}

pub(super) fn failed(error: sqlx::Error) -> ClientError {
    explain(&Call::new(OPERATION, &[]), error)
}

/// The rows of `sql`.
pub(super) async fn rows(
    connection: &mut Connection,
    sql: &str,
) -> Result<Vec<PgRow>, sqlx::Error> {
    connection.rows(format!("{CAREFULLY}{sql}")).await
}

impl Examination<'_> {
    /// The rows of `sql`; nothing where the server refuses, which becomes a note that `what` was not checked.
    pub(super) async fn ask(&mut self, what: &str, sql: &str) -> Result<Vec<PgRow>, ClientError> {
        let found = rows(&mut self.connection, sql).await;
        self.unless_refused(what, found)
            .map(Option::unwrap_or_default)
    }

    pub(super) fn unless_refused<T>(
        &mut self,
        what: &str,
        found: Result<T, sqlx::Error>,
    ) -> Result<Option<T>, ClientError> {
        let error = match found {
            Ok(found) => return Ok(Some(found)),
            Err(error) => error,
        };
        let Some(refusal) = Refusal::of(&error) else {
            return Err(failed(error));
        };
        let remedy = match refusal {
            Refusal::Forbidden => "run it as the owner of PGMQ's tables, or as a superuser",
            Refusal::Busy | Refusal::Gone => "run it again",
        };
        let explanation = format!("{}: {error}.", refusal.explanation());
        self.not_checked(what, explanation, Remedy::Advice(remedy.into()));
        Ok(None)
    }

    /// What puts triggers on queues, and nothing else where the SQL is not to be replaced.
    pub(super) fn install_triggers(&self) -> Remedy {
        if self.is_newer {
            Remedy::Sql("select pgmq_notify.install_triggers();".into())
        } else {
            Remedy::Install
        }
    }

    pub(super) fn not_checked(
        &mut self,
        what: impl Into<String>,
        explanation: impl Into<String>,
        remedy: Remedy,
    ) {
        self.find(FindingCode::NotChecked, what, explanation, remedy);
    }

    pub(super) fn find(
        &mut self,
        code: FindingCode,
        subject: impl Into<String>,
        explanation: impl Into<String>,
        remedy: Remedy,
    ) {
        self.findings.push(Finding {
            severity: code.severity(),
            code,
            subject: subject.into(),
            explanation: explanation.into(),
            remedy,
        });
    }
}

/// `90s`, `12min`, `3h`, `5d`: the largest unit of which there are two.
pub(super) fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("min", 60)] {
        if seconds >= 2 * length {
            return format!("{} {unit}", seconds / length);
        }
    }
    format!("{seconds} s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_unit_that_a_person_would_take() {
        for (seconds, text) in [
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_200, "2 h"),
            (172_800, "2 d"),
        ] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }
}
