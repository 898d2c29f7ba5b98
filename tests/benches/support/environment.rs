//! The server that a benchmark runs on, and what a reader has to know about it.

use std::{
    fmt::Write as _,
    thread,
    time::{Duration, Instant},
};

use pgmq_notify_tests::{Server, Settings, TestDatabase};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};

use super::{Failure, Flush, Sample};

/// A server of its own, set up so that nothing happens on it but the benchmark.
#[derive(Debug)]
pub(crate) struct Environment {
    server: Server,
    flush: Flush,
}

impl Environment {
    pub(crate) async fn start(flush: Flush) -> Result<Self, Failure> {
        let settings = Settings::new()
            .set("shared_buffers", "256MB")
            // 100 senders to each of the ways, all connected all the time.
            .set("max_connections", "1000")
            // Neither a checkpoint nor a vacuum falls into somebody's turn.
            .set("max_wal_size", "16GB")
            .set("checkpoint_timeout", "1h")
            .set("autovacuum", "off");
        let settings = match flush {
            Flush::Disk => settings,
            // The backend that flushes for everybody sleeps before it does, as a slower disk would keep it.
            Flush::Delayed(delay) => settings
                .set("commit_delay", delay.as_micros().to_string())
                .set("commit_siblings", "0"),
            Flush::Off => settings.set("synchronous_commit", "off"),
        };
        Ok(Self {
            server: Server::start(settings).await?,
            flush,
        })
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// Server, machine, and what a flush takes.
    pub(crate) async fn describe(&self) -> Result<String, Failure> {
        let processors = thread::available_parallelism()?;
        let mut text = format!(
            "PostgreSQL {}, {processors} processors, ",
            self.server.version().await?
        );
        match self.flush {
            Flush::Off => text.push_str("commits wait for no flush"),
            Flush::Disk | Flush::Delayed(_) => {
                let flush = self.flush_time().await?;
                write!(text, "a flush takes {:.0} µs", flush.as_secs_f64() * 1e6)?;
            }
        }
        Ok(text)
    }

    /// What a commit takes longer because it waits for its flush: the difference of medians of alternating commits.
    async fn flush_time(&self) -> Result<Duration, Failure> {
        let database = TestDatabase::create(&self.server, None).await?;
        let mut connection = PgConnection::connect_with(&database.options()).await?;
        connection.execute("create table flushed (n int)").await?;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..100 {
            for (setting, times) in [("on", &mut with), ("off", &mut without)] {
                let set = format!("set synchronous_commit = {setting}");
                connection.execute(AssertSqlSafe(set)).await?;
                let start = Instant::now();
                connection.execute("insert into flushed values (1)").await?;
                times.push(start.elapsed().as_secs_f64());
            }
        }
        connection.close().await?;
        let difference = Sample::new(with).median() - Sample::new(without).median();
        Ok(Duration::from_secs_f64(difference.max(0.0)))
    }
}
