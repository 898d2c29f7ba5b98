use std::borrow::Borrow;
use std::fmt;

use crate::QueueName;
use crate::queue_name::is_too_long;

/// The part of a queue's name that its events are grouped by.
///
/// It is what the group `namespace` of the
/// [queue naming pattern](crate::PgmqNotifyConfig::with_queue_naming_pattern) captured, or
/// [`default`](Namespace::DEFAULT) when the pattern did not match or captured nothing. As a part of
/// a queue's name it has 1 to 47 characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Box<str>);

impl Namespace {
    /// The namespace of the queues that the pattern does not match.
    pub const DEFAULT: &str = "default";

    /// Checks `name`: 1 to 47 characters, no NUL.
    ///
    /// # Errors
    ///
    /// When no queue could have this namespace; the error quotes it.
    pub fn new(name: impl Into<Box<str>>) -> Result<Self, NamespaceError> {
        let name = name.into();
        if name.is_empty() || is_too_long(&name) || name.contains('\0') {
            return Err(NamespaceError { name });
        }
        Ok(Self(name))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self(Self::DEFAULT.into())
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Namespace {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Namespace {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Namespace {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Namespace {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl std::str::FromStr for Namespace {
    type Err = NamespaceError;

    fn from_str(name: &str) -> Result<Self, NamespaceError> {
        Self::new(name)
    }
}

/// Why a text cannot be a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceError {
    name: Box<str>,
}

impl fmt::Display for NamespaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "namespace {:?} cannot be part of a queue name: it needs 1 to {} characters and no NUL",
            self.name,
            QueueName::MAX_CHARS
        )
    }
}

impl std::error::Error for NamespaceError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_that_a_queue_name_can_hold_is_a_namespace() {
        assert!(Namespace::new("orders").is_ok());
        assert!(Namespace::new("🐘".repeat(47)).is_ok());
        for name in [String::new(), "a\0".into(), "a".repeat(48)] {
            let message = Namespace::new(name.clone()).unwrap_err().to_string();
            assert!(message.contains(&format!("{name:?}")), "{message}");
        }
    }
}
