//! PGMQ counts in whole seconds of 32 bits.

use std::time::Duration;

use crate::ClientError;

/// The longest that PGMQ can wait, about 68 years.
pub(crate) const LONGEST: Duration = Duration::from_secs(i32::MAX as u64);

/// Whole seconds, rounded up: a lease is never shorter than what was asked for.
pub(crate) fn whole(what: &str, duration: Duration) -> Result<i32, ClientError> {
    let up = duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0));
    i32::try_from(up).map_err(|_| too_long(what, duration))
}

/// Whole milliseconds, rounded up.
pub(crate) fn millis(what: &str, duration: Duration) -> Result<i32, ClientError> {
    let up = duration.as_nanos().div_ceil(1_000_000);
    i32::try_from(up).map_err(|_| too_long(what, duration))
}

/// Seconds with their fraction, where PGMQ's own unit need not be used.
pub(crate) fn exact(what: &str, duration: Duration) -> Result<f64, ClientError> {
    if duration > LONGEST {
        return Err(too_long(what, duration));
    }
    Ok(duration.as_secs_f64())
}

fn too_long(what: &str, duration: Duration) -> ClientError {
    ClientError::invalid(format!(
        "{what} of {duration:?} is longer than PGMQ can count: 2147483647 seconds, or 2147483647 milliseconds for an interval"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn fractions_are_rounded_up_and_never_down() {
        let seconds = |duration| whole("vt", duration).unwrap();
        assert_eq!(seconds(Duration::ZERO), 0);
        assert_eq!(seconds(Duration::from_nanos(1)), 1);
        assert_eq!(seconds(Duration::from_millis(1500)), 2);
        assert_eq!(seconds(LONGEST), i32::MAX);
        assert_eq!(millis("interval", Duration::from_nanos(1)).unwrap(), 1);
    }

    #[test]
    fn what_overflows_is_an_invalid_argument_that_is_quoted() {
        for error in [
            whole("vt", Duration::MAX).unwrap_err(),
            whole("vt", LONGEST + Duration::from_nanos(1)).unwrap_err(),
            millis("interval", LONGEST).unwrap_err(),
            exact("delay", Duration::MAX).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.to_string().contains(" of "), "{error}");
        }
    }
}
