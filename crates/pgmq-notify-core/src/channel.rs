use std::fmt;

use crate::{Namespace, sha256};

/// The name of a notification channel: 1 to 63 bytes of text without NUL.
///
/// PostgreSQL keeps 63 bytes of an identifier: `LISTEN` silently truncates a longer name while
/// `pg_notify` fails on it, so a longer name must never reach either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Box<str>);

impl ChannelName {
    /// The most bytes that PostgreSQL keeps of a channel's name (`NAMEDATALEN - 1`).
    pub const MAX_BYTES: usize = 63;

    /// Checks `name` without changing it.
    ///
    /// # Errors
    ///
    /// When it is empty, longer than 63 bytes, or contains NUL; the error quotes it.
    pub fn new(name: impl Into<Box<str>>) -> Result<Self, ChannelNameError> {
        let name = name.into();
        if name.is_empty() || name.len() > Self::MAX_BYTES || name.contains('\0') {
            return Err(ChannelNameError { name });
        }
        Ok(Self(name))
    }

    /// The name of `full`: itself when it fits, else its first characters within 46 bytes, `~`, and
    /// the first 16 hexadecimal digits of its SHA-256. The generated SQL has the same rule.
    fn shortened(full: &str) -> Self {
        if full.len() <= Self::MAX_BYTES {
            return Self(full.into());
        }
        let hash = sha256::hex16(full.as_bytes());
        let mut end = Self::MAX_BYTES - 1 - hash.len();
        while !full.is_char_boundary(end) {
            end -= 1;
        }
        Self(format!("{}~{hash}", &full[..end]).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for ChannelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// Why a text cannot name a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelNameError {
    name: Box<str>,
}

impl fmt::Display for ChannelNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "channel name {:?} has {} bytes, PostgreSQL needs 1 to {} and no NUL",
            self.name,
            self.name.len(),
            ChannelName::MAX_BYTES
        )
    }
}

impl std::error::Error for ChannelNameError {}

/// The channels of a valid configuration, from [`PgmqNotifyConfig::channels`].
///
/// [`PgmqNotifyConfig::channels`]: crate::PgmqNotifyConfig::channels
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels {
    prefix: Box<str>,
}

impl Channels {
    /// `prefix` is free of NUL: `PgmqNotifyConfig::validate` saw to it.
    pub(crate) fn new(prefix: Option<&str>) -> Self {
        let prefix = prefix.map_or_else(String::new, |prefix| format!("{prefix}."));
        Self {
            prefix: prefix.into(),
        }
    }

    /// `[prefix.]pgmq_queue_created`.
    pub fn queue_created(&self) -> ChannelName {
        self.named("pgmq_queue_created")
    }

    /// `[prefix.]pgmq_queue_dropped`.
    pub fn queue_dropped(&self) -> ChannelName {
        self.named("pgmq_queue_dropped")
    }

    /// `[prefix.]pgmq_message_ready.<namespace>`, shortened when it is longer than 63 bytes.
    pub fn message_ready(&self, namespace: &Namespace) -> ChannelName {
        self.named(&format!("pgmq_message_ready.{namespace}"))
    }

    /// `[prefix.]pgmq_message_ready`: the messages of every namespace.
    pub fn message_ready_global(&self) -> ChannelName {
        self.named("pgmq_message_ready")
    }

    fn named(&self, rest: &str) -> ChannelName {
        ChannelName::shortened(&format!("{}{rest}", self.prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_shortened_at_a_character_and_stays_distinct() {
        let channels = Channels::new(Some("p".repeat(20).as_str()));
        let a = channels.message_ready(&Namespace::new("🐘".repeat(40)).unwrap());
        let b = channels.message_ready(&Namespace::new("🐘".repeat(41)).unwrap());
        assert_ne!(a, b);
        assert!(a.as_str().len() <= ChannelName::MAX_BYTES);
        assert!(
            a.as_str()
                .starts_with("pppppppppppppppppppp.pgmq_message_ready.🐘~")
        );
    }

    #[test]
    fn a_name_of_63_bytes_is_kept_and_one_of_64_is_not() {
        assert_eq!(
            ChannelName::shortened(&"a".repeat(63)).as_str(),
            "a".repeat(63)
        );
        let shortened = ChannelName::shortened(&"a".repeat(64));
        assert_eq!(shortened.as_str().len(), 63);
        assert!(shortened.as_str().contains('~'));
    }

    #[test]
    fn a_name_that_listen_would_truncate_is_refused() {
        for name in [String::new(), "a".repeat(64), "a\0".into()] {
            assert!(ChannelName::new(name).is_err());
        }
    }
}
