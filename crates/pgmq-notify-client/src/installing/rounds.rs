use std::time::Duration;

use sqlx::postgres::PgRow;
use tokio::time::{Instant, sleep};

use super::busy::{Strength, busy};
use super::connection::{Connection, Refused};
use super::{InstallProgress, Settings};
use crate::call::Call;
use crate::failure::explain;
use crate::{ClientError, ErrorKind};

/// A queue that is busy for a short time is so often that it is tried often, for a short time.
pub(super) const SHORT_WAIT: Duration = Duration::from_millis(50);
const SHORT_ROUNDS: u32 = 10;

/// Every list is made anew until it is empty. More often than that, something puts back what was done.
const MOST_LISTS: usize = 20;

/// A table, and the statement that changes its triggers.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) name: String,
    pub(super) statement: String,
}

/// Makes changes that need locks, each in a short transaction of its own. What is busy is tried again after
/// the others.
#[derive(Debug)]
pub(super) struct Rounds<'r, 'c> {
    pub(super) operation: &'static str,
    pub(super) strength: Strength,
    pub(super) connection: &'r mut Connection,
    pub(super) settings: &'r mut Settings<'c>,
    /// How many tables have been changed.
    pub(super) done: usize,
}

impl Rounds<'_, '_> {
    /// Makes every change of `list`, which is asked again until it names none.
    pub(super) async fn all(
        &mut self,
        list: &str,
        change: impl Fn(&PgRow) -> Result<Option<Change>, sqlx::Error>,
    ) -> Result<(), ClientError> {
        for _ in 0..MOST_LISTS {
            let rows = self.connection.rows(list.into()).await;
            let rows = rows.map_err(|error| self.failed(None, error))?;
            let mut changes = Vec::new();
            for row in &rows {
                changes.extend(change(row).map_err(|error| self.failed(None, error))?);
            }
            if changes.is_empty() {
                return Ok(());
            }
            let total = self.done + changes.len();
            self.these(changes, Some(total)).await?;
        }
        Err(ClientError::new(
            ErrorKind::Unexpected,
            format!(
                "{}: triggers were changed {MOST_LISTS} times and are not as they should be; something else changes them",
                self.operation
            ),
        ))
    }

    /// Makes one change that is no table's.
    pub(super) async fn one(&mut self, name: &str, statement: &str) -> Result<(), ClientError> {
        let change = Change {
            name: name.into(),
            statement: statement.into(),
        };
        self.these(vec![change], None).await
    }

    /// Makes the changes. `total` is how many there will have been, if they are tables.
    async fn these(
        &mut self,
        mut changes: Vec<Change>,
        total: Option<usize>,
    ) -> Result<(), ClientError> {
        let mut patience = Instant::now() + self.settings.patience;
        let mut round = 0;
        while !changes.is_empty() {
            let lock_timeout = lock_timeout(round, self.settings.lock_timeout);
            let mut busy_ones = Vec::new();
            let mut rest = changes.into_iter();
            while let Some(change) = rest.next() {
                match self
                    .connection
                    .locking(&change.statement, lock_timeout)
                    .await
                {
                    Ok(()) => {
                        patience = Instant::now() + self.settings.patience;
                        self.changed(change.name, total);
                    }
                    Err(Refused::Gone) if total.is_some() => {}
                    Err(Refused::Busy) => {
                        self.is_busy(&change.name, total);
                        busy_ones.push(change);
                    }
                    Err(Refused::Gone) => {
                        let reason = format!("{}: {} is gone", self.operation, change.name);
                        return Err(ClientError::new(ErrorKind::Unexpected, reason));
                    }
                    Err(Refused::Error(error)) => {
                        return Err(self.failed(Some((&change.name, total)), error));
                    }
                }
                if Instant::now() > patience {
                    // Nothing was free for that long, so the rest is not either.
                    busy_ones.extend(rest);
                    let names: Vec<_> = busy_ones.into_iter().map(|it| it.name).collect();
                    return Err(busy(self.connection, self.operation, self.strength, &names).await);
                }
            }
            changes = busy_ones;
            round += 1;
            if !changes.is_empty() {
                // Whoever waited behind the attempt gets on meanwhile.
                let pause = 10 + u64::from(round.min(10)) * 10;
                sleep(Duration::from_millis(fastrand::u64(pause / 2..=pause))).await;
            }
        }
        Ok(())
    }

    fn changed(&mut self, name: String, total: Option<usize>) {
        if let Some(total) = total {
            self.done += 1;
            let done = self.done;
            self.settings
                .say(InstallProgress::Table { name, done, total });
        }
    }

    fn is_busy(&mut self, name: &str, total: Option<usize>) {
        let name = name.to_owned();
        let done = self.done;
        let total = total.unwrap_or(done);
        self.settings
            .say(InstallProgress::Busy { name, done, total });
    }

    /// What is done is done, whatever the error is.
    pub(super) fn failed(
        &self,
        at: Option<(&str, Option<usize>)>,
        error: sqlx::Error,
    ) -> ClientError {
        let explained = explain(&Call::new(self.operation, &[]), error);
        let kind = explained.kind();
        let at = at.map_or_else(String::new, |(name, _)| format!(" at {name}"));
        if kind == ErrorKind::Connection {
            let (operation, done) = (self.operation, self.done);
            let text = format!(
                "{operation}: the connection was lost{at}, after {done} tables; running it again continues"
            );
            return ClientError::new(kind, text).because(explained);
        }
        if at.is_empty() {
            return explained;
        }
        ClientError::new(kind, format!("{}{at}", self.operation)).because(explained)
    }
}

/// Short at first, and then longer, up to the most that a writer may have to wait.
fn lock_timeout(round: u32, most: Duration) -> Duration {
    let growing = SHORT_WAIT * (1 << round.saturating_sub(SHORT_ROUNDS - 1).min(10));
    growing.min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_short_at_first_and_never_longer_than_allowed() {
        let wait = |round| lock_timeout(round, Duration::from_millis(750)).as_millis();
        assert_eq!(
            [wait(0), wait(9), wait(10), wait(12), wait(13), wait(99)],
            [50, 50, 100, 400, 750, 750]
        );
        assert_eq!(lock_timeout(0, Duration::from_millis(20)).as_millis(), 20);
    }
}
