//! What a test prints when it cannot have its server.

use std::{error, fmt, sync::Arc};

/// Why a server or a database could not be had, or did not do as told.
///
/// Cloned into every test that waits for the shared server, and printed in full by `unwrap`, because that is where a
/// test shows it.
#[derive(Clone)]
pub struct Error {
    text: Arc<str>,
    source: Option<Arc<dyn error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into().into(),
            source: None,
        }
    }

    /// For `map_err`: `operation` is what failed, the error is why.
    pub(crate) fn because<E>(operation: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: error::Error + Send + Sync + 'static,
    {
        |cause| Self {
            text: operation.into().into(),
            source: Some(Arc::new(cause)),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        let mut said = String::new();
        let mut cause = error::Error::source(self);
        while let Some(error) = cause {
            let text = error.to_string();
            // sqlx's errors, for one, repeat their cause in their own text.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            cause = error.source();
        }
        Ok(())
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
