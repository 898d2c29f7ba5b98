use std::time::Duration;

use sqlx::{PgPool, Row as _};
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use super::{InstallProgress, Settings};
use crate::call::Call;
use crate::failure::explain;
use crate::{ClientError, ErrorKind};

/// Asks, and never waits: a lock that is granted at the moment at which the wait for it is given up would
/// stay. It belongs to a transaction, which also a pooler leaves on one server.
const TRY: &str = "
select pg_catalog.set_config(s.name, '0', true)
from pg_catalog.pg_settings s
where s.name in ('idle_in_transaction_session_timeout', 'transaction_timeout');
select pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('pgmq_notify.install', 0))::text";

const HOLDER: &str = "
select l.pid::integer
from pg_catalog.pg_locks l
where l.locktype = 'advisory' and l.granted and l.objsubid = 1
  and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  and (l.classid::bigint << 32) | l.objid::bigint = pg_catalog.hashtextextended('pgmq_notify.install', 0)";

/// How far it has got, seen from outside: the transactions that its backend's tables show.
const TRIGGERS: &str = "
select pg_catalog.count(*)
from pg_catalog.pg_trigger t
where t.tgname like 'pgmq\\_notify\\_%'";

/// The turn of one process among those that install at the same moment: an open transaction with a lock.
/// It holds no snapshot, so it keeps no vacuum from anything.
#[derive(Debug)]
pub(super) struct Turn(Connection);

impl Turn {
    /// Waits for it. One that others have for long, without getting further, is an error.
    pub(super) async fn take(
        pool: &PgPool,
        operation: &'static str,
        settings: &mut Settings<'_>,
    ) -> Result<Self, ClientError> {
        let mut connection = Connection::open(pool, operation).await?;
        let failed = |error| explain(&Call::new(operation, &[]), error);
        let mut pause = 10;
        let mut seen = None;
        let mut patience = Instant::now() + settings.patience;
        let mut told = None;
        connection
            .run("begin isolation level read committed".into())
            .await
            .map_err(failed)?;
        loop {
            let rows = connection.rows(TRY.into()).await.map_err(failed)?;
            let taken = rows.last().and_then(|row| row.try_get::<String, _>(0).ok());
            if taken.as_deref() == Some("true") {
                return Ok(Self(connection));
            }
            // Its settings have to be made anew, and its look at the catalog has to be a new one.
            connection.run("rollback".into()).await.map_err(failed)?;
            let holder = connection.rows(HOLDER.into()).await.map_err(failed)?;
            let holder: Option<i32> = holder.first().and_then(|row| row.try_get(0).ok());
            if told != Some(holder) {
                told = Some(holder);
                settings.say(InstallProgress::Waiting { holder });
            }
            if Instant::now() > patience {
                let rows = connection.rows(TRIGGERS.into()).await.map_err(failed)?;
                let triggers: Option<i64> = rows.first().and_then(|row| row.try_get(0).ok());
                if seen == Some((holder, triggers)) {
                    connection.close().await;
                    return Err(stuck(operation, holder));
                }
                seen = Some((holder, triggers));
                patience = Instant::now() + settings.patience;
            }
            sleep(Duration::from_millis(fastrand::u64(pause / 2..=pause))).await;
            pause = (pause * 2).min(200);
            connection
                .run("begin isolation level read committed".into())
                .await
                .map_err(failed)?;
        }
    }

    pub(super) async fn end(mut self) {
        // Its end is the end of the transaction, whether the server hears of it now or not.
        let _ = self.0.run("rollback".into()).await;
        self.0.close().await;
    }
}

fn stuck(operation: &str, holder: Option<i32>) -> ClientError {
    let who = holder.map_or_else(|| "another backend".into(), |pid| format!("backend {pid}"));
    ClientError::new(
        ErrorKind::Conflict,
        format!(
            "{operation}: {who} installs or removes pgmq-notify and does not get on; end it, or try again later"
        ),
    )
}
