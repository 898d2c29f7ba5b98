//! Waiting for a condition instead of sleeping and hoping.

use std::{
    fmt::Debug,
    panic::Location,
    time::{Duration, Instant},
};

use crate::Error;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// What one look at the world says: met, with a value, or what was seen instead.
pub trait Outcome {
    /// What `eventually` returns.
    type Met;

    /// # Errors
    /// What was seen, when the condition does not hold yet.
    fn met(self) -> Result<Self::Met, String>;
}

impl Outcome for bool {
    type Met = ();

    fn met(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "false".to_owned())
    }
}

impl<T> Outcome for Option<T> {
    type Met = T;

    fn met(self) -> Result<T, String> {
        self.ok_or_else(|| "None".to_owned())
    }
}

impl<T, E: Debug> Outcome for Result<T, E> {
    type Met = T;

    fn met(self) -> Result<T, String> {
        self.map_err(|seen| format!("{seen:?}"))
    }
}

/// Looks again and again until `condition` is met, and returns what it found.
///
/// A look that does not return counts against the deadline too.
///
/// # Panics
/// After `deadline`, with the caller's place and what was seen last.
#[track_caller]
pub fn eventually<Look, Seeing>(
    deadline: Duration,
    mut condition: Look,
) -> impl Future<Output = <Seeing::Output as Outcome>::Met>
where
    Look: FnMut() -> Seeing,
    Seeing: Future<Output: Outcome>,
{
    // An async block has no caller of its own: its place is taken here.
    let place = Location::caller();
    async move {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut last = "nothing, the first look did not return".to_owned();
        let mut looks = 0_u32;
        loop {
            let left = deadline.saturating_sub(start.elapsed());
            match tokio::time::timeout(left, condition())
                .await
                .map(Outcome::met)
            {
                Ok(Ok(value)) => return value,
                Ok(Err(seen)) => last = seen,
                Err(_) => {}
            }
            looks += 1;
            let left = deadline.saturating_sub(start.elapsed());
            assert!(
                !left.is_zero(),
                "{place}: not within {deadline:?} and {looks} looks; last seen: {last}"
            );
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// The same for the harness itself, which says by an error what a test may want to survive.
pub(crate) async fn until(
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Result<bool, Error>,
) -> Result<(), Error> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    while !condition().await? {
        if start.elapsed() > deadline {
            return Err(Error::new(format!("not within {deadline:?}")));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}
