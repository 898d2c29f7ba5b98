use std::fmt::Write as _;

use anstyle::Style;
use clap::Args;

use super::letters::{Letter, Letters};
use super::list::moment;
use crate::commands::Answer;
use crate::database::DatabaseOptions;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::printable;

const NAME: Style = Style::new().bold();

/// Print a dead letter: why it is one, its headers, its body
#[derive(Args, Debug)]
#[command(after_help = "\
Exit codes:
  0  here it is
  1  there is none with this id
  2  error

Examples:
  pgmq-notify dead-letters show orders_queue_dlq 3
  pgmq-notify dead-letters show orders_queue_dlq 3 --json | jq .message")]
pub(super) struct ShowArguments {
    /// The dead-letter queue
    queue: String,

    /// Its id in that queue
    id: i64,

    /// Print an object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

pub(super) async fn run(arguments: &ShowArguments, output: &Output) -> Result<Answer, Failure> {
    let pool = super::connected(&arguments.database).await?;
    let letters = Letters::of(&pool, &arguments.queue).await?;
    let Some(letter) = letters.one(&pool, arguments.id).await? else {
        output.note(&format!(
            "there is no dead letter {} in {}",
            arguments.id,
            printable(&arguments.queue)
        ));
        return Ok(Answer::No);
    };
    if arguments.json {
        output.json(&letter.object()?)?;
    } else {
        output.styled_data(&readable(&letter))?;
    }
    Ok(Answer::Yes)
}

fn readable(letter: &Letter) -> String {
    let mut lines = vec![
        ("queue", letter.queue.clone()),
        ("id", letter.msg_id.to_string()),
    ];
    if let Some(known) = letter.known() {
        lines.extend([
            ("from", format!("{}, message {}", known.queue, known.msg_id)),
            ("sent", moment(&known.enqueued_at)),
            ("attempts", known.read_count.to_string()),
            ("reason", known.reason),
        ]);
        if known.first_error != known.last_error {
            let at = moment(&known.first_failed_at);
            lines.push(("first error", format!("{at}  {}", known.first_error)));
        }
        let at = moment(&known.dead_at);
        lines.push(("last error", format!("{at}  {}", known.last_error)));
    }
    if letter.is_invisible {
        lines.push(("claimed", "somebody works on it, or it is delayed".into()));
    }
    lines.extend([
        ("headers", letter.headers.clone()),
        ("body", pretty(&letter.body)),
    ]);
    let mut text = String::new();
    for (name, value) in lines {
        // Line by line: an error may have several, and a body has.
        let mut values = value.lines();
        let first = printable(values.next().unwrap_or_default());
        // Writing to a string does not fail.
        let _ = writeln!(text, "{NAME}{name:<12}{NAME:#} {first}");
        for value in values {
            let _ = writeln!(text, "{:<12} {}", "", printable(value));
        }
    }
    text
}

/// With line breaks, and else as it was: numbers are not read, names are not sorted.
fn pretty(json: &str) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let mut depth = 0;
    let mut in_string = false;
    let mut is_escaped = false;
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            in_string = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            text.push(character);
            continue;
        }
        match character {
            '"' => in_string = true,
            '{' | '[' => {
                text.push(character);
                while characters.next_if(|next| next.is_whitespace()).is_some() {}
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    text.push(end);
                } else {
                    depth += 1;
                    new_line(&mut text, depth);
                }
                continue;
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut text, depth);
            }
            ',' => {
                text.push(character);
                new_line(&mut text, depth);
                continue;
            }
            ':' => {
                text.push_str(": ");
                continue;
            }
            _ if character.is_whitespace() => continue,
            _ => {}
        }
        text.push(character);
    }
    text
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_known_is_shown() {
        let letter = Letter {
            queue: "orders_queue_dlq".into(),
            msg_id: 3,
            body: r#"{"id": 7}"#.into(),
            headers: r#"{"x-pgmq-notify-dead-letter": {"queue": "orders_queue", "msg_id": 7, "read_count": 5, "enqueued_at": "2026-01-02T03:00:00+00:00", "reason": "attempts", "first_error": "no", "first_failed_at": "2026-01-02T03:01:00+00:00", "last_error": "timed\nout", "dead_at": "2026-01-02T03:04:05+00:00"}}"#
                .into(),
            is_invisible: false,
        };
        let text = anstream::adapter::strip_str(&readable(&letter)).to_string();
        let (known, rest) = text.split_once("headers      {").unwrap();
        assert_eq!(
            known,
            "\
queue        orders_queue_dlq
id           3
from         orders_queue, message 7
sent         2026-01-02 03:00:00Z
attempts     5
reason       attempts
first error  2026-01-02 03:01:00Z  no
last error   2026-01-02 03:04:05Z  timed
             out
"
        );
        assert!(
            rest.ends_with("\nbody         {\n               \"id\": 7\n             }\n"),
            "{rest}"
        );
    }

    #[test]
    fn a_body_gets_line_breaks_and_keeps_its_numbers_and_names() {
        for (json, text) in [
            ("7", "7"),
            ("[]", "[]"),
            ("{ }", "{}"),
            (r#""a, {b}: \"c\"""#, r#""a, {b}: \"c\"""#),
            (
                r#"{"z": 12345678901234567890.10, "a": [1, {"b": []}]}"#,
                "{\n  \"z\": 12345678901234567890.10,\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ]\n}",
            ),
        ] {
            assert_eq!(pretty(json), text);
        }
    }
}
