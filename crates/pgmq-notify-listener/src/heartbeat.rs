use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// The least of either time, so that a zero does not become a busy loop.
const SHORTEST: Duration = Duration::from_millis(10);

/// As good as never, and still a time that a timer can be set to.
const LONGEST: Duration = Duration::from_hours(365 * 24);

/// When a silent session is asked whether it lives, and how long it may take to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) quiet: Duration,
    pub(crate) answer: Duration,
}

impl Heartbeat {
    pub(crate) fn new(quiet: Duration, answer: Duration) -> Self {
        Self {
            quiet: quiet.clamp(SHORTEST, LONGEST),
            answer: answer.clamp(SHORTEST, LONGEST),
        }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new(Duration::from_secs(15), Duration::from_secs(5))
    }
}

/// Ends when nothing has been heard for a while.
///
/// A notification costs it a look at the clock: the timer is set again when it has run out, not
/// whenever the silence is broken.
#[derive(Debug)]
pub(crate) struct Silence {
    quiet: Duration,
    since: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    pub(crate) fn new(quiet: Duration) -> Self {
        Self {
            quiet,
            since: Instant::now(),
            timer: Box::pin(sleep(quiet)),
        }
    }

    /// It is quiet from now on.
    pub(crate) fn begin(&mut self) {
        self.since = Instant::now();
    }

    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let due = self.since + self.quiet;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_silence_ends_after_its_time_and_can_begin_again() {
        let quiet = Duration::from_secs(15);
        let mut silence = Silence::new(quiet);
        advance(Duration::from_secs(10)).await;
        silence.begin();
        for _ in 0..3 {
            let start = Instant::now();
            poll_fn(|cx| silence.poll_end(cx)).await;
            let lasted = start.elapsed();
            assert!(lasted >= quiet && lasted < quiet * 2, "{lasted:?}");
            silence.begin();
        }
    }

    #[test]
    fn times_that_no_timer_can_keep_are_bounded() {
        let heartbeat = Heartbeat::new(Duration::ZERO, Duration::MAX);
        assert_eq!((heartbeat.quiet, heartbeat.answer), (SHORTEST, LONGEST));
    }
}
