//! Which PGMQ a database has, and how it got there.

use sqlx::{Connection, PgConnection, PgPool, postgres::PgPoolOptions};

use crate::{
    Error, Server,
    server::{Way, variable},
};

/// A release of PGMQ, in one of the forms it is installed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pgmq {
    /// 1.11.0 as plain SQL: the oldest release that any published crate carries.
    V1_11,
    /// 1.13.0 as plain SQL.
    V1_13,
    /// `create extension`, in the release that the server has files of.
    Extension,
}

impl Pgmq {
    /// What `PGMQ_NOTIFY_TEST_PGMQ` says; otherwise the extension in a container that has it, and 1.13 as plain SQL.
    pub async fn chosen(server: &Server) -> Result<Self, Error> {
        let variable = variable("PGMQ_NOTIFY_TEST_PGMQ");
        match variable
            .as_ref()
            .map(|choice| choice.to_string_lossy())
            .as_deref()
        {
            Some("1.11") => Ok(Self::V1_11),
            Some("1.13") => Ok(Self::V1_13),
            Some("extension") => Ok(Self::Extension),
            Some(other) => Err(Error::new(format!(
                "PGMQ_NOTIFY_TEST_PGMQ is `{other}`, but one of `1.11`, `1.13`, `extension` is possible"
            ))),
            None if server.way() == Way::Container
                && Self::Extension.is_available(server).await? =>
            {
                Ok(Self::Extension)
            }
            None => Ok(Self::V1_13),
        }
    }

    /// Whether `server` can have it. Plain SQL goes everywhere, the extension needs its files on the server.
    pub async fn is_available(self, server: &Server) -> Result<bool, Error> {
        if self != Self::Extension {
            return Ok(true);
        }
        let mut connection = server.connect().await?;
        sqlx::query_scalar(
            "select exists (select from pg_available_extensions where name = 'pgmq')",
        )
        .fetch_one(&mut connection)
        .await
        .map_err(Error::because("look for the files of the extension pgmq"))
    }

    /// Installs it into `database`, and leaves no connection behind: a template must have none.
    pub(crate) async fn install(self, server: &Server, database: &str) -> Result<(), Error> {
        match self {
            Self::V1_11 => {
                let failed = || format!("connect to {database}");
                let pool = sqlx_0_8::postgres::PgPoolOptions::new()
                    .max_connections(1)
                    .connect(&server.url(database))
                    .await
                    .map_err(Error::because(failed()))?;
                let installed = pgmq_1_11::install::install_sql_from_embedded(&pool).await;
                pool.close().await;
                installed.map_err(Error::because("install PGMQ 1.11 as plain SQL"))
            }
            Self::V1_13 => {
                let pool: PgPool = PgPoolOptions::new()
                    .max_connections(1)
                    .connect_with(server.options(database))
                    .await
                    .map_err(Error::because(format!("connect to {database}")))?;
                let installed = pgmq_1_13::install::install_sql_from_embedded(&pool).await;
                pool.close().await;
                installed.map_err(Error::because("install PGMQ 1.13 as plain SQL"))
            }
            Self::Extension => {
                let mut connection = PgConnection::connect_with(&server.options(database))
                    .await
                    .map_err(Error::because(format!("connect to {database}")))?;
                let installed = sqlx::raw_sql("create extension pgmq")
                    .execute(&mut connection)
                    .await;
                let _ = connection.close().await;
                installed.map(drop).map_err(Error::because(
                    "create extension pgmq; are its files installed on the server, see PGMQ_NOTIFY_TEST_PGMQ",
                ))
            }
        }
    }
}
