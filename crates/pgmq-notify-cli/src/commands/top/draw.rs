//! The state as text on a screen, of whatever size.

use pgmq_notify_client::Depth;
use pgmq_notify_listener::ListenerStatus;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::state::{Column, Hearing, Row, State};
use crate::figures::{count, duration, rate};
use crate::text::{cut, printable, width};

/// Lines above the rows.
pub(super) const ABOVE: u16 = 4;
/// Lines below them.
const BELOW: u16 = 1;

/// As wide as a name may be.
const NAME: usize = 32;
/// Less of a name says nothing.
const SHORTEST_NAME: usize = 10;

const GOOD: Style = Style::new().fg(Color::Green);
const BAD: Style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
const QUIET: Style = Style::new().add_modifier(Modifier::DIM);
const HEADER: Style = Style::new().add_modifier(Modifier::REVERSED);
const SORTED: Style = HEADER.add_modifier(Modifier::BOLD);

const HELP: [&str; 16] = [
    "q, Esc, Ctrl-C    quit",
    "/                 filter by a part of the name; Esc ends it",
    "s, S, arrows      sort by the next or previous column",
    "r                 reverse the order",
    "p, space          pause",
    "up, down, j, k    scroll; PgUp, PgDn, Home, End",
    "",
    "DEPTH     messages, ~ estimated; VISIBLE: those a reader gets",
    "OLDEST    since the oldest visible message was sent",
    "SENT/S    sent, DONE/S deleted or archived, per second",
    "EVENT/S   published and heard here, per second",
    "LATENCY   from the trigger to here, median",
    "CONS      consumers that wait, * one is at work (wake_up)",
    "DEAD      messages in the queue's _dlq",
    "notify    how full the server's notification queue is",
    "",
];

/// A column and how wide it is, without the name; those that stay longest in a narrow terminal first.
const COLUMNS: [(Column, &str, usize); 9] = [
    (Column::Depth, "DEPTH", 7),
    (Column::Oldest, "OLDEST", 6),
    (Column::Sent, "SENT/S", 6),
    (Column::Done, "DONE/S", 6),
    (Column::Latency, "LATENCY", 7),
    (Column::Dead, "DEAD", 5),
    (Column::Visible, "VISIBLE", 7),
    (Column::Events, "EVENT/S", 7),
    (Column::Consumers, "CONS", 4),
];

/// Draws all of it.
pub(super) fn draw(state: &mut State, area: Rect, buffer: &mut Buffer) {
    let has_colour = state.has_colour;
    let mut screen = Screen {
        area,
        buffer,
        has_colour,
    };
    draw_head(state, &mut screen);
    let room = area.height.saturating_sub(ABOVE + BELOW);
    let (first, rows) = state.page(room.into());
    draw_rows(state, &rows, &mut screen);
    if area.height > BELOW {
        let last = area.height - 1;
        let footer = footer(state, first, rows.len());
        screen.put(0, last, &footer, QUIET);
    }
    if state.shows_help {
        draw_help(&mut screen);
    }
}

/// The same as lines of text with room for every queue, without the keys.
pub(super) fn text(state: &mut State, columns: u16) -> String {
    let rows = u16::try_from(state.rows().len()).unwrap_or(u16::MAX);
    let height = rows.saturating_add(ABOVE + BELOW);
    let area = Rect::new(0, 0, columns, height);
    let mut buffer = Buffer::empty(area);
    draw(state, area, &mut buffer);
    let mut text = String::new();
    for y in 0..height - BELOW {
        let mut line = String::new();
        let mut x = 0;
        while x < columns {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            x += u16::try_from(width(symbol)).unwrap_or(1).max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

struct Screen<'a> {
    area: Rect,
    buffer: &'a mut Buffer,
    has_colour: bool,
}

impl Screen<'_> {
    fn columns(&self) -> usize {
        self.area.width.into()
    }

    /// At most to the end of the line.
    fn put(&mut self, x: usize, y: u16, text: &str, style: Style) {
        let Ok(column) = u16::try_from(x) else {
            return;
        };
        if column < self.area.width && y < self.area.height {
            let text = cut(text, self.columns() - x);
            let style = if self.has_colour {
                style
            } else {
                Style { fg: None, ..style }
            };
            self.buffer
                .set_string(self.area.x + column, self.area.y + y, text, style);
        }
    }
}

fn draw_head(state: &State, screen: &mut Screen) {
    let columns = screen.columns();
    let (status, style) = status(state);
    let status = cut(&status, columns);
    let left = columns.saturating_sub(width(&status) + 2);
    screen.put(
        0,
        0,
        &cut(&title(state), left),
        Style::new().add_modifier(Modifier::BOLD),
    );
    screen.put(columns - width(&status), 0, &status, style);
    screen.put(0, 1, &totals(state), Style::new());
    if let Some(look) = &state.look
        && look.notification_queue >= 0.5
    {
        let warning = "the notification queue is more than half full: nothing is published";
        screen.put(0, 2, warning, BAD);
    }
    if let Some(problem) = &state.problem {
        screen.put(0, 2, &printable(problem), BAD);
    } else if let Hearing::Deaf(why) = &state.hearing {
        screen.put(0, 2, &format!("no events: {}", printable(why)), BAD);
    }
}

fn title(state: &State) -> String {
    let Some(look) = &state.look else {
        return "pgmq-notify top".into();
    };
    let version = look.server_version.split(' ').next().unwrap_or_default();
    let database = printable(&look.database);
    let every = humantime::format_duration(state.interval);
    format!("pgmq-notify top  {database}, PostgreSQL {version}, every {every}")
}

fn totals(state: &State) -> String {
    let Some(look) = &state.look else {
        return String::new();
    };
    let totals = &state.totals;
    let latency = totals.latency.map_or_else(|| "-".into(), duration);
    let mut text = format!(
        "{} queues  sent {}/s  done {}/s  events {}/s  latency {latency}  notify {:.1}%",
        look.queues.len(),
        rate(totals.sent),
        rate(totals.done),
        rate(totals.events),
        look.notification_queue * 100.0,
    );
    if look.consumer_sessions > 0 {
        text += "  consumer sessions ";
        text += &count(look.consumer_sessions);
    }
    text
}

fn status(state: &State) -> (String, Style) {
    if state.is_paused {
        return ("paused".into(), HEADER);
    }
    if state.problem.is_some() {
        return ("no connection, trying again".into(), BAD);
    }
    match &state.hearing {
        Hearing::Deaf(_) => ("no events".into(), BAD),
        Hearing::Status(ListenerStatus::Connected) => ("connected".into(), GOOD),
        Hearing::Status(ListenerStatus::Reconnecting { attempt, .. }) => {
            (format!("reconnecting, attempt {attempt}"), BAD)
        }
        Hearing::Status(_) => ("connecting".into(), QUIET),
    }
}

fn draw_rows(state: &State, rows: &[Row], screen: &mut Screen) {
    let longest = rows.iter().map(|row| width(&printable(&row.name))).max();
    let longest = longest.unwrap_or(0).clamp(SHORTEST_NAME, NAME);
    let (name, columns) = fitting(longest, screen.columns());
    let gap = gap(screen.columns());
    let y = ABOVE - 1;
    screen.put(0, y, &" ".repeat(screen.columns()), HEADER);
    let mark = |column, text: &str| {
        if state.sorted_by != column {
            return (text.to_owned(), HEADER);
        }
        let up = (column == Column::Queue) != state.is_reversed;
        (format!("{text}{}", if up { '^' } else { 'v' }), SORTED)
    };
    let (text, style) = mark(Column::Queue, "QUEUE");
    screen.put(0, y, &cut(&text, name), style);
    let mut x = name;
    for (column, text, columns) in &columns {
        let (text, style) = mark(*column, text);
        x += gap + columns;
        // The mark may stand in the gap before it.
        screen.put(x.saturating_sub(width(&text)), y, &text, style);
    }
    for (row, y) in rows.iter().zip(ABOVE..) {
        screen.put(0, y, &cut(&printable(&row.name), name), Style::new());
        let mut x = name;
        for (column, _, columns) in &columns {
            let (text, style) = cell(row, *column);
            x += gap + columns;
            let text = cut(&text, *columns);
            screen.put(x.saturating_sub(width(&text)), y, &text, style);
        }
    }
}

/// Between two columns, in a terminal of so many.
fn gap(columns: usize) -> usize {
    if columns < 92 { 1 } else { 2 }
}

/// How wide names are, and the columns that there is room for, in the order they are shown.
fn fitting(longest: usize, columns: usize) -> (usize, Vec<(Column, &'static str, usize)>) {
    let mut chosen = Vec::new();
    let gap = gap(columns);
    // A name gets what it needs up to this, before the less important columns.
    let mut used = longest.min(20);
    for column in COLUMNS {
        if used + gap + column.2 > columns {
            break;
        }
        used += gap + column.2;
        chosen.push(column);
    }
    let left = columns.saturating_sub(used);
    let name = longest.min(20) + left.min(longest.saturating_sub(20));
    let place = |column: &Column| Column::ALL.iter().position(|it| it == column);
    chosen.sort_by_key(|(column, ..)| place(column));
    (name.min(columns), chosen)
}

fn cell(row: &Row, column: Column) -> (String, Style) {
    let plain = Style::new();
    let unknown = || ("-".to_owned(), QUIET);
    let depth = |depth: Option<Depth>| match depth {
        Some(depth) if depth.is_estimate => (format!("~{}", count(depth.messages)), plain),
        Some(depth) if depth.messages == 0 => ("0".into(), QUIET),
        Some(depth) => (count(depth.messages), plain),
        None => unknown(),
    };
    let per_second = |number: Option<f64>| match number.map(rate) {
        Some(text) if text == "0" => (text, QUIET),
        Some(text) => (text, plain),
        None => unknown(),
    };
    let time = |time: Option<_>| time.map_or_else(unknown, |time| (duration(time), plain));
    match column {
        Column::Queue => (row.name.clone(), plain),
        Column::Depth => depth(row.depth),
        Column::Visible => depth(row.visible),
        Column::Oldest => time(row.oldest),
        Column::Sent => per_second(row.sent),
        Column::Done => per_second(row.done),
        Column::Events => per_second(Some(row.events)),
        Column::Latency => time(row.latency),
        Column::Consumers => match row.consumers {
            Some((number, works)) => {
                let mark = if works { "*" } else { "" };
                (format!("{}{mark}", count(number)), plain)
            }
            None => unknown(),
        },
        Column::Dead => match row.dead {
            Some(dead) if dead.messages > 0 => (depth(Some(dead)).0, BAD),
            dead => depth(dead),
        },
    }
}

fn footer(state: &State, first: usize, shown: usize) -> String {
    if state.is_typing {
        return format!(
            "filter: {}_   Enter keeps it, Esc ends it",
            printable(&state.filter)
        );
    }
    let all = state.rows().len();
    let mut text = String::from("q quit  ? help  s sort  r reverse  / filter  p pause");
    if !state.filter.is_empty() {
        text = format!("filter: {}  {text}", printable(&state.filter));
    }
    if shown < all {
        text = format!("{}-{} of {all}  {text}", first + 1, first + shown);
    }
    text
}

fn draw_help(screen: &mut Screen) {
    let longest = HELP.iter().map(|line| width(line)).max().unwrap_or(0);
    let end = "any key leads back";
    let columns = (longest + 4).min(screen.columns());
    let x = (screen.columns() - columns) / 2;
    let lines = HELP.iter().copied().chain([end]);
    for (line, y) in std::iter::once("").chain(lines).zip(1..screen.area.height) {
        screen.put(x, y, &" ".repeat(columns), HEADER);
        screen.put(x + 2, y, &cut(line, columns.saturating_sub(4)), HEADER);
    }
}

#[cfg(test)]
mod tests;
