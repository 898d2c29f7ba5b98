use std::borrow::Borrow;
use std::fmt;

/// The name of a queue, as its creator spelled it.
///
/// Exactly what `pgmq.create` accepts: at most 47 characters (not bytes), and none of `$`, `;`,
/// `'` and `--` (`pgmq.validate_queue_name` and `pgmq.format_table_name` in PGMQ's source).
/// The empty name is one that PGMQ accepts. PGMQ lower-cases the *table* of a queue, never the
/// name in `pgmq.meta`, so `Orders` and `orders` are two names.
///
/// ```
/// use pgmq_notify_core::QueueName;
///
/// assert_eq!(QueueName::new("Orders queue")?.as_str(), "Orders queue");
/// assert!(QueueName::new("orders;drop").is_err());
/// # Ok::<(), pgmq_notify_core::QueueNameError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(Box<str>);

impl QueueName {
    /// The most characters that PGMQ accepts in a name.
    pub const MAX_CHARS: usize = 47;

    /// Checks `name` by PGMQ's rules.
    ///
    /// # Errors
    ///
    /// When PGMQ, or PostgreSQL's `text`, would refuse the name; the error quotes it.
    pub fn new(name: impl Into<Box<str>>) -> Result<Self, QueueNameError> {
        let name = name.into();
        let reason = if is_too_long(&name) {
            Some(Reason::TooLong)
        } else {
            refused(&name)
        };
        match reason {
            None => Ok(Self(name)),
            Some(reason) => Err(QueueNameError { name, reason }),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether it has more characters than PGMQ accepts; few names have so many bytes.
pub(crate) fn is_too_long(name: &str) -> bool {
    name.len() > QueueName::MAX_CHARS && name.chars().count() > QueueName::MAX_CHARS
}

/// One pass over the bytes, for a name that comes with every event. All that is refused is ASCII, no
/// byte of which is part of another character.
fn refused(name: &str) -> Option<Reason> {
    let mut before = 0;
    for byte in name.bytes() {
        match byte {
            0 => return Some(Reason::Nul),
            b'$' => return Some(Reason::Forbidden("$")),
            b';' => return Some(Reason::Forbidden(";")),
            b'\'' => return Some(Reason::Forbidden("'")),
            b'-' if before == b'-' => return Some(Reason::Forbidden("--")),
            _ => before = byte,
        }
    }
    None
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for QueueName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for QueueName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for QueueName {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for QueueName {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl std::str::FromStr for QueueName {
    type Err = QueueNameError;

    fn from_str(name: &str) -> Result<Self, QueueNameError> {
        Self::new(name)
    }
}

/// Why PGMQ would refuse a queue name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueNameError {
    name: Box<str>,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    TooLong,
    Nul,
    Forbidden(&'static str),
}

impl fmt::Display for QueueNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, reason } = self;
        match reason {
            Reason::TooLong => write!(
                f,
                "queue name {name:?} has {} characters, PGMQ accepts at most {}",
                name.chars().count(),
                QueueName::MAX_CHARS
            ),
            Reason::Nul => write!(
                f,
                "queue name {name:?} contains a NUL character, which PostgreSQL's text cannot hold"
            ),
            Reason::Forbidden(what) => write!(
                f,
                "queue name {name:?} contains {what:?}, which PGMQ refuses (as it does `$`, `;`, `'` and `--`)"
            ),
        }
    }
}

impl std::error::Error for QueueNameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_pgmq_accepts() {
        for name in [
            "",
            "orders_queue",
            "Größe",
            "a b",
            "a\"b",
            "a.b%",
            "-",
            "a\nb",
        ] {
            assert!(QueueName::new(name).is_ok(), "{name:?}");
        }
        assert!(QueueName::new("🐘".repeat(47)).is_ok());
    }

    #[test]
    fn refuses_what_pgmq_refuses_and_quotes_it() {
        for name in ["a$b", "a;b", "a'b", "a--b", "a\0b"] {
            let message = QueueName::new(name).unwrap_err().to_string();
            assert!(message.contains(&format!("{name:?}")), "{message}");
        }
        let message = QueueName::new("🐘".repeat(48)).unwrap_err().to_string();
        assert!(message.contains("48 characters"), "{message}");
    }
}
