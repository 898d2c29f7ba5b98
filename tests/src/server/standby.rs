//! A hot standby, and what becomes of it.

use std::time::Duration;

use sqlx::PgConnection;

use super::{Server, Source, blocking, new_prefix};
use crate::{Error, eventually::until};

/// In seconds, which is what `pg_promote` takes.
const PROMOTED_WITHIN: i32 = 60;
const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(1);

/// Replication, for servers from [`Server::start`].
impl Server {
    /// Starts a hot standby that streams from this server; returns when it can be read.
    ///
    /// It has this server's settings, a directory and a port of its own, and is as much its own server: it can be stopped,
    /// killed and dropped. Databases have the same names on both.
    ///
    /// # Errors
    /// This server is not a local one, or `pg_basebackup` fails.
    pub async fn standby(&self) -> Result<Self, Error> {
        let server = self.clone();
        blocking(move || {
            let local = server.local().ok_or_else(|| server.not_ours())?;
            let standby = Source::Local(local.standby()?);
            Ok(Self::from_source(standby, new_prefix()))
        })
        .await
    }

    /// Whether it is a standby now.
    pub async fn is_standby(&self) -> Result<bool, Error> {
        sqlx::query_scalar("select pg_is_in_recovery()")
            .fetch_one(&mut self.connect().await?)
            .await
            .map_err(Error::because("ask whether it is a standby"))
    }

    /// Makes a standby a server that can be written to; returns when it can. Its former primary, if it still runs, goes on by
    /// itself.
    ///
    /// # Errors
    /// It is no standby.
    pub async fn promote(&self) -> Result<(), Error> {
        let promoted: bool = sqlx::query_scalar("select pg_promote(true, $1)")
            .bind(PROMOTED_WITHIN)
            .fetch_one(&mut self.connect().await?)
            .await
            .map_err(Error::because("promote the standby"))?;
        promoted
            .then_some(())
            .ok_or_else(|| Error::new(format!("not promoted within {PROMOTED_WITHIN} s")))
    }

    /// Waits until this standby shows everything that `primary` had committed when this was called.
    ///
    /// # Errors
    /// It does not within a minute, or one of them does not answer.
    pub async fn catch_up_with(&self, primary: &Self) -> Result<(), Error> {
        let failed = || Error::because("compare the standby with its primary");
        let written: String = sqlx::query_scalar("select pg_current_wal_flush_lsn()::text")
            .fetch_one(&mut primary.connect().await?)
            .await
            .map_err(failed())?;
        let mut standby: PgConnection = self.connect().await?;
        until(CAUGHT_UP_WITHIN, async || {
            sqlx::query_scalar("select coalesce(pg_last_wal_replay_lsn() >= $1::pg_lsn, false)")
                .bind(&written)
                .fetch_one(&mut standby)
                .await
                .map_err(failed())
        })
        .await
    }
}
