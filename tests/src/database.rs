//! A database per test.

use std::{thread, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Error, Pgmq, Server};

/// Enough for a test's senders; the server has 200 for all tests that run at a time.
const POOL_SIZE: u32 = 20;

/// A server that a test has just killed must not hold up the end of that test.
const DROPPED_WITHIN: Duration = Duration::from_secs(30);

/// A database of its own for one test, reached as superuser, and dropped with everything connected to it when this value is.
///
/// That includes the end of a test by panic. Its constructors panic where a test cannot go on: with what to install, if there
/// is no server.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    pool: PgPool,
    // The last field: an own server must outlive the pool.
    server: Server,
}

impl TestDatabase {
    /// On the shared server, with the PGMQ of [`Pgmq::chosen`].
    ///
    /// # Panics
    /// If there is no server, or it cannot make the database.
    pub async fn new() -> Self {
        let server = expect(Server::shared().await);
        let pgmq = expect(Pgmq::chosen(&server).await);
        Self::on(&server, pgmq).await
    }

    /// On the shared server, with this PGMQ.
    ///
    /// # Panics
    /// If there is no server, or it cannot make the database.
    pub async fn with(pgmq: Pgmq) -> Self {
        Self::on(&expect(Server::shared().await), pgmq).await
    }

    /// On the shared server, without PGMQ.
    ///
    /// # Panics
    /// If there is no server, or it cannot make the database.
    pub async fn empty() -> Self {
        expect(Self::create(&expect(Server::shared().await), None).await)
    }

    /// On this server, with this PGMQ.
    ///
    /// # Panics
    /// If the server cannot make the database.
    pub async fn on(server: &Server, pgmq: Pgmq) -> Self {
        expect(Self::create(server, Some(pgmq)).await)
    }

    /// On this server, with PGMQ or without.
    ///
    /// # Errors
    /// The server does not answer, or cannot make the database.
    pub async fn create(server: &Server, pgmq: Option<Pgmq>) -> Result<Self, Error> {
        let name = server.create_database(pgmq).await?;
        let pool = PgPoolOptions::new()
            .max_connections(POOL_SIZE)
            .connect_lazy_with(server.options(&name));
        Ok(Self {
            name,
            pool,
            server: server.clone(),
        })
    }

    /// Brings a PGMQ that was installed as plain SQL to 1.13, by the scripts of its releases.
    ///
    /// # Panics
    /// If a script fails.
    pub async fn upgrade_pgmq(&self) {
        expect(Pgmq::V1_13.install(&self.server, &self.name).await);
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it is on. This database keeps that server running.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// How to connect to it, as superuser.
    pub fn options(&self) -> PgConnectOptions {
        self.server.options(&self.name)
    }

    /// The same as a URL, password included.
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    /// A pool of up to 20 connections, none of them made before it is used.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (&self.server, &self.name);
        // A thread and runtime of its own: the test's runtime may be the one that is ending.
        let dropped = thread::scope(|scope| scope.spawn(|| drop_database(server, name)).join());
        if let Ok(Err(error)) = dropped
            && !thread::panicking()
            && !server.is_stopped()
        {
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "the database {name} stays: {error:?}");
        }
    }
}

fn drop_database(server: &Server, name: &str) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::because("start a runtime"))?;
    runtime.block_on(async {
        tokio::time::timeout(DROPPED_WITHIN, async {
            let mut connection = server.connect().await?;
            roll_back_prepared(server, &mut connection, name).await?;
            sqlx::raw_sql(AssertSqlSafe(format!(
                "drop database if exists {name} with (force)"
            )))
            .execute(&mut connection)
            .await
            .map_err(Error::because("drop the database"))?;
            let _ = connection.close().await;
            Ok(())
        })
        .await
        .unwrap_or_else(|_| Err(Error::new(format!("not dropped within {DROPPED_WITHIN:?}"))))
    })
}

/// `force` ends sessions only: a prepared transaction would keep the database, and must be ended from within it.
async fn roll_back_prepared(
    server: &Server,
    connection: &mut PgConnection,
    name: &str,
) -> Result<(), Error> {
    let prepared: Vec<String> = sqlx::query_scalar(
        "select format('rollback prepared %L', gid) from pg_prepared_xacts where database = $1",
    )
    .bind(name)
    .fetch_all(connection)
    .await
    .map_err(Error::because("look for prepared transactions"))?;
    if prepared.is_empty() {
        return Ok(());
    }
    let mut inside = PgConnection::connect_with(&server.options(name))
        .await
        .map_err(Error::because("connect to roll back"))?;
    for rollback in prepared {
        sqlx::raw_sql(AssertSqlSafe(rollback))
            .execute(&mut inside)
            .await
            .map_err(Error::because("roll back a prepared transaction"))?;
    }
    let _ = inside.close().await;
    Ok(())
}

/// Where a test cannot go on.
fn expect<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error:?}"))
}
