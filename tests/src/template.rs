//! Databases made by copying one that already has PGMQ.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{Error, Pgmq, Server};

impl Server {
    /// Makes a database, with PGMQ or empty, and returns its name.
    ///
    /// PGMQ is installed once per server and copied from then on, which is some ten times faster.
    pub(crate) async fn create_database(&self, pgmq: Option<Pgmq>) -> Result<String, Error> {
        let template = match pgmq {
            Some(pgmq) => self.template(pgmq).await?,
            None => "template0".to_owned(),
        };
        let name = self.new_database_name();
        let mut connection = self.connect().await?;
        create(&mut connection, &name, &template).await?;
        let _ = connection.close().await;
        Ok(name)
    }

    async fn template(&self, pgmq: Pgmq) -> Result<String, Error> {
        let mut templates = self.templates().lock().await;
        if let Some(template) = templates.get(&pgmq) {
            return Ok(template.clone());
        }
        let name = self.new_database_name();
        let mut connection = self.connect().await?;
        create(&mut connection, &name, "template0").await?;
        pgmq.install(self, &name).await?;
        // Whoever is connected to a template keeps others from copying it.
        execute(
            &mut connection,
            format!("alter database {name} allow_connections false"),
        )
        .await?;
        let _ = connection.close().await;
        templates.insert(pgmq, name.clone());
        Ok(name)
    }
}

/// `template0` is copied as UTF-8, whatever encoding a given server has by default.
async fn create(connection: &mut PgConnection, name: &str, template: &str) -> Result<(), Error> {
    let encoding = if template == "template0" {
        " encoding 'UTF8'"
    } else {
        ""
    };
    execute(
        connection,
        format!("create database {name} template {template}{encoding}"),
    )
    .await
}

/// Names are our own, of letters, digits and underscores, and need no quotes.
async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), Error> {
    let failed = Error::because(sql.clone());
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .map(drop)
        .map_err(failed)
}
