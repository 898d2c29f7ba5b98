use std::fmt::Write as _;
use std::pin::Pin;
use std::time::Duration;

use pgmq_notify_sql::{SettingDifference, Steps};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::busy::Strength;
use super::connection::{Connection, transaction};
use super::installation::{Installation, Look};
use super::rounds::{Change, Rounds};
use super::turn::Turn;
use super::{InstallProgress, InstallReport, Settings, invalid};
use crate::call::Call;
use crate::failure::explain;
use crate::{ClientError, ErrorKind, PgmqNotifyClient};

const OPERATION: &str = "install";

const AVAILABLE: &str =
    "select exists (select from pg_catalog.pg_available_extensions e where e.name = 'pgmq')";

/// An installation that has not run yet. It does nothing until it is awaited.
///
/// **Writers** wait for one queue at a time, for 50 milliseconds at first and never longer than the
/// [lock timeout](Self::with_lock_timeout). A queue that stays busy is tried again after the others, with
/// growing pauses. Functions and the configuration come first, in one transaction that locks no queue;
/// where all of that is as it should be, it is left out, so that processes which install as they start do
/// not rewrite the catalog each time. Then the triggers, each queue in a short transaction of its own, and
/// queues whose triggers are right are not touched. What only an earlier configuration needed goes last.
///
/// **Several at once** take turns by an advisory lock, and those that come later find nothing to do. A
/// migration that is applied meanwhile is waited for too.
///
/// **Interrupted**, by an error, a crash, or because it was dropped: what is done stays, and works. Running
/// it again does the rest.
///
/// **Connections**: two of its own, none of the pool's, and closed at its end. They need no session that
/// lasts, so it runs behind a pooler as well. Their `application_name` is that of the pool, or `pgmq-notify
/// install`.
///
/// **Privileges**: its role owns the tables of PGMQ, or is a member of the role that does; it may create a
/// schema, the first time; and it owns the schema `pgmq_notify`, later.
///
/// ```sql
/// grant create on database shop to installer; -- the first time
/// grant pgmq_owner to installer;              -- who owns the schema pgmq and its tables
/// ```
#[derive(Debug)]
#[must_use = "an installation does nothing until it is awaited"]
pub struct Install<'c> {
    client: &'c PgmqNotifyClient,
    pgmq: bool,
    settings: Settings<'c>,
}

impl<'c> Install<'c> {
    pub(super) fn new(client: &'c PgmqNotifyClient) -> Self {
        Self {
            client,
            pgmq: false,
            settings: Settings::default(),
        }
    }

    /// Creates the extension `pgmq` where the database has no PGMQ. The server needs the extension's files,
    /// and the role the right to create it.
    ///
    /// Defaults to an error where there is no PGMQ.
    pub fn with_pgmq(mut self) -> Self {
        self.pgmq = true;
        self
    }

    /// The longest that the wait for a queue's lock may take, and so the longest that a writer of the
    /// queue may have to wait for this. At least 1 millisecond; less than the server's `deadlock_timeout`,
    /// which is 1 second by default, or a deadlock may end a writer.
    ///
    /// Defaults to 750 milliseconds.
    pub fn with_lock_timeout(mut self, most: Duration) -> Self {
        self.settings.lock_timeout = most;
        self
    }

    /// How long busy queues are tried since the last one that could be changed, and how long another
    /// installation is waited for that does not get on.
    ///
    /// Defaults to 60 seconds.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// Calls `heard` as it gets on.
    pub fn on_progress(mut self, heard: impl FnMut(InstallProgress) + Send + 'c) -> Self {
        self.settings.progress = Some(Box::new(heard));
        self
    }

    /// The SQL that would be run, for `psql`: each transaction, without those that are not needed.
    ///
    /// To know what the queues need, it runs the first part and takes it back. Nothing stays of that, no queue
    /// is locked, and the role needs the privileges of an installation.
    ///
    /// # Errors
    ///
    /// As for an installation, without those of busy queues.
    pub async fn plan(mut self) -> Result<String, ClientError> {
        self.settings.check(OPERATION)?;
        let steps = Steps::new(self.client.config()).map_err(invalid)?;
        let mut connection = Connection::open(self.client.pool(), OPERATION).await?;
        let plan = self.planned(&steps, &mut connection).await;
        connection.close().await;
        plan
    }

    async fn planned(
        &mut self,
        steps: &Steps,
        connection: &mut Connection,
    ) -> Result<String, ClientError> {
        let look = Look::take(connection).await.map_err(failed)?;
        let mut plan = String::new();
        let mut before = String::new();
        if !look.pgmq {
            self.check_pgmq(connection).await?;
            before = format!("{CREATE_PGMQ};\n");
            plan_transaction(&mut plan, "PGMQ itself", CREATE_PGMQ, None);
        }
        let config = self.client.config();
        let found = look.installation.as_ref();
        let prepared = found.is_some_and(|it| it.is_prepared(steps, config));
        let finished = prepared && found.is_some_and(|it| it.is_finished(steps));
        if !prepared {
            let what = "what is no trigger: locks no queue";
            plan_transaction(
                &mut plan,
                what,
                steps.prepare(),
                Some(self.settings.lock_timeout),
            );
            before += steps.prepare();
            before += ";\n";
        }
        let short = Some(super::rounds::SHORT_WAIT.min(self.settings.lock_timeout));
        if let Some(on_meta) = steps.on_meta()
            && !(prepared && found.is_some_and(Installation::covers_new_queues))
        {
            plan_transaction(&mut plan, "pgmq.meta", on_meta, short);
        }
        let list = steps.queues().unwrap_or(Steps::REMOVALS);
        let first = transaction(&before, self.settings.lock_timeout);
        // On one message, so that it ends with it whatever becomes of the connection.
        let rows = connection
            .rows(format!("begin;\n{first}\n{list};\nrollback"))
            .await;
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                let _ = connection.run("rollback".into()).await;
                return Err(failed(error));
            }
        };
        for row in rows.iter().filter(|row| row.len() > 1) {
            if let Some(change) = change(row).map_err(failed)? {
                plan_transaction(&mut plan, &change.name, &change.statement, short);
            }
        }
        if !finished {
            let what = "what is needed no more";
            plan_transaction(
                &mut plan,
                what,
                steps.finish(),
                Some(self.settings.lock_timeout),
            );
        }
        if plan.is_empty() {
            plan.push_str("-- Nothing to do: all is installed.\n");
        }
        Ok(plan)
    }

    async fn run(mut self) -> Result<InstallReport, ClientError> {
        self.settings.check(OPERATION)?;
        let steps = Steps::new(self.client.config()).map_err(invalid)?;
        let turn = Turn::take(self.client.pool(), OPERATION, &mut self.settings).await?;
        let connection = Connection::open(self.client.pool(), OPERATION).await;
        let result = match connection {
            Ok(mut connection) => {
                let result = self.work(&steps, &mut connection).await;
                connection.close().await;
                result
            }
            Err(error) => Err(error),
        };
        turn.end().await;
        result
    }

    async fn work(
        &mut self,
        steps: &Steps,
        connection: &mut Connection,
    ) -> Result<InstallReport, ClientError> {
        let config = self.client.config();
        let mut report = InstallReport::default();
        let mut look = Look::take(connection).await.map_err(failed)?;
        if !look.pgmq {
            self.check_pgmq(connection).await?;
            connection.run(CREATE_PGMQ.into()).await.map_err(failed)?;
            report.pgmq_created = true;
            look = Look::take(connection).await.map_err(failed)?;
        }
        if let Some(installed) = &look.installation {
            report.from_version = Some(installed.version().to_owned());
            report.settings = SettingDifference::between(&installed.config(), config);
        }
        let found = look.installation.as_ref();
        let prepared = found.is_some_and(|it| it.is_prepared(steps, config));
        let finished = prepared && found.is_some_and(|it| it.is_finished(steps));
        let covered = prepared && found.is_some_and(Installation::covers_new_queues);
        let strength = match steps.queues() {
            Some(_) => Strength::Writers,
            None => Strength::Everybody,
        };
        let mut rounds = Rounds {
            operation: OPERATION,
            strength,
            connection: &mut *connection,
            settings: &mut self.settings,
            done: 0,
        };
        report.sql_changed = !prepared || !finished;
        if !prepared {
            rounds
                .one("the schema pgmq_notify", steps.prepare())
                .await?;
            rounds.settings.say(InstallProgress::Prepared);
        }
        if let Some(on_meta) = steps.on_meta()
            && !covered
        {
            rounds.one("pgmq.meta", on_meta).await?;
            report.sql_changed = true;
        }
        let list = steps.queues().unwrap_or(Steps::REMOVALS);
        rounds.all(list, change).await?;
        report.queues_changed = rounds.done;
        if !finished {
            rounds.one("pgmq_notify.parked", steps.finish()).await?;
        }
        if let Some(list) = steps.queues() {
            let rows = connection.rows(list.into()).await.map_err(failed)?;
            for row in &rows {
                match row.try_get(1).map_err(failed)? {
                    "disabled" => report.queues_disabled += 1,
                    _ => report.queues_right += 1,
                }
            }
            report.queues_right = report.queues_right.saturating_sub(report.queues_changed);
        }
        Ok(report)
    }

    /// Whether PGMQ is to be installed, and can be.
    async fn check_pgmq(&mut self, connection: &mut Connection) -> Result<(), ClientError> {
        let missing = |text: &str| Err(ClientError::new(ErrorKind::PgmqMissing, text));
        if !self.pgmq {
            return missing(
                "install: PGMQ is not installed in this database; let it be installed too, or run: create extension pgmq",
            );
        }
        let rows = connection.rows(AVAILABLE.into()).await.map_err(failed)?;
        let available = rows.first().map_or(Ok(false), |row| row.try_get(0));
        if available.map_err(failed)? {
            return Ok(());
        }
        missing(
            "install: this server has no files of the extension pgmq; install them on the server, or run the plain SQL \
             of PGMQ in this database: https://github.com/pgmq/pgmq/blob/main/INSTALLATION.md says how",
        )
    }
}

const CREATE_PGMQ: &str = "create extension if not exists pgmq";

impl<'c> IntoFuture for Install<'c> {
    type Output = Result<InstallReport, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'c>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The name first, the statement last, which is null where nothing is to be done.
pub(super) fn change(row: &PgRow) -> Result<Option<Change>, sqlx::Error> {
    let statement: Option<String> = row.try_get(row.len() - 1)?;
    let name = row.try_get(0)?;
    Ok(statement.map(|statement| Change { name, statement }))
}

fn failed(error: sqlx::Error) -> ClientError {
    explain(&Call::new(OPERATION, &[]), error)
}

pub(super) fn plan_transaction(
    plan: &mut String,
    what: &str,
    statement: &str,
    lock_timeout: Option<Duration>,
) {
    let sql = match lock_timeout {
        Some(lock_timeout) => transaction(statement, lock_timeout),
        None => format!("{};", statement.trim_end_matches(';')),
    };
    let _ = writeln!(plan, "-- {what}\nbegin;\n{}\ncommit;\n", sql.trim_end());
}
