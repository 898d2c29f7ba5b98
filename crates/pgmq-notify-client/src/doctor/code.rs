use std::fmt;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing; nothing has to be done.
    Note,
    /// It costs latency, or will be an error later.
    Warning,
    /// Events are not published or not heard, or somebody cannot work.
    Error,
}

impl Severity {
    /// `note`, `warning` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $variant:ident = $text:literal, $severity:ident;)+) => {
        /// What kind of thing was found. Codes and their severities stay as they are; later versions may add some.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum FindingCode {
            $($(#[$doc])+ $variant,)+
        }

        impl FindingCode {
            /// Every code, in the order of the checks.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As a program reads it: `trigger-missing`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// How much it matters.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$variant => Severity::$severity,)+
                }
            }
        }
    };
}

codes! {
    /// The server is a hot standby, where nobody can listen or send.
    Standby = "standby", Error;
    /// What is published does not reach a listener: a proxy stands between.
    NotDelivered = "not-delivered", Error;
    /// The server's notification queue is at least half full, and the triggers publish nothing.
    NotificationQueueFull = "notification-queue-full", Error;
    /// The server's notification queue fills up: a session does not read.
    NotificationQueueFilling = "notification-queue-filling", Warning;
    /// The database has no PGMQ.
    PgmqMissing = "pgmq-missing", Error;
    /// PGMQ is older than 1.5.
    PgmqOutdated = "pgmq-outdated", Error;
    /// The database has not the SQL of pgmq-notify.
    NotInstalled = "not-installed", Error;
    /// The SQL is of another version of pgmq-notify.
    VersionDiffers = "version-differs", Warning;
    /// A setting of the database is not that of the configuration.
    ConfigurationDiffers = "configuration-differs", Error;
    /// Functions, or rights on them, are not what the configuration installs.
    FunctionsDiffer = "functions-differ", Warning;
    /// Queues lack a trigger, so their messages are not published.
    TriggerMissing = "trigger-missing", Error;
    /// Queues have the trigger of an earlier configuration.
    TriggerStale = "trigger-stale", Error;
    /// Somebody disabled a trigger.
    TriggerDisabled = "trigger-disabled", Warning;
    /// `pgmq.meta` lacks a trigger, so queues that are created get none.
    NewQueuesUncovered = "new-queues-uncovered", Error;
    /// Sessions of a role, or of the whole database, are muted and publish nothing.
    Muted = "muted", Warning;
    /// PGMQ's own notifications of a queue are enabled beside ours.
    PgmqOwnNotify = "pgmq-own-notify", Warning;
    /// A role lacks a right.
    PrivilegeMissing = "privilege-missing", Error;
    /// A consumer that may not create queues would have to create one for its dead letters.
    DeadLetterQueueMissing = "dead-letter-queue-missing", Note;
    /// A consumer has gone without a word: its lease has ended.
    ConsumerGone = "consumer-gone", Warning;
    /// Messages wait, and no consumer is connected.
    BacklogUnconsumed = "backlog-unconsumed", Warning;
    /// Messages wait, though consumers are connected.
    BacklogWaiting = "backlog-waiting", Note;
    /// There are dead letters.
    DeadLetters = "dead-letters", Warning;
    /// The pattern does not match a queue's name, so it belongs to the namespace `default`.
    QueueUnmatched = "queue-unmatched", Note;
    /// The name of a namespace's channel is shortened to 63 bytes.
    ChannelShortened = "channel-shortened", Note;
    /// Something could not be looked at.
    NotChecked = "not-checked", Note;
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_code_is_kebab_case_and_its_own() {
        let codes: BTreeSet<_> = FindingCode::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(codes.len(), FindingCode::ALL.len());
        for code in codes {
            assert!(
                code.bytes().all(|it| it.is_ascii_lowercase() || it == b'-'),
                "{code}"
            );
        }
    }

    #[test]
    fn an_error_is_worse_than_a_warning_and_that_worse_than_a_note() {
        assert!(Severity::Error > Severity::Warning && Severity::Warning > Severity::Note);
    }
}
