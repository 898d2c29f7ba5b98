use std::time::Duration;

use pgmq_notify_core::{ResumeReason, ResumedEvent};

/// A batch that is empty again keeps so much room for the next one: it may have held bodies of eight
/// kilobytes each.
const KEPT_BYTES: usize = 256 * 1024;

/// Notifications and gaps in their order, copied out of what the socket was read into.
///
/// sqlx reads many notifications into one buffer, each of them keeps it, and sqlx can use it again only
/// when none is left. Copies cost less than that, and take as many bytes as they have.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Channels and payloads one behind the other.
    text: String,
    marks: Vec<Mark>,
    notifications: usize,
    /// How many marks, and how much of the text, were read.
    read: usize,
    read_text: usize,
}

#[derive(Clone, Debug)]
enum Mark {
    /// The next so many bytes of the text.
    Notification {
        channel: usize,
        payload: usize,
    },
    Resumed(ResumedEvent),
}

/// What a batch holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    Notification { channel: &'a str, payload: &'a str },
    Resumed(ResumedEvent),
}

impl Batch {
    pub(crate) fn push(&mut self, channel: &str, payload: &str) {
        self.text.push_str(channel);
        self.text.push_str(payload);
        self.notifications += 1;
        self.marks.push(Mark::Notification {
            channel: channel.len(),
            payload: payload.len(),
        });
    }

    /// A gap behind everything that is there; with another gap right before it, the two are one.
    pub(super) fn push_resumed(&mut self, reason: ResumeReason, gap: Duration) {
        if let Some(Mark::Resumed(before)) = self.marks.last_mut() {
            before.gap += gap;
        } else {
            let resumed = ResumedEvent { reason, gap };
            self.marks.push(Mark::Resumed(resumed));
        }
    }

    /// How many notifications were pushed.
    pub(crate) fn notifications(&self) -> usize {
        self.notifications
    }

    pub(super) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Copies the first `count` of the notifications of a batch without gaps.
    pub(super) fn extend(&mut self, from: &Self, count: usize) {
        let marks = &from.marks[..count];
        let length = |mark: &Mark| match mark {
            Mark::Notification { channel, payload } => channel + payload,
            Mark::Resumed(_) => 0,
        };
        let bytes = marks.iter().map(length).sum();
        self.text.push_str(&from.text[..bytes]);
        self.marks.extend_from_slice(marks);
        self.notifications += count;
    }

    /// The next entry that was not read.
    pub(crate) fn next(&mut self) -> Option<Entry<'_>> {
        let mark = self.marks.get(self.read)?;
        self.read += 1;
        Some(match mark {
            Mark::Notification { channel, payload } => {
                let text = &self.text[self.read_text..];
                self.read_text += channel + payload;
                let (channel, text) = text.split_at(*channel);
                let payload = &text[..*payload];
                Entry::Notification { channel, payload }
            }
            Mark::Resumed(resumed) => Entry::Resumed(resumed.clone()),
        })
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        if self.text.capacity() > KEPT_BYTES {
            *self = Self::default();
            return;
        }
        self.text.clear();
        self.marks.clear();
        (self.notifications, self.read, self.read_text) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification<'a>(channel: &'a str, payload: &'a str) -> Entry<'a> {
        Entry::Notification { channel, payload }
    }

    #[test]
    fn what_was_pushed_is_read_in_its_order() {
        let mut batch = Batch::default();
        batch.push("a", "ä 1");
        batch.push_resumed(ResumeReason::Reconnected, Duration::from_secs(1));
        batch.push("b", "");
        assert_eq!(batch.next(), Some(notification("a", "ä 1")));
        assert!(matches!(batch.next(), Some(Entry::Resumed(_))));
        assert_eq!(batch.next(), Some(notification("b", "")));
        assert_eq!(batch.next(), None);
    }

    #[test]
    fn the_first_of_another_batch_are_copied() {
        let (mut batch, mut other) = (Batch::default(), Batch::default());
        batch.push("a", "1");
        for payload in ["22", "333", "4444"] {
            other.push("b", payload);
        }
        batch.extend(&other, 2);
        assert_eq!(batch.notifications(), 3);
        for (channel, payload) in [("a", "1"), ("b", "22"), ("b", "333")] {
            assert_eq!(batch.next(), Some(notification(channel, payload)));
        }
        assert_eq!(batch.next(), None);
    }

    #[test]
    fn an_empty_batch_keeps_its_room_unless_it_is_large() {
        let mut batch = Batch::default();
        for (bytes, keeps) in [(KEPT_BYTES / 2, true), (KEPT_BYTES + 1, false)] {
            batch.push("", &"x".repeat(bytes));
            batch.clear();
            assert!(batch.is_empty());
            assert_eq!(batch.text.capacity() >= bytes, keeps);
        }
    }
}
