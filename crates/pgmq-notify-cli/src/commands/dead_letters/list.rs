use clap::Args;

use super::letters::{Letter, Letters, dead_letter_queues};
use super::table::table;
use crate::commands::Answer;
use crate::database::DatabaseOptions;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::printable;

/// Print the dead letters of a queue, or of all whose names end with _dlq
///
/// The oldest first. It claims nothing. A queue of another name, which a consumer was told to use, has to be named.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  pgmq-notify dead-letters list
  pgmq-notify dead-letters list orders_queue_dlq --limit 1000
  pgmq-notify dead-letters list --json | jq .message")]
pub(super) struct ListArguments {
    /// The dead-letter queue
    queue: Option<String>,

    /// The most of each queue
    #[arg(long, value_name = "N", default_value = "100", value_parser = clap::value_parser!(i64).range(1..))]
    limit: i64,

    /// Print an object for each, with its body
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseOptions,
}

pub(super) async fn run(arguments: &ListArguments, output: &Output) -> Result<Answer, Failure> {
    let pool = super::connected(&arguments.database).await?;
    let queues = match &arguments.queue {
        Some(queue) => vec![queue.clone()],
        None => dead_letter_queues(&pool).await?,
    };
    let mut shown = Vec::new();
    let mut count = 0;
    for queue in &queues {
        let letters = Letters::of(&pool, queue).await?;
        let oldest = letters.oldest(&pool, arguments.limit).await?;
        let all = i64::try_from(oldest.len()).unwrap_or(i64::MAX);
        count += if all < arguments.limit {
            all
        } else {
            letters.count(&pool).await?
        };
        shown.extend(oldest);
    }
    if arguments.json {
        for letter in &shown {
            output.json(&letter.object()?)?;
        }
    } else if !shown.is_empty() {
        let rows: Vec<_> = shown.iter().map(row).collect();
        let header = ["QUEUE", "ID", "DEAD SINCE", "ATTEMPTS", "REASON", "ERROR"];
        output.styled_data(&table(header, &rows, output.terminal_width()))?;
    }
    let shown = i64::try_from(shown.len()).unwrap_or(i64::MAX);
    if shown == 0 {
        let where_ = match (&arguments.queue, queues.len()) {
            (Some(queue), _) => format!("in {}", printable(queue)),
            (None, 0) => "no queue's name ends with _dlq".into(),
            (None, queues) => format!("in {queues} queues"),
        };
        output.note(&format!("no dead letters: {where_}"));
    } else if shown < count {
        output.note(&format!(
            "{shown} of {count} dead letters; --limit shows more"
        ));
    }
    Ok(Answer::Yes)
}

fn row(letter: &Letter) -> [String; 6] {
    let (since, attempts, reason, error) = match letter.known() {
        Some(known) => (
            moment(&known.dead_at),
            known.read_count.to_string(),
            known.reason,
            known.last_error,
        ),
        None => Default::default(),
    };
    let queue = printable(&letter.queue).into_owned();
    let error = if letter.is_invisible {
        format!("(claimed) {error}")
    } else {
        error
    };
    [
        queue,
        letter.msg_id.to_string(),
        since,
        attempts,
        printable(&reason).into_owned(),
        printable(&error).into_owned(),
    ]
}

/// `2026-01-02T03:04:05.678901+00:00` without what nobody reads in a table: `2026-01-02 03:04:05Z`.
pub(super) fn moment(text: &str) -> String {
    let Some((date, time)) = text.split_once('T') else {
        return printable(text).into_owned();
    };
    let zone = time.find(['Z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let time = time.split_once('.').map_or(time, |(seconds, _)| seconds);
    let zone = if zone == "+00:00" { "Z" } else { zone };
    printable(&format!("{date} {time}{zone}")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_postgresql_is_shortened() {
        for (text, shown) in [
            ("2026-01-02T03:04:05.678901+00:00", "2026-01-02 03:04:05Z"),
            ("2026-01-02T03:04:05+05:30", "2026-01-02 03:04:05+05:30"),
            ("2026-01-02T03:04:05.1Z", "2026-01-02 03:04:05Z"),
            ("yesterday", "yesterday"),
        ] {
            assert_eq!(moment(text), shown);
        }
    }

    #[test]
    fn a_dead_letter_is_one_line_whatever_its_error_is() {
        let letter = Letter {
            queue: "orders_queue_dlq".into(),
            msg_id: 3,
            body: "{}".into(),
            headers: r#"{"x-pgmq-notify-dead-letter": {"queue": "orders_queue", "msg_id": 7, "read_count": 5,
                "enqueued_at": "2026-01-02T03:00:00+00:00", "reason": "attempts", "first_error": "no",
                "first_failed_at": "2026-01-02T03:01:00+00:00", "last_error": "timed\nout",
                "dead_at": "2026-01-02T03:04:05.678901+00:00"}}"#
                .into(),
            is_invisible: false,
        };
        assert_eq!(
            row(&letter),
            [
                "orders_queue_dlq",
                "3",
                "2026-01-02 03:04:05Z",
                "5",
                "attempts",
                r"timed\nout"
            ]
        );
        let other = Letter {
            headers: r#"{"x-pgmq-notify-dead-letter": 1}"#.into(),
            is_invisible: true,
            ..letter
        };
        assert_eq!(
            row(&other),
            ["orders_queue_dlq", "3", "", "", "", "(claimed) "]
        );
    }
}
