use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, PgPool,
};
use tokio::time::timeout;

/// How long a connection may take to be made, and how long a statement may wait for a lock: a queue
/// that somebody has locked must not hold up the others for longer.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);
const LOCK_TIMEOUT_MS: u32 = 1_000;
/// Each queue has two or three, and a connection serves many queues.
const STATEMENTS: usize = 512;

/// A connection of the consumer's own, made again when it is lost.
///
/// Not one of the application's pool: its settings differ, and a pool that the handlers use up would
/// keep the consumer from extending their leases.
#[derive(Debug)]
pub(crate) struct OwnConnection {
    /// It says how to connect, each time: a password or a host may have been changed there.
    pool: PgPool,
    settings: String,
    connection: Option<PgConnection>,
}

/// Whether a commit waits until it is safe on disk: of what a consumer makes of its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// As the server is configured; usually it waits.
    #[default]
    Durable,
    /// It does not wait: `synchronous_commit = off`. A crash of the server may undo what was
    /// committed within the last three times `wal_writer_delay` (200 milliseconds by default).
    Asynchronous,
}

impl OwnConnection {
    /// For claims.
    ///
    /// To plan a statement takes longer than to run it, on a server that was idle. So each is planned
    /// once, for any number of messages; and as the plan would stay what it was for an empty table, the
    /// server is told to go by the index, however many rows it knows of.
    pub(crate) fn claiming(pool: &PgPool) -> Self {
        Self::new(
            pool,
            Durability::Asynchronous,
            "set plan_cache_mode = force_generic_plan; set enable_seqscan = off;
             set enable_bitmapscan = off; set enable_sort = off; set jit = off;",
        )
    }

    /// For changes of messages whose ids are known: planned for their number.
    pub(crate) fn changing(pool: &PgPool, durability: Durability) -> Self {
        Self::new(pool, durability, "set plan_cache_mode = force_custom_plan;")
    }

    /// For what a consumer says about its sleep: a crash of the server ends that as well.
    pub(crate) fn parking(pool: &PgPool) -> Self {
        Self::new(pool, Durability::Asynchronous, "")
    }

    /// Connects when it is first used.
    fn new(pool: &PgPool, durability: Durability, planning: &str) -> Self {
        let flushing = match durability {
            Durability::Durable => "",
            Durability::Asynchronous => "set synchronous_commit = off;",
        };
        Self {
            pool: pool.clone(),
            settings: format!("{flushing} {planning} set lock_timeout = {LOCK_TIMEOUT_MS};"),
            connection: None,
        }
    }

    /// Runs `statement`, `within` this time. A connection on which it did not end well is not used
    /// again, unless the server itself refused it and lives.
    pub(crate) async fn run<T>(
        &mut self,
        within: Duration,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        // Dropped in the middle, the connection is gone with it.
        let result = timeout(within, statement(&mut connection))
            .await
            .unwrap_or_else(|_| Err(late("the server has not answered in time")));
        match &result {
            Ok(_) => self.connection = Some(connection),
            Err(error) if is_refusal(error) => self.connection = Some(connection),
            Err(_) => {}
        }
        result
    }

    /// So that the first message does not wait for it.
    pub(crate) async fn open(&mut self) -> Result<(), sqlx::Error> {
        if self.connection.is_none() {
            self.connection = Some(self.connect().await?);
        }
        Ok(())
    }

    /// The same, not yet connected: what the session held is given up.
    pub(crate) fn anew(self) -> Self {
        Self {
            connection: None,
            ..self
        }
    }

    pub(crate) async fn close(mut self) {
        if let Some(connection) = self.connection.take() {
            // For a server that does not take leave.
            let _ = timeout(Duration::from_secs(1), connection.close()).await;
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = async {
            let options = self.pool.connect_options();
            let name = match options.get_application_name() {
                Some(own) if !own.is_empty() => format!("pgmq-notify-consumer {own}"),
                _ => "pgmq-notify-consumer".to_owned(),
            };
            let options = PgConnectOptions::clone(&options)
                .application_name(&name)
                .statement_cache_capacity(STATEMENTS);
            let mut connection = options.connect().await?;
            connection
                .execute(AssertSqlSafe(self.settings.clone()))
                .await?;
            Ok(connection)
        };
        timeout(CONNECTED_WITHIN, connecting)
            .await
            .unwrap_or_else(|_| Err(late("no connection in time")))
    }
}

/// The error of an answer that did not come.
pub(crate) fn late(text: &'static str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
}

/// Whether the server said no, and the session goes on. What ends a session is of class 57P.
fn is_refusal(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| !code.starts_with("57P") && !code.starts_with("08")),
        _ => false,
    }
}
