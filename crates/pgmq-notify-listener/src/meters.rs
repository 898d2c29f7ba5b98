//! Where the numbers of a listener go: to the recorder of the crate `metrics` with the feature of that
//! name, and nowhere without it.

#[cfg(feature = "metrics")]
mod recorded;
#[cfg(not(feature = "metrics"))]
mod unrecorded;

#[cfg(feature = "metrics")]
pub(crate) use recorded::Meters;
#[cfg(not(feature = "metrics"))]
pub(crate) use unrecorded::Meters;
