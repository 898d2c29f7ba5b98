//! The lines of a file or of standard input, read by a thread of their own.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{Instant, timeout_at};

use super::STDIN;
use super::body::{Body, NoJson, REMEDY, body};
use crate::failure::Failure;

/// Lines that were read and wait to be sent.
const AHEAD: usize = 4096;

/// Standard input that ends before either is checked as a whole.
const SMALL: usize = 8 * 1024 * 1024;
const SOON: Duration = Duration::from_secs(1);

/// A body and where it stood.
#[derive(Debug)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    pub(super) body: Body,
}

/// What comes of the next line.
#[derive(Debug)]
pub(super) enum Problem {
    NoJson(NoJson),
    Unreadable(io::Error),
}

type Item = Result<Line, Problem>;

/// Where lines come from.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    path: Option<PathBuf>,
    /// How many messages, where that is known.
    pub(super) messages: Option<u64>,
}

/// Lines in their order.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) name: String,
    checked: std::vec::IntoIter<Item>,
    receiver: Receiver<Item>,
    /// A file is read as quickly as it can be; standard input may bring its next line tomorrow.
    is_file: bool,
    bytes: usize,
}

impl Source {
    /// A file is checked here.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else {
            return Ok(Self {
                name: STDIN.into(),
                path: None,
                messages: None,
            });
        };
        let name = path.display().to_string();
        let mut messages = 0;
        for item in read(open(path)?) {
            item.map_err(|problem| problem.nothing_sent(&name))?;
            messages += 1;
        }
        Ok(Self {
            name,
            path: Some(path.to_owned()),
            messages: Some(messages),
        })
    }

    /// Begins to read. Standard input that is small is checked here.
    pub(super) async fn lines(self) -> Result<Lines, Failure> {
        let Self { name, path, .. } = self;
        let (sender, receiver) = mpsc::channel(AHEAD);
        let file = path.as_deref().map(open).transpose()?;
        // It ends with its input or with this process: nobody can call back a read of standard input.
        thread::spawn(move || {
            let input: Box<dyn Read> = match file {
                Some(file) => Box::new(file),
                None => Box::new(io::stdin()),
            };
            for item in read(input) {
                if sender.blocking_send(item).is_err() {
                    return;
                }
            }
        });
        let mut lines = Lines {
            name,
            checked: Vec::new().into_iter(),
            receiver,
            is_file: path.is_some(),
            bytes: 0,
        };
        if path.is_none() {
            lines.look_ahead().await?;
        }
        Ok(lines)
    }
}

impl Lines {
    async fn look_ahead(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + SOON;
        let mut bytes = 0;
        let mut checked = Vec::new();
        while bytes < SMALL {
            let Ok(Some(item)) = timeout_at(deadline, self.receiver.recv()).await else {
                break;
            };
            match item {
                Ok(line) => {
                    bytes += line.body.bytes();
                    checked.push(Ok(line));
                }
                Err(problem) => return Err(problem.nothing_sent(&self.name)),
            }
        }
        self.checked = checked.into_iter();
        Ok(())
    }

    /// The next lines, at most `most` and 8 MB; none at the end. Of standard input those that there are: it waits
    /// for the first one only, so that what comes slowly is sent as it comes. What is wrong ends them.
    pub(super) async fn chunk(&mut self, most: usize) -> Result<Vec<Line>, Problem> {
        let mut chunk = Vec::new();
        self.bytes = 0;
        while chunk.len() < most && self.bytes < SMALL {
            let item = if let Some(item) = self.checked.next() {
                item
            } else if chunk.is_empty() || self.is_file {
                let Some(item) = self.receiver.recv().await else {
                    break;
                };
                item
            } else {
                // A reader that is about to bring more lines gets the time for it.
                tokio::task::yield_now().await;
                let Ok(item) = self.receiver.try_recv() else {
                    break;
                };
                item
            };
            let line = item?;
            self.bytes += line.body.bytes();
            chunk.push(line);
        }
        Ok(chunk)
    }
}

impl Problem {
    fn nothing_sent(&self, name: &str) -> Failure {
        match self {
            Self::NoJson(error) => error.at(name),
            Self::Unreadable(_) => Failure::new(
                format!("{}; nothing was sent", self.place(name)),
                "it has to be readable, and UTF-8",
            ),
        }
    }

    pub(super) fn place(&self, name: &str) -> String {
        match self {
            Self::NoJson(error) => error.place(name),
            Self::Unreadable(error) => format!("cannot read {name}: {error}"),
        }
    }

    pub(super) fn remedy(&self) -> &'static str {
        match self {
            Self::NoJson(_) => REMEDY,
            Self::Unreadable(_) => "it has to be readable, and UTF-8",
        }
    }
}

fn open(path: &Path) -> Result<File, Failure> {
    File::open(path).map_err(|error| {
        Failure::new(
            format!("cannot read {}: {error}", path.display()),
            "name a readable file with a JSON value in each line",
        )
    })
}

/// Every line that is not empty, until the first that is wrong.
fn read(input: impl Read) -> impl Iterator<Item = Item> {
    let mut reader = BufReader::with_capacity(128 * 1024, input);
    let mut number = 0;
    let mut text = String::new();
    let mut is_over = false;
    std::iter::from_fn(move || {
        while !is_over {
            text.clear();
            match reader.read_line(&mut text) {
                Ok(0) => is_over = true,
                Ok(_) if text.trim().is_empty() => number += 1,
                Ok(_) => {
                    number += 1;
                    let parsed = body(&text).map(|body| Line { number, body });
                    is_over = parsed.is_err();
                    return Some(parsed.map_err(|error| Problem::NoJson(error.in_line(number))));
                }
                Err(error) => {
                    is_over = true;
                    return Some(Err(Problem::Unreadable(error)));
                }
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_count_and_are_passed_over_and_the_first_problem_ends_it() {
        let text = "{\"a\": 1}\n\n  \r\n[2]\r\n{\n5\n";
        let mut lines = read(text.as_bytes());
        for (number, bytes) in [(1, 8), (4, 3)] {
            let line = lines.next().unwrap().unwrap();
            assert_eq!((line.number, line.body.bytes()), (number, bytes));
        }
        let problem = lines.next().unwrap().unwrap_err();
        assert_eq!(problem.place("in"), "in:5:1: EOF while parsing an object");
        assert!(lines.next().is_none());
    }
}
