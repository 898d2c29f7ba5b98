use std::time::{Duration, SystemTime};

use crate::timestamp::Timestamp;
use crate::{ClientError, seconds};

/// When a message becomes visible: after a while by the server's clock, or at a point in time.
///
/// Made from a [`Duration`] or a [`SystemTime`], so that both can be passed as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// That long from now, by the server's clock.
    After(Duration),
    /// At that time; one that is past means now.
    At(SystemTime),
}

impl From<Duration> for When {
    fn from(duration: Duration) -> Self {
        Self::After(duration)
    }
}

impl From<SystemTime> for When {
    fn from(time: SystemTime) -> Self {
        Self::At(time)
    }
}

/// A delay as the two parameters that SQL makes a point in time of, to the microsecond.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delay {
    pub(crate) at: Option<Timestamp>,
    pub(crate) seconds: f64,
}

impl Delay {
    pub(crate) fn new(when: When) -> Result<Self, ClientError> {
        Ok(match when {
            When::After(duration) => Self {
                at: None,
                seconds: seconds::exact("a delay", duration)?,
            },
            When::At(time) => Self {
                at: Some(Timestamp::new(time)?),
                seconds: 0.0,
            },
        })
    }
}
