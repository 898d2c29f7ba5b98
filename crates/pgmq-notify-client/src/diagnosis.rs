//! Why a function or schema was not found: no PGMQ, an old one, or a migration that was not applied.

use std::time::Duration;

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Row as _};

use crate::call::Call;
use crate::failure::explain;
use crate::function::{Function, MARKERS, Schema};
use crate::version::PgmqVersion;
use crate::{ClientError, ErrorKind};

/// The diagnosis of an error may not take longer than that to begin.
const CONNECTION_WITHIN: Duration = Duration::from_secs(1);

/// Explains `error` with the help of the connection it happened on, which is in no transaction.
pub(crate) async fn on_connection(
    call: &Call,
    error: sqlx::Error,
    connection: &mut PgConnection,
) -> ClientError {
    match Installed::look(connection).await {
        Ok(installed) => installed.explain(call, error),
        Err(_) => without_a_look(call, error),
    }
}

/// Explains `error` of a caller's transaction, which is aborted now and takes no more SQL: by
/// another connection. The caller may hold the last one of the pool, so the wait is short.
pub(crate) async fn on_pool(call: &Call, error: sqlx::Error, pool: &PgPool) -> ClientError {
    match tokio::time::timeout(CONNECTION_WITHIN, pool.acquire()).await {
        Ok(Ok(mut connection)) => on_connection(call, error, &mut connection).await,
        Ok(Err(_)) | Err(_) => without_a_look(call, error),
    }
}

/// Says what is needed, since what is there cannot be known.
fn without_a_look(call: &Call, error: sqlx::Error) -> ClientError {
    let Some(newest) = call.needs().iter().max_by_key(|needed| needed.since) else {
        return explain(call, error);
    };
    let reason = match newest.schema {
        Schema::Pgmq => format!(
            "the database has no pgmq.{}: it needs PGMQ {} or newer",
            newest.signature, newest.since
        ),
        Schema::PgmqNotify => functions_missing(newest),
    };
    call.error(ErrorKind::Unsupported, &reason).because(error)
}

/// One row for [`Installed::read`].
pub(crate) const CATALOG: &str = "select to_regnamespace('pgmq') is not null,
  (select extversion from pg_extension where extname = 'pgmq'),
  array(select proname || '(' || oidvectortypes(proargtypes) || ')' from pg_proc where pronamespace = to_regnamespace('pgmq')),
  array(select proname || '(' || oidvectortypes(proargtypes) || ')' from pg_proc where pronamespace = to_regnamespace('pgmq_notify'))";

/// What the catalog says.
pub(crate) struct Installed {
    pgmq_schema: bool,
    pub(crate) extension: Option<String>,
    pgmq: Vec<String>,
    pgmq_notify: Vec<String>,
}

impl Installed {
    pub(crate) async fn look(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let row = sqlx::query(CATALOG)
            .persistent(false)
            .fetch_one(connection)
            .await?;
        Self::read(&row)
    }

    pub(crate) fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            pgmq_schema: row.try_get(0)?,
            extension: row.try_get(1)?,
            pgmq: row.try_get(2)?,
            pgmq_notify: row.try_get(3)?,
        })
    }

    fn explain(&self, call: &Call, error: sqlx::Error) -> ClientError {
        if !self.pgmq_schema {
            let reason = "PGMQ is not installed in this database: it has no schema \"pgmq\"";
            return call.error(ErrorKind::PgmqMissing, reason).because(error);
        }
        let Some(missing) = call.needs().iter().find(|needed| !self.has(needed)) else {
            return explain(call, error);
        };
        match missing.schema {
            Schema::PgmqNotify => call
                .error(ErrorKind::FunctionsMissing, &functions_missing(missing))
                .because(error),
            Schema::Pgmq => call
                .error(ErrorKind::Unsupported, &self.too_old(missing))
                .because(error),
        }
    }

    fn too_old(&self, missing: &Function) -> String {
        let Function {
            signature, since, ..
        } = missing;
        match self.version() {
            Some(installed) if installed >= *since => format!(
                "PGMQ {installed} is installed, but without its pgmq.{signature}: the installation is incomplete"
            ),
            Some(installed) => {
                format!("PGMQ {installed} has no pgmq.{signature}, it needs {since} or newer")
            }
            None => format!(
                "the installed PGMQ is older than 1.5 and has no pgmq.{signature}, it needs {since} or newer"
            ),
        }
    }

    /// What `pg_extension` says, and of a PGMQ that was installed as plain SQL, the last release
    /// before the first of which something is missing.
    pub(crate) fn version(&self) -> Option<PgmqVersion> {
        if let Some(version) = self.extension.as_deref().and_then(PgmqVersion::parse) {
            return Some(version);
        }
        MARKERS
            .iter()
            .take_while(|marker| self.has(marker))
            .last()
            .map(|marker| marker.since)
    }

    /// Whether it can be called: later releases append parameters with defaults.
    fn has(&self, function: &Function) -> bool {
        let installed = match function.schema {
            Schema::Pgmq => &self.pgmq,
            Schema::PgmqNotify => &self.pgmq_notify,
        };
        let shortest = function.signature.trim_end_matches(')');
        installed
            .iter()
            .filter_map(|signature| signature.strip_prefix(shortest))
            .any(|rest| rest == ")" || rest.starts_with(", "))
    }
}

fn functions_missing(function: &Function) -> String {
    format!(
        "triggers are switched off and pgmq_notify.{} is not installed: apply the migration that `pgmq-notify generate-migration` writes with `triggers_enabled = false`",
        function.signature
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function;

    fn installed(extension: Option<&str>, newest: usize) -> Installed {
        Installed {
            pgmq_schema: true,
            extension: extension.map(str::to_owned),
            pgmq: MARKERS[..newest]
                .iter()
                .map(|marker| marker.signature.to_owned())
                .collect(),
            pgmq_notify: Vec::new(),
        }
    }

    fn said(installed: &Installed, needs: &'static [Function]) -> (ErrorKind, String) {
        let error = installed.explain(&Call::new("read", needs), sqlx::Error::RowNotFound);
        (error.kind(), error.to_string())
    }

    #[test]
    fn what_is_missing_is_named_with_the_release_that_brought_it() {
        let (kind, text) = said(&installed(None, 4), &[function::READ_GROUPED]);
        assert_eq!(kind, ErrorKind::Unsupported);
        assert_eq!(
            text,
            "read: PGMQ 1.8 has no pgmq.read_grouped(text, integer, integer), it needs 1.9 or newer"
        );
        let (_, text) = said(&installed(Some("1.7.1"), 4), &[function::READ_GROUPED]);
        assert!(text.contains("PGMQ 1.7.1 has no"), "{text}");
        let (_, text) = said(&installed(Some("1.12.0"), 4), &[function::READ_GROUPED]);
        assert!(text.contains("incomplete"), "{text}");
        let (_, text) = said(&installed(None, 0), &[function::READ_GROUPED]);
        assert!(text.contains("older than 1.5"), "{text}");
    }

    #[test]
    fn a_function_with_more_parameters_by_default_is_the_same_function() {
        assert!(installed(None, 9).has(&function::CREATE_PARTITIONED));
        assert!(!installed(None, 8).has(&function::CREATE_PARTITIONED));
        assert!(!installed(None, 8).has(&function::SET_VT));
    }
}
