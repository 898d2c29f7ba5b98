//! What makes a test longer, or repeats one.

use std::env;
use std::fmt::Debug;
use std::str::FromStr;

/// The value of an environment variable, if it is set.
pub(crate) fn variable<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    let value = env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|error| panic!("{name}={value}: {error:?}")),
    )
}
