//! Part of pgmq-notify.

mod pattern;

pub use pattern::{NamespacePattern, PatternError};
