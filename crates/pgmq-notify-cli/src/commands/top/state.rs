//! What is shown: the numbers, their order, and what was pressed.

use std::collections::BTreeMap;
use std::time::Duration;

use pgmq_notify_client::Depth;
use pgmq_notify_listener::ListenerStatus;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::heard::{Heard, OfQueue};
use super::look::{Counted, Look, QueueLook};

/// Whether events are heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hearing {
    Status(ListenerStatus),
    /// The listener could not connect, and why.
    Deaf(String),
}

/// A queue as it is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) depth: Option<Depth>,
    pub(super) visible: Option<Depth>,
    pub(super) oldest: Option<Duration>,
    pub(super) sent: Option<f64>,
    pub(super) done: Option<f64>,
    pub(super) events: f64,
    pub(super) latency: Option<Duration>,
    pub(super) consumers: Option<(u64, bool)>,
    pub(super) dead: Option<Depth>,
}

/// All queues together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) sent: f64,
    pub(super) done: f64,
    pub(super) events: f64,
    pub(super) latency: Option<Duration>,
}

/// What the rows are sorted by; the same as what they show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Queue,
    Depth,
    Visible,
    Oldest,
    Sent,
    Done,
    Events,
    Latency,
    Consumers,
    Dead,
}

impl Column {
    pub(super) const ALL: [Self; 10] = [
        Self::Queue,
        Self::Depth,
        Self::Visible,
        Self::Oldest,
        Self::Sent,
        Self::Done,
        Self::Events,
        Self::Latency,
        Self::Consumers,
        Self::Dead,
    ];
}

/// What a key asks for beyond what the state does itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Stay,
    Quit,
}

/// All that a frame is made of.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is switched by a key of its own"
)]
#[derive(Debug)]
pub(super) struct State {
    pub(super) interval: Duration,
    pub(super) has_colour: bool,
    pub(super) hearing: Hearing,
    /// Why the last look failed.
    pub(super) problem: Option<String>,
    pub(super) look: Option<Look>,
    pub(super) totals: Totals,
    rows: Vec<Row>,
    pub(super) sorted_by: Column,
    pub(super) is_reversed: bool,
    pub(super) filter: String,
    pub(super) is_typing: bool,
    pub(super) is_paused: bool,
    pub(super) shows_help: bool,
    /// The first row that is shown.
    offset: usize,
    /// Rows that the screen has room for.
    room: usize,
}

impl State {
    pub(super) fn new(interval: Duration, has_colour: bool) -> Self {
        Self {
            interval,
            has_colour,
            hearing: Hearing::Status(ListenerStatus::Connecting),
            problem: None,
            look: None,
            totals: Totals::default(),
            rows: Vec::new(),
            sorted_by: Column::Depth,
            is_reversed: false,
            filter: String::new(),
            is_typing: false,
            is_paused: false,
            shows_help: false,
            offset: 0,
            room: 0,
        }
    }

    /// Takes new numbers; rates are those since the last ones.
    pub(super) fn see(&mut self, look: Look, heard: &Heard) {
        let before = self.look.take();
        let seconds = before.as_ref().map_or(0.0, |before| {
            look.at.duration_since(before.at).as_secs_f64()
        });
        let per_second = |number: u64| {
            if seconds > 0.0 {
                number_of(number) / seconds
            } else {
                0.0
            }
        };
        let latency = |seconds: Option<f64>| {
            let seconds = seconds? + look.clock_ahead;
            Some(Duration::try_from_secs_f64(seconds).unwrap_or_default())
        };
        let old_queues: BTreeMap<_, _> = before
            .iter()
            .flat_map(|before| &before.queues)
            .map(|queue| (queue.name.as_str(), queue))
            .collect();
        let old_latencies: BTreeMap<_, _> = self
            .rows
            .iter()
            .map(|row| (row.name.clone(), row.latency))
            .collect();
        let depths: BTreeMap<_, _> = look
            .queues
            .iter()
            .map(|queue| (queue.name.as_str(), queue.counted.map(|it| it.depth)))
            .collect();
        let row = |queue: &QueueLook| {
            let heard = heard.of(&queue.name);
            let old = old_queues.get(queue.name.as_str());
            let dead = depths.get(format!("{}_dlq", queue.name).as_str());
            let known = old_latencies.get(&queue.name).copied().flatten();
            Row {
                name: queue.name.clone(),
                depth: queue.counted.map(|it| it.depth),
                visible: queue.counted.and_then(|it| it.visible),
                oldest: queue.counted.and_then(|it| it.oldest),
                sent: old.and_then(|old| sent(old, queue)).map(per_second),
                done: old.and_then(|old| done(old, queue)).map(per_second),
                events: per_second(heard.map_or(0, |heard| heard.events)),
                latency: latency(heard.and_then(OfQueue::latency)).or(known),
                consumers: queue.consumers,
                dead: dead.copied().flatten(),
            }
        };
        self.rows = look.queues.iter().map(row).collect();
        let sum = |of: fn(&Row) -> Option<f64>| self.rows.iter().filter_map(of).sum();
        self.totals = Totals {
            sent: sum(|row| row.sent),
            done: sum(|row| row.done),
            events: per_second(heard.events()),
            latency: latency(heard.latency()).or(self.totals.latency),
        };
        self.look = Some(look);
        self.problem = None;
        self.sort();
    }

    /// Those of the filter, in their order.
    pub(super) fn rows(&self) -> Vec<&Row> {
        let wanted = self.filter.to_lowercase();
        let matches = |row: &&Row| row.name.to_lowercase().contains(&wanted);
        self.rows.iter().filter(matches).collect()
    }

    /// The rows that a screen with so much room shows, and which of all the first one is.
    pub(super) fn page(&mut self, room: usize) -> (usize, Vec<Row>) {
        let rows = self.rows();
        let offset = self.offset.min(rows.len().saturating_sub(room));
        let page = rows[offset..].iter().take(room).copied().cloned().collect();
        (self.offset, self.room) = (offset, room);
        (offset, page)
    }

    fn sort(&mut self) {
        let column = self.sorted_by;
        // The largest first, but names from their beginning.
        let forwards = (column == Column::Queue) != self.is_reversed;
        self.rows.sort_by(|one, other| {
            let order = key(one, column).total_cmp(&key(other, column));
            let order = if forwards { order } else { order.reverse() };
            let by_name = one.name.cmp(&other.name);
            if column == Column::Queue && self.is_reversed {
                by_name.reverse()
            } else {
                order.then(by_name)
            }
        });
    }

    pub(super) fn press(&mut self, key: KeyEvent) -> Flow {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return match key.code {
                KeyCode::Char('c' | 'd') => Flow::Quit,
                _ => Flow::Stay,
            };
        }
        if self.is_typing {
            match key.code {
                KeyCode::Enter => self.is_typing = false,
                KeyCode::Esc => {
                    self.is_typing = false;
                    self.filter.clear();
                }
                KeyCode::Backspace => {
                    self.filter.pop();
                }
                KeyCode::Char(character) => self.filter.push(character),
                _ => {}
            }
            return Flow::Stay;
        }
        if self.shows_help {
            // Any key leads back.
            self.shows_help = false;
            return Flow::Stay;
        }
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Flow::Quit,
            KeyCode::Char('?' | 'h') => self.shows_help = true,
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char('p' | ' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('s') | KeyCode::Right => self.sort_by_next(1),
            KeyCode::Char('S') | KeyCode::Left => self.sort_by_next(Column::ALL.len() - 1),
            KeyCode::Char('r') => {
                self.is_reversed = !self.is_reversed;
                self.sort();
            }
            KeyCode::Down | KeyCode::Char('j') => self.scroll_to(self.offset + 1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll_to(self.offset.saturating_sub(1)),
            KeyCode::PageDown => self.scroll_to(self.offset + self.room),
            KeyCode::PageUp => self.scroll_to(self.offset.saturating_sub(self.room)),
            KeyCode::Home | KeyCode::Char('g') => self.scroll_to(0),
            KeyCode::End | KeyCode::Char('G') => self.scroll_to(usize::MAX),
            _ => {}
        }
        Flow::Stay
    }

    fn scroll_to(&mut self, offset: usize) {
        let last = self.rows().len().saturating_sub(self.room);
        self.offset = offset.min(last);
    }

    fn sort_by_next(&mut self, step: usize) {
        let at = Column::ALL.iter().position(|it| *it == self.sorted_by);
        let next = (at.unwrap_or(0) + step) % Column::ALL.len();
        self.sorted_by = Column::ALL[next];
        self.sort();
    }
}

/// What is not known comes last.
fn key(row: &Row, column: Column) -> f64 {
    let depth = |depth: Option<Depth>| depth.map(|it| number_of(it.messages));
    let seconds = |duration: Option<Duration>| duration.map(|it| it.as_secs_f64());
    let value = match column {
        Column::Queue => Some(0.0),
        Column::Depth => depth(row.depth),
        Column::Visible => depth(row.visible),
        Column::Oldest => seconds(row.oldest),
        Column::Sent => row.sent,
        Column::Done => row.done,
        Column::Events => Some(row.events),
        Column::Latency => seconds(row.latency),
        Column::Consumers => row.consumers.map(|(number, _)| number_of(number)),
        Column::Dead => depth(row.dead),
    };
    value.unwrap_or(-1.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "beyond 53 bits nobody reads the last digit"
)]
fn number_of(number: u64) -> f64 {
    number as f64
}

/// Nothing where the queue was made anew.
fn sent(old: &QueueLook, new: &QueueLook) -> Option<u64> {
    new.counted?.sent?.checked_sub(old.counted?.sent?)
}

/// What left the queue: what came less what it grew by, where all of it is counted; else from the statistics.
fn done(old: &QueueLook, new: &QueueLook) -> Option<u64> {
    let exact = |old: Counted, new: Counted| {
        let came = new.sent?.checked_sub(old.sent?)?;
        (!old.depth.is_estimate && !new.depth.is_estimate)
            .then(|| (old.depth.messages + came).checked_sub(new.depth.messages))
            .flatten()
    };
    let (old, new) = (old.counted?, new.counted?);
    exact(old, new).or_else(|| new.deleted.checked_sub(old.deleted))
}

#[cfg(test)]
mod tests;
