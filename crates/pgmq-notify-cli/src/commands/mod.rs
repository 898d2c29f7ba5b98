//! One module a command: its arguments, what it does, what it prints.

pub(crate) mod check;
pub(crate) mod completions;
#[cfg(feature = "database")]
pub(crate) mod dead_letters;
#[cfg(feature = "database")]
pub(crate) mod doctor;
pub(crate) mod generate_migration;
#[cfg(feature = "database")]
pub(crate) mod install;
#[cfg(feature = "database")]
pub(crate) mod listen;
#[cfg(feature = "database")]
pub(crate) mod send;
#[cfg(feature = "database")]
pub(crate) mod status;
#[cfg(feature = "database")]
pub(crate) mod top;
#[cfg(feature = "database")]
pub(crate) mod uninstall;
pub(crate) mod validate_config;

/// What a command found out; an error is not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
}
