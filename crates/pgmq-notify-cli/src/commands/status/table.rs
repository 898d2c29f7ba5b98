//! The status as text: a few lines about the server, then a line for each queue.

use std::time::Duration;

use anstyle::{AnsiColor, Style};

use super::head;
use super::report::{DepthReport, QueueReport, Report};
use crate::figures::duration;
use crate::text::{cut, padded, printable, width};

const HEADER: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const BAD: Style = AnsiColor::Red.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default();
const PLAIN: Style = Style::new();

/// Between two columns.
const GAP: usize = 2;

/// Longer names are cut before a column is left out.
const NAME: usize = 20;

/// What a queue has a column for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Kind,
    Namespace,
    Delivery,
    Triggers,
    Visible,
    Invisible,
    Oldest,
    Consumers,
    DeadLetters,
    Channel,
}

/// In the order in which they stand behind the name.
const COLUMNS: [(Column, &str); 10] = [
    (Column::Visible, "VISIBLE"),
    (Column::Invisible, "INVISIBLE"),
    (Column::Oldest, "OLDEST"),
    (Column::Consumers, "CONSUMERS"),
    (Column::Triggers, "TRIGGERS"),
    (Column::Delivery, "DELIVERY"),
    (Column::Kind, "KIND"),
    (Column::DeadLetters, "DLQ"),
    (Column::Namespace, "NAMESPACE"),
    (Column::Channel, "CHANNEL"),
];

/// Those that stay longest in a narrow terminal first.
const IMPORTANT: [Column; 10] = [
    Column::Visible,
    Column::Oldest,
    Column::Triggers,
    Column::Invisible,
    Column::Consumers,
    Column::Delivery,
    Column::DeadLetters,
    Column::Namespace,
    Column::Kind,
    Column::Channel,
];

impl Column {
    fn is_number(self) -> bool {
        matches!(
            self,
            Self::Visible | Self::Invisible | Self::Oldest | Self::Consumers
        )
    }
}

/// With styles, for so many columns; without a terminal there is room for everything.
pub(super) fn text(report: &Report<'_>, columns: Option<usize>) -> String {
    let mut text = String::new();
    let lines = head::lines(report);
    let longest = lines.iter().map(|(name, _)| width(name)).max();
    for (name, value) in &lines {
        let line = format!("{}  {value}", padded(name, longest.unwrap_or(0)));
        text += &columns.map_or_else(|| line.clone(), |it| cut(&line, it).into_owned());
        text.push('\n');
    }
    if !report.queues.is_empty() {
        text.push('\n');
        queues(&mut text, report, columns);
    }
    text
}

fn queues(text: &mut String, report: &Report<'_>, columns: Option<usize>) {
    let rows: Vec<_> = report
        .queues
        .iter()
        .map(|queue| COLUMNS.map(|(column, _)| cell(queue, column)))
        .collect();
    let widths: Vec<_> = COLUMNS
        .iter()
        .enumerate()
        .map(|(at, (_, title))| {
            let cells = rows.iter().map(|row| width(&row[at].0));
            cells.chain([width(title)]).max().unwrap_or(0)
        })
        .collect();
    let names: Vec<_> = report.queues.iter().map(|it| printable(it.name)).collect();
    let longest = names.iter().map(|it| width(it)).max().unwrap_or(0);
    let longest = longest.max(width("QUEUE"));
    let (name, shown) = fitting(longest, &widths, columns);
    let header = COLUMNS.map(|(_, title)| (title.to_owned(), HEADER));
    let names = names.iter().map(|it| (&**it, PLAIN));
    let lines = names.zip(&rows);
    for ((queue, style), row) in [(("QUEUE", HEADER), &header)].into_iter().chain(lines) {
        let mut line = styled(&padded(&cut(queue, name), name), style);
        for at in 0..COLUMNS.len() {
            if shown[at] {
                line.push_str("  ");
                line += &aligned(COLUMNS[at].0, &row[at], widths[at]);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// How wide names are, and which columns there is room for.
fn fitting(longest: usize, widths: &[usize], columns: Option<usize>) -> (usize, Vec<bool>) {
    let Some(columns) = columns else {
        return (longest, vec![true; widths.len()]);
    };
    let mut shown = vec![false; widths.len()];
    let mut used = longest.min(NAME);
    for column in IMPORTANT {
        let at = COLUMNS.iter().position(|(it, _)| *it == column);
        let at = at.unwrap_or_default();
        if used + GAP + widths[at] > columns {
            break;
        }
        used += GAP + widths[at];
        shown[at] = true;
    }
    let name = longest.min(NAME)
        + columns
            .saturating_sub(used)
            .min(longest.saturating_sub(NAME));
    (name.min(columns), shown)
}

fn aligned(column: Column, (text, style): &(String, Style), width_: usize) -> String {
    let missing = " ".repeat(width_.saturating_sub(width(text)));
    let text = styled(text, *style);
    if column.is_number() {
        missing + &text
    } else {
        text + &missing
    }
}

fn styled(text: &str, style: Style) -> String {
    if style == PLAIN {
        return text.to_owned();
    }
    format!("{style}{text}{style:#}")
}

fn cell(queue: &QueueReport<'_>, column: Column) -> (String, Style) {
    let known = |text: Option<&str>| match text {
        Some(text) => (printable(text).into_owned(), PLAIN),
        None => ("-".into(), QUIET),
    };
    match column {
        Column::Kind => known(Some(queue.kind)),
        Column::Namespace => known(queue.namespace),
        Column::Delivery => known(queue.delivery),
        Column::Channel => known(queue.channel),
        Column::Visible => depth(queue.visible),
        Column::Invisible => depth(queue.invisible),
        Column::Oldest => match queue.oldest_visible_seconds {
            Some(seconds) => {
                let age = Duration::try_from_secs_f64(seconds).unwrap_or_default();
                (duration(age), PLAIN)
            }
            None => known(None),
        },
        Column::Triggers => match (queue.table, queue.triggers) {
            (None, _) => ("no table".into(), BAD),
            (_, Some(state @ ("missing" | "stale"))) => (state.into(), BAD),
            (_, Some(state @ "disabled")) => (state.into(), ODD),
            (_, state) => known(state),
        },
        Column::Consumers => match queue.consumers {
            Some(it) => {
                let mark = if it.attended { "*" } else { "" };
                (format!("{}{mark}", it.parked), PLAIN)
            }
            None => known(None),
        },
        Column::DeadLetters => {
            let text = if queue.dead_letter_queue { "yes" } else { "" };
            (text.into(), PLAIN)
        }
    }
}

fn depth(depth: Option<DepthReport>) -> (String, Style) {
    match depth {
        Some(it) if it.estimated => (format!("~{}", it.messages), PLAIN),
        Some(it) if it.messages == 0 => ("0".into(), QUIET),
        Some(it) => (it.messages.to_string(), PLAIN),
        None => ("-".into(), QUIET),
    }
}

#[cfg(test)]
mod tests;
