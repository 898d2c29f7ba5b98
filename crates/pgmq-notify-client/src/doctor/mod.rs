//! Finds what is wrong with a database, its installation and who works with it.

mod checks;
mod code;
mod diagnosis;
mod examination;
mod facts;
mod quoted;
mod role;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

pub use self::code::{FindingCode, Severity};
pub use self::diagnosis::{Diagnosis, Finding, Remedy};
pub use self::role::RoleKind;

use self::examination::{Examination, OPERATION, failed};
use self::facts::Facts;
use crate::installing::connection::Connection;
use crate::{ClientError, PgmqNotifyClient};

const BACKLOG_AGE: Duration = Duration::from_mins(1);
const QUEUE_USAGE: f64 = 0.1;

/// An examination that has not begun. It does nothing until it is awaited.
///
/// It looks at the server (standby, poolers, its notification queue), PGMQ, the installation, triggers, queues, rights,
/// consumers, backlogs and dead letters, and changes nothing: its statements are read only, none waits for a lock longer
/// than a second, and it claims no message. To prove delivery it notifies itself.
///
/// **Connections**: one of its own, and for the proof of delivery that of a listener and one of the pool. They need
/// no session that lasts, so it runs behind a pooler, and says so.
///
/// **Privileges**: any. What its role may not look at becomes a note of the code
/// [`NotChecked`](FindingCode::NotChecked). The owner of PGMQ's tables sees everything but sessions of others, for which it
/// takes a member of `pg_read_all_stats`.
#[must_use = "an examination does nothing until it is awaited"]
pub struct Doctor<'c> {
    client: &'c PgmqNotifyClient,
    any_config: bool,
    role: Option<String>,
    kind: RoleKind,
    queues: Vec<String>,
    backlog_age: Duration,
    queue_usage: f64,
}

impl PgmqNotifyClient {
    /// Finds what is wrong with the database, and says what repairs it.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(client: pgmq_notify_client::PgmqNotifyClient) -> Result<(), pgmq_notify_client::ClientError> {
    /// let diagnosis = client.doctor().await?;
    /// for finding in &diagnosis.findings {
    ///     eprintln!("{finding}");
    /// }
    /// assert!(diagnosis.is_healthy());
    /// # Ok(())
    /// # }
    /// ```
    pub fn doctor(&self) -> Doctor<'_> {
        Doctor {
            client: self,
            any_config: false,
            role: None,
            kind: RoleKind::Listener,
            queues: Vec::new(),
            backlog_age: BACKLOG_AGE,
            queue_usage: QUEUE_USAGE,
        }
    }
}

impl Doctor<'_> {
    /// Takes the configuration that the database has for the right one.
    ///
    /// Defaults to that of the client, and what differs is found.
    pub fn with_any_config(mut self) -> Self {
        self.any_config = true;
        self
    }

    /// Whose rights are examined, by the name of the role.
    ///
    /// Defaults to the role that is connected.
    pub fn with_role(mut self, name: impl Into<String>) -> Self {
        self.role = Some(name.into());
        self
    }

    /// What that role is for.
    ///
    /// Defaults to a listener, which needs what every service does that hears of messages.
    pub fn with_role_kind(mut self, kind: RoleKind) -> Self {
        self.kind = kind;
        self
    }

    /// Examines the rights on these queues, and those of their dead letters.
    ///
    /// Defaults to the queues on which the role has any right, or all where it has none.
    pub fn with_queues(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.queues = names.into_iter().map(Into::into).collect();
        self
    }

    /// How long a message may have been visible before its queue has a backlog.
    ///
    /// Defaults to 60 seconds.
    pub fn with_backlog_age(mut self, age: Duration) -> Self {
        self.backlog_age = age;
        self
    }

    /// How much of the server's notification queue may be in use, from 0 to 1, before that is a warning. From 0.5 on it
    /// is an error, because the triggers publish nothing then.
    ///
    /// Defaults to 0.1.
    pub fn with_notification_queue_warning(mut self, usage: f64) -> Self {
        self.queue_usage = usage;
        self
    }

    async fn examine(self) -> Result<Diagnosis, ClientError> {
        let mut connection = Connection::open(self.client.pool(), OPERATION).await?;
        let facts = Facts::gather(&mut connection).await.map_err(failed)?;
        let mut examination = Examination {
            client: self.client,
            connection,
            config: self.client.config().clone(),
            facts,
            is_newer: false,
            findings: Vec::new(),
        };
        let checked = checks::all(&mut examination, &self).await;
        let Examination {
            connection,
            config,
            mut findings,
            ..
        } = examination;
        connection.close().await;
        checked?;
        findings.sort_by_key(|it| std::cmp::Reverse(it.severity));
        Ok(Diagnosis { findings, config })
    }
}

impl fmt::Debug for Doctor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor")
            .field("role", &self.role)
            .field("kind", &self.kind)
            .field("queues", &self.queues)
            .finish_non_exhaustive()
    }
}

impl<'c> IntoFuture for Doctor<'c> {
    type Output = Result<Diagnosis, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'c>>;

    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached, the connection breaks, or the role of which rights are to be examined does not
    /// exist. What the server refuses to show is a finding.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.examine())
    }
}
