use std::time::Duration;

use crate::{ClientError, seconds};

/// How long the server looks for a message, and how often.
///
/// The server does the waiting, and the connection is busy meanwhile: an event costs less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    up_to: Duration,
    every: Duration,
}

impl Polling {
    /// Looks for `duration` in all. PGMQ counts whole seconds: fractions are rounded up. Zero looks once.
    pub fn up_to(duration: Duration) -> Self {
        Self {
            up_to: duration,
            every: Duration::from_millis(100),
        }
    }

    /// The pause between two looks, at least one millisecond; fractions of it are rounded up.
    /// Defaults to 100 ms.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// Seconds and milliseconds; `None` where one look is enough.
    pub(crate) fn parameters(self) -> Result<Option<(i32, i32)>, ClientError> {
        let up_to = seconds::whole("polling", self.up_to)?;
        let every = seconds::millis("a polling interval", self.every)?.max(1);
        // PGMQ would return at once without having looked.
        Ok((up_to > 0).then_some((up_to, every)))
    }
}
