//! One module a command: its arguments, what it does, what it prints.

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod generate_migration;
pub(crate) mod validate_config;

/// What a command found out; an error is not an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
}
