use std::num::NonZeroU32;

use crate::ClientError;

/// How `pg_partman` partitions a queue, and what it keeps.
///
/// Both the queue and its archive are partitioned so. What lies in a partition that falls out of
/// the retention is lost, read or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partitions {
    kind: Kind,
    premake: Option<NonZeroU32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Messages { each: NonZeroU32, kept: NonZeroU32 },
    Time { every: String, kept: String },
}

impl Partitions {
    /// By message id: `each` messages in a partition; partitions more than `kept` messages behind
    /// the newest are dropped. Each at most 2147483647.
    pub fn by_messages(each: NonZeroU32, kept: NonZeroU32) -> Self {
        Self {
            kind: Kind::Messages { each, kept },
            premake: None,
        }
    }

    /// By the time of sending: both are intervals in PostgreSQL's words, such as `1 day` and
    /// `2 months`.
    pub fn by_time(every: impl Into<String>, kept: impl Into<String>) -> Self {
        Self {
            kind: Kind::Time {
                every: every.into(),
                kept: kept.into(),
            },
            premake: None,
        }
    }

    /// How many partitions are made in advance. PGMQ 1.13 and newer. Defaults to PGMQ's 4.
    pub fn premake(mut self, partitions: NonZeroU32) -> Self {
        self.premake = Some(partitions);
        self
    }

    pub(crate) fn parameters(&self) -> Result<Parameters, ClientError> {
        let (interval, retention) = match &self.kind {
            Kind::Messages { each, kept } => {
                (integer(*each)?.to_string(), integer(*kept)?.to_string())
            }
            Kind::Time { every, kept } => (time(every)?, time(kept)?),
        };
        Ok(Parameters {
            interval,
            retention,
            premake: self.premake.map(integer).transpose()?,
        })
    }
}

/// As PGMQ takes them.
#[derive(Debug)]
pub(crate) struct Parameters {
    pub(crate) interval: String,
    pub(crate) retention: String,
    pub(crate) premake: Option<i32>,
}

/// PGMQ takes text that is a number for a number of messages, so a time must not look like one.
fn time(text: &str) -> Result<String, ClientError> {
    let trimmed = text.trim().to_ascii_lowercase();
    let based = ["0x", "0o", "0b"]
        .iter()
        .any(|base| trimmed.starts_with(base));
    if based
        || text.contains('\0')
        || !trimmed.contains(|c: char| c.is_ascii_alphabetic() || c == ':')
    {
        return Err(ClientError::invalid(format!(
            "{text:?} is not an interval of time such as \"1 day\""
        )));
    }
    Ok(text.to_owned())
}

fn integer(number: NonZeroU32) -> Result<i32, ClientError> {
    i32::try_from(number.get()).map_err(|_| {
        ClientError::invalid(format!("{number} is more than PGMQ can count: 2147483647"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_pgmq_would_take_for_a_number_of_messages_is_refused() {
        for text in ["", "1000", " 1000 ", "+5", "1_000", "0x10", "-3", "1 day\0"] {
            assert!(
                Partitions::by_time(text, "1 day").parameters().is_err(),
                "{text:?}"
            );
        }
        for text in ["1 day", "02:00:00", "P1D", "2 months"] {
            let parameters = Partitions::by_time(text, "1 year").parameters().unwrap();
            assert_eq!(parameters.interval, text);
        }
    }

    #[test]
    fn numbers_beyond_pgmq_are_refused() {
        let parameters = Partitions::by_messages(NonZeroU32::MAX, NonZeroU32::MIN).parameters();
        assert!(parameters.unwrap_err().to_string().contains("4294967295"));
    }
}
