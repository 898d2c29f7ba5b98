/// A number of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Depth {
    /// How many there are.
    pub messages: u64,
    /// Whether that is what the statistics of PostgreSQL say, because there are more than are counted. They are up to
    /// some seconds late, and unknown after a crash or a failover until the next `vacuum` or `analyze`; so this may be
    /// no more than how many there are at least.
    pub is_estimate: bool,
}

impl Depth {
    /// Messages that are counted one by one, in each queue.
    pub const COUNTED: u64 = 1000;
}

/// What was counted of a queue. Each number ends at [`Depth::COUNTED`] and one more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) messages: u64,
    pub(super) invisible: u64,
    /// Only counted where that many are invisible.
    pub(super) visible: Option<u64>,
}

/// A queue's messages, and how many of them are visible and not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) depth: Depth,
    pub(super) visible: Option<Depth>,
    pub(super) invisible: Option<Depth>,
}

impl Counts {
    pub(super) fn has_uncounted_invisible(&self) -> bool {
        self.invisible > Depth::COUNTED
    }

    /// With the help of what the statistics say. The two parts are the whole; one that is counted makes the other
    /// known, and where neither is, neither is known.
    pub(super) fn split(&self, live: u64) -> Split {
        let is_estimate = self.messages > Depth::COUNTED;
        let at_least = if is_estimate {
            self.invisible + self.visible.unwrap_or(0)
        } else {
            0
        };
        let messages = if is_estimate {
            live.max(self.messages).max(at_least)
        } else {
            self.messages
        };
        let exactly = |messages| Depth {
            messages,
            is_estimate: false,
        };
        let rest = |counted: u64| Depth {
            messages: messages.saturating_sub(counted),
            is_estimate,
        };
        let counted = |number: &u64| *number <= Depth::COUNTED;
        let (visible, invisible) = if counted(&self.invisible) {
            (Some(rest(self.invisible)), Some(exactly(self.invisible)))
        } else if let Some(visible) = self.visible.filter(counted) {
            (Some(exactly(visible)), Some(rest(visible)))
        } else {
            (None, None)
        };
        Split {
            depth: Depth {
                messages,
                is_estimate,
            },
            visible,
            invisible,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: u64 = Depth::COUNTED + 1;

    fn split(messages: u64, invisible: u64, visible: Option<u64>, live: u64) -> [Option<Depth>; 3] {
        let counts = Counts {
            messages,
            invisible,
            visible,
        };
        let split = counts.split(live);
        [Some(split.depth), split.visible, split.invisible]
    }

    fn depth(messages: u64, is_estimate: bool) -> Depth {
        Depth {
            messages,
            is_estimate,
        }
    }

    #[test]
    fn what_is_counted_needs_no_statistics() {
        assert_eq!(
            split(14, 3, None, 9999),
            [
                Some(depth(14, false)),
                Some(depth(11, false)),
                Some(depth(3, false))
            ]
        );
        // A message came between two looks of one statement.
        assert_eq!(
            split(0, 1, None, 0),
            [
                Some(depth(0, false)),
                Some(depth(0, false)),
                Some(depth(1, false))
            ]
        );
    }

    #[test]
    fn the_part_that_is_counted_makes_the_other_known() {
        assert_eq!(
            split(MANY, 20, None, 5600),
            [
                Some(depth(5600, true)),
                Some(depth(5580, true)),
                Some(depth(20, false))
            ]
        );
        assert_eq!(
            split(MANY, MANY, Some(3), 5600),
            [
                Some(depth(5600, true)),
                Some(depth(3, false)),
                Some(depth(5597, true))
            ]
        );
        // The statistics may be late.
        assert_eq!(
            split(MANY, MANY, Some(7), 0),
            [
                Some(depth(1008, true)),
                Some(depth(7, false)),
                Some(depth(1001, true))
            ]
        );
    }

    #[test]
    fn where_neither_part_is_counted_neither_is_known() {
        for visible in [None, Some(MANY)] {
            assert_eq!(
                split(MANY, MANY, visible, 5600),
                [Some(depth(5600, true)), None, None]
            );
        }
    }
}
