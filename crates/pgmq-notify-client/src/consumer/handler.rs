use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use pgmq_notify_core::RawJson;
use serde::de::DeserializeOwned;

use super::Claim;
use crate::{Message, seconds};

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a handler did not succeed, and what is to become of its message.
///
/// Any error becomes one with `?`, and is tried again as the [`RetryPolicy`](crate::RetryPolicy) says:
/// so this type is no error itself, and a handler may as well return its own error type. The error's text and
/// those of its causes, at most 4000 characters, are kept with the message and traced.
///
/// ```
/// use std::time::Duration;
///
/// use pgmq_notify_client::{Claim, HandlerError, Message};
///
/// async fn charge(message: Message<u64>, _claim: Claim) -> Result<(), HandlerError> {
///     if message.body == 0 {
///         return Err(HandlerError::fatal("there is nothing to charge"));
///     }
///     let cents: i64 = message.body.try_into()?;
///     if cents > 1_000_000 {
///         return Err(HandlerError::retry_after(Duration::from_secs(60), "the bank sleeps"));
///     }
///     Ok(())
/// }
/// # drop(charge);
/// ```
pub struct HandlerError {
    pub(crate) decision: Decision,
    pub(crate) error: BoxError,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Policy,
    After(Duration),
    Dead,
}

impl HandlerError {
    /// Try again after `delay`, whatever the policy's delay would be; what is longer than 68 years counts as
    /// that. It is an attempt like any other: after the last one the message becomes a dead letter.
    pub fn retry_after(delay: Duration, error: impl Into<BoxError>) -> Self {
        Self {
            decision: Decision::After(delay.min(seconds::LONGEST)),
            error: error.into(),
        }
    }

    /// Trying again would not help: the message becomes a dead letter now, whatever the policy says.
    pub fn fatal(error: impl Into<BoxError>) -> Self {
        Self {
            decision: Decision::Dead,
            error: error.into(),
        }
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerError")
            .field("decision", &self.decision)
            .field("error", &self.error)
            .finish()
    }
}

impl fmt::Display for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<E: Into<BoxError>> From<E> for HandlerError {
    fn from(error: E) -> Self {
        Self {
            decision: Decision::Policy,
            error: error.into(),
        }
    }
}

/// How a handler ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Done,
    Failed { decision: Decision, error: String },
    Undecodable(serde_json::Error),
    Panicked(String),
}

pub(crate) type Handling = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// A handler, whatever its messages decode into.
pub(crate) trait Handle: Send + Sync {
    /// Never panics: a panic is an outcome.
    fn handle(&self, message: Message<RawJson>, claim: Claim) -> Handling;
}

pub(crate) struct Typed<T, F> {
    handler: Arc<F>,
    body: PhantomData<fn(T)>,
}

impl<T, F> Typed<T, F> {
    pub(crate) fn new(handler: F) -> Self {
        Self {
            handler: Arc::new(handler),
            body: PhantomData,
        }
    }
}

impl<T, F, H, E> Handle for Typed<T, F>
where
    T: DeserializeOwned + Send + 'static,
    F: Fn(Message<T>, Claim) -> H + Send + Sync + 'static,
    H: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<HandlerError>,
{
    fn handle(&self, message: Message<RawJson>, claim: Claim) -> Handling {
        let handler = Arc::clone(&self.handler);
        // To decode a message and to describe an error is the user's code too, and may panic.
        let handling = AssertUnwindSafe(async move {
            let message = match message.decode::<T>() {
                Ok(message) => message,
                Err(error) => return Outcome::Undecodable(error),
            };
            match handler(message, claim).await {
                Ok(()) => Outcome::Done,
                Err(error) => {
                    let HandlerError { decision, error } = error.into();
                    Outcome::Failed {
                        decision,
                        error: described(&*error),
                    }
                }
            }
        });
        Box::pin(
            handling
                .catch_unwind()
                .map(|caught| caught.unwrap_or_else(|panic| Outcome::Panicked(said(&*panic)))),
        )
    }
}

/// What `panic!` was given.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("the handler panicked: {}", text.unwrap_or("without a text"))
}

/// An error with its causes, as it is kept with a message: at most 4000 characters, and none that
/// `jsonb` cannot hold.
pub(crate) fn described(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    kept(&text)
}

pub(crate) fn kept(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').take(4000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_described_with_its_causes_and_without_what_jsonb_refuses() {
        let inner = std::io::Error::other("the disk\0 is full");
        let outer = crate::ClientError::invalid("it did not work").because(inner);
        assert_eq!(described(&outer), "it did not work: the disk is full");
        assert_eq!(kept(&"x".repeat(5000)).len(), 4000);
    }

    #[test]
    fn any_error_and_any_text_is_a_failure_by_the_policy() {
        let errors = [
            HandlerError::from("text"),
            HandlerError::from(String::from("text")),
            HandlerError::from(std::io::Error::other("text")),
        ];
        for error in errors {
            assert_eq!(error.decision, Decision::Policy);
            assert_eq!(error.to_string(), "text");
        }
    }
}
