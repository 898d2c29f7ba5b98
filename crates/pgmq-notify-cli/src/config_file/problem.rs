use std::fmt;

use pgmq_notify_core::ConfigProblem;
use serde::Serialize;

use super::Position;

/// One thing that is wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FileProblem {
    line: usize,
    column: usize,
    /// The key with its tables, such as `namespaces.orders.payload`; none for a syntax error.
    setting: Option<String>,
    message: String,
}

impl FileProblem {
    pub(super) fn of_syntax(position: Position, message: &str) -> Self {
        Self::at(position, None, format!("syntax error: {message}"))
    }

    pub(super) fn of_key(position: Position, setting: &str, message: String) -> Self {
        Self::at(position, Some(setting.into()), message)
    }

    pub(super) fn of_value(position: Position, problem: &ConfigProblem) -> Self {
        let setting = problem.setting().name();
        Self::at(position, Some(setting.into()), problem.message().into())
    }

    fn at(Position { line, column }: Position, setting: Option<String>, message: String) -> Self {
        Self {
            line,
            column,
            setting,
            message,
        }
    }

    /// Whether it is a syntax error in this line, so that nothing else there is to be trusted.
    pub(super) fn breaks(&self, line: usize) -> bool {
        self.setting.is_none() && self.line == line
    }

    pub(crate) fn position(&self) -> Position {
        Position {
            line: self.line,
            column: self.column,
        }
    }
}

/// `LINE:COLUMN: MESSAGE`, to stand after the file's name.
impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if let Some(setting) = &self.setting {
            write!(f, "{setting}: ")?;
        }
        f.write_str(&self.message)
    }
}
