use std::env;
use std::io::{self, ErrorKind, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;
use crate::redacted::redacted;

pub(crate) const ERROR: Style = AnsiColor::Red.on_default().bold();
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
pub(crate) const ADDED: Style = AnsiColor::Green.on_default();
pub(crate) const REMOVED: Style = AnsiColor::Red.on_default();

/// The only place that writes to the standard streams: data to standard output, words to standard
/// error.
#[derive(Debug)]
pub(crate) struct Output {
    stdout: io::Stdout,
    data_colour: ColorChoice,
    words_colour: ColorChoice,
}

impl Output {
    pub(crate) fn from_environment() -> Self {
        let no_color = env::var("NO_COLOR").ok();
        let term = env::var("TERM").ok();
        let choice = |terminal| colour(terminal, no_color.as_deref(), term.as_deref());
        let stdout = io::stdout();
        Self {
            data_colour: choice(stdout.is_terminal()),
            words_colour: choice(io::stderr().is_terminal()),
            stdout,
        }
    }

    /// Writes data byte for byte.
    pub(crate) fn data(&self, bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock();
        written(
            stdout
                .write_all(bytes.as_ref())
                .and_then(|()| stdout.flush()),
        )
    }

    /// Writes data for somebody who may leave: false once nobody reads it any more.
    #[cfg(feature = "database")]
    pub(crate) fn data_while_read(&self, bytes: impl AsRef<[u8]>) -> Result<bool, Failure> {
        let mut stdout = self.stdout.lock();
        let result = stdout
            .write_all(bytes.as_ref())
            .and_then(|()| stdout.flush());
        let gone = matches!(&result, Err(error) if error.kind() == ErrorKind::BrokenPipe);
        written(result).map(|()| !gone)
    }

    /// The bytes of data that carries styles, as standard output is to get them.
    #[cfg(feature = "database")]
    pub(crate) fn styled(&self, text: &str) -> String {
        match self.data_colour {
            ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
            _ => text.to_owned(),
        }
    }

    /// Whether standard output shows colours.
    #[cfg(feature = "database")]
    pub(crate) fn has_colour(&self) -> bool {
        self.data_colour != ColorChoice::Never
    }

    /// How many characters a line of standard output has room for; `None` where that is no terminal.
    #[cfg(feature = "database")]
    pub(crate) fn terminal_width(&self) -> Option<usize> {
        if !self.stdout.is_terminal() {
            return None;
        }
        let columns = env::var("COLUMNS").ok().and_then(|it| it.parse().ok());
        let measured = || terminal_size::terminal_size_of(&self.stdout).map(|it| it.0.0.into());
        columns.or_else(measured).filter(|width| *width > 0)
    }

    /// Writes data that carries styles, which a terminal shows and anything else never sees.
    pub(crate) fn styled_data(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = AutoStream::new(self.stdout.lock(), self.data_colour);
        written(
            stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.flush()),
        )
    }

    /// Writes one line of JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        let mut stdout = self.stdout.lock();
        written(
            serde_json::to_writer(&mut stdout, value)
                .map_err(io::Error::from)
                .and_then(|()| stdout.write_all(b"\n"))
                .and_then(|()| stdout.flush()),
        )
    }

    /// Writes a line of words.
    pub(crate) fn note(&self, line: &str) {
        self.styled_words(&format!("{line}\n"));
    }

    /// Writes a line of words that names a remedy.
    pub(crate) fn hint(&self, line: &str) {
        self.styled_words(&format!("{HINT}hint:{HINT:#} {line}\n"));
    }

    pub(crate) fn failure(&self, failure: &Failure) {
        self.styled_words(&format!("{ERROR}error:{ERROR:#} {}\n", failure.message()));
        self.hint(failure.hint());
    }

    /// Without the passwords of URLs. Nobody can be told that standard error is gone, so the result is dropped.
    pub(crate) fn styled_words(&self, text: &str) {
        let mut stderr = AutoStream::new(io::stderr(), self.words_colour);
        let _ = stderr.write_all(redacted(text).as_bytes());
    }
}

/// A closed pipe means that the reader has read enough: the command goes on to its answer.
fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            format!("cannot write to standard output: {error}"),
            "check where standard output goes, a full disk for example",
        )),
        _ => Ok(()),
    }
}

fn colour(terminal: bool, no_color: Option<&str>, term: Option<&str>) -> ColorChoice {
    let refused = no_color.is_some_and(|value| !value.is_empty()) || term == Some("dumb");
    if terminal && !refused {
        ColorChoice::Always
    } else {
        ColorChoice::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_that_nobody_told_otherwise() {
        let cases = [
            (true, None, Some("xterm"), ColorChoice::Always),
            (true, None, None, ColorChoice::Always),
            (true, Some(""), Some("xterm"), ColorChoice::Always),
            (true, Some("1"), Some("xterm"), ColorChoice::Never),
            (true, Some("0"), Some("xterm"), ColorChoice::Never),
            (true, None, Some("dumb"), ColorChoice::Never),
            (false, None, Some("xterm"), ColorChoice::Never),
        ];
        for (terminal, no_color, term, expected) in cases {
            let chosen = colour(terminal, no_color, term);
            assert_eq!(chosen, expected, "{terminal} {no_color:?} {term:?}");
        }
    }
}
