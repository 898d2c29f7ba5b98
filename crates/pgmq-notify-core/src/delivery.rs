use std::fmt;
use std::str::FromStr;

/// Which messages of a namespace are published.
///
/// A transaction that has executed `NOTIFY` takes one lock, the same for the whole cluster, before it
/// commits, and keeps it until its WAL is flushed. So senders that notify commit one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Delivery {
    /// Every message: for observers, and for queues of up to some hundred messages a second.
    #[default]
    Every,
    /// Only while a consumer sleeps, and none is at work: for work queues. A consumer that is at work
    /// looks into the queue by itself, so that senders need not notify. Whoever only listens misses what is
    /// sent meanwhile.
    ///
    /// Who sleeps is known of a `Consumer` of the client crate. Without one nothing is published, except by
    /// transactions above READ COMMITTED, which notify unless a consumer is at work.
    WakeUp,
}

impl Delivery {
    /// As the configuration file spells it: `every` or `wake_up`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Every => "every",
            Self::WakeUp => "wake_up",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Delivery {
    type Err = DeliveryError;

    fn from_str(text: &str) -> Result<Self, DeliveryError> {
        [Self::Every, Self::WakeUp]
            .into_iter()
            .find(|delivery| delivery.as_str() == text)
            .ok_or_else(|| DeliveryError { text: text.into() })
    }
}

/// Why a text is no [`Delivery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryError {
    text: Box<str>,
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no way of delivery, use \"every\" or \"wake_up\"",
            self.text
        )
    }
}

impl std::error::Error for DeliveryError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_is_read_as_it_is_written_and_nothing_else_is() {
        for delivery in [Delivery::Every, Delivery::WakeUp] {
            assert_eq!(delivery.as_str().parse(), Ok(delivery));
        }
        let error = "wakeup".parse::<Delivery>().unwrap_err().to_string();
        for text in ["\"wakeup\"", "\"every\"", "\"wake_up\""] {
            assert!(error.contains(text), "{error}");
        }
    }
}
