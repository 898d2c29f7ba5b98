use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::beside::Beside;
use crate::{ListenerError, ListenerErrorKind};

/// For one look, which takes some milliseconds. On a connection whose other end is gone it would take
/// for ever; where a table really is that slow, the next attempt has twice as long.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

/// How often a statement may be refused before what it looks at is left out.
const REFUSALS: u32 = 5;

/// One short statement.
pub(super) trait Statement: Sync {
    type Seen: Send;

    fn run(
        &self,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Self::Seen, sqlx::Error>> + Send;
}

/// Looks, one short statement at a time, each on whatever connection there is.
#[derive(Debug)]
pub(crate) struct Look {
    pool: PgPool,
}

impl Look {
    pub(super) fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// What `statement` sees, however long that takes; without a server, as soon as there is one again.
    ///
    /// `None` when there is nothing to see: the object is gone, or the server refuses for good. Events
    /// must not wait for a right that nobody grants, so that is traced, and the rest goes on.
    pub(super) async fn until_seen<S: Statement>(
        &self,
        at: &str,
        statement: &S,
    ) -> Option<S::Seen> {
        let mut backoff = Backoff::new(fastrand::Rng::new());
        let mut refusals = 0;
        let mut bound = SEEN_WITHIN;
        loop {
            let error = match timeout(bound, self.once(statement)).await {
                Ok(Ok(seen)) => return Some(seen),
                Ok(Err(Failed::Gone)) => return None,
                Ok(Err(Failed::With(error))) => error,
                Err(_) => {
                    let operation = format!("look for what was missed within {bound:?}");
                    bound = bound.saturating_mul(2);
                    ListenerError::new(ListenerErrorKind::Timeout, operation)
                }
            };
            let reason = error.kind();
            if is_refusal(reason) {
                refusals += 1;
                if refusals == REFUSALS {
                    tracing::warn!(at, ?reason, cause = ?error, "the catch-up leaves something out");
                    return None;
                }
            }
            let (attempt, wait) = backoff.next_attempt();
            tracing::debug!(at, attempt, ?reason, "the catch-up looks again");
            sleep(wait).await;
        }
    }

    async fn once<S: Statement>(&self, statement: &S) -> Result<S::Seen, Failed> {
        let errand = "connect beside the listener, to catch up";
        let mut beside = Beside::acquire(&self.pool, errand)
            .await
            .map_err(Failed::With)?;
        let seen = statement.run(beside.connection()).await.map_err(failed);
        // Whatever the server has said, the connection is not at fault; a broken one the pool notices.
        beside.done().await;
        seen
    }
}

enum Failed {
    /// A queue that was dropped after it was found.
    Gone,
    With(ListenerError),
}

fn failed(error: sqlx::Error) -> Failed {
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    // undefined_table, and invalid_schema_name for all of PGMQ
    if matches!(code.as_deref(), Some("42P01" | "3F000")) {
        return Failed::Gone;
    }
    Failed::With(ListenerError::database("look for what was missed")(error))
}

/// Whether the server was there, and said no. A password may be one that is being rotated.
fn is_refusal(kind: ListenerErrorKind) -> bool {
    matches!(
        kind,
        ListenerErrorKind::Permission | ListenerErrorKind::Database | ListenerErrorKind::Driver
    )
}
