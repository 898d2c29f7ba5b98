//! What one queue of a consumer is to the senders. Knows the time only from its arguments.

use std::time::Duration;

use tokio::time::Instant;

use super::Watched;
use super::job::Holder;
use super::pace::Pace;

/// Between two questions whether a sender is still on the way. The longest bounds how late its message is.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(30);
/// A queue that wants to be looked at for so long, and there is no free handler, is others' for now.
const STARVED: Duration = Duration::from_millis(5);
const AWAY: Duration = Duration::from_millis(100);
/// Between two times that others are woken. Less often where senders tell them already; and where nobody was
/// asleep, since who goes to sleep looks at the queue himself.
const WAKING: Duration = Duration::from_millis(20);
const WAKING_RARELY: Duration = Duration::from_millis(200);
/// Messages that nobody was told of are looked for so often, while others are told of.
const WHOLE: Duration = Duration::from_secs(5);
/// What was heard or found so lately may not be all.
const LATELY: Duration = Duration::from_secs(1);
/// A sender holds the lock of its queue for microseconds; who does so at each of these attempts attends to
/// it, and is let do so for a while.
const ATTEMPTS: u32 = 4;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);
const ELSEWHERE: Duration = Duration::from_millis(250);
/// The server may notice only after two seconds that a session is gone, and senders are silent for its lock until
/// then.
const OUTLIVES: Duration = Duration::from_secs(3);

/// Whether senders know of this consumer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Row {
    /// There is none, or none that can be relied on.
    None,
    /// It is being written.
    Written,
    /// It is valid, and so long as it is refreshed the consumer is told. Senders that began before may
    /// not have seen it: these are asked for until they have ended.
    Valid { fence: Option<Fence> },
    /// There is none, and the consumer wants none: it has no free handler, or does not look at the queue any more.
    /// Senders that began before may have left a message to it alone: when one of these has ended, another consumer
    /// is woken.
    Away { is_left: bool, fence: Option<Fence> },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fence {
    pub(super) holders: Vec<Holder>,
    pub(super) next: Instant,
    pause: Duration,
}

impl Row {
    const AWAY: Self = Self::Away {
        is_left: false,
        fence: None,
    };
}

impl Fence {
    fn of(holders: Vec<Holder>, now: Instant) -> Option<Self> {
        (!holders.is_empty()).then(|| Self {
            holders,
            next: now + SHORTEST_PAUSE,
            pause: SHORTEST_PAUSE,
        })
    }
}

/// Whether senders know that this consumer looks by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attention {
    None { not_before: Option<Instant> },
    Taken,
    Held,
}

#[derive(Debug)]
pub(super) struct Standing {
    pub(super) watched: Watched,
    pub(super) row: Row,
    pub(super) attention: Attention,
    pub(super) pace: Pace,
    attempts: u32,
    /// A session that is lost may hold the lock until then.
    doubted: Option<Instant>,
    /// Since when it wants to be looked at in vain, and when others are woken for that.
    starved: Option<Instant>,
    wake_next: Option<Instant>,
    woken: Option<Instant>,
    alone: bool,
    /// The last look at the whole queue, and the last time that there was something.
    whole: Option<Instant>,
    lively: Option<Instant>,
}

impl Standing {
    pub(super) fn new(watched: Watched) -> Self {
        Self {
            watched,
            row: Row::None,
            attention: Attention::None { not_before: None },
            pace: Pace::default(),
            attempts: 0,
            doubted: None,
            starved: None,
            wake_next: None,
            woken: None,
            alone: false,
            whole: None,
            lively: None,
        }
    }

    /// Nothing happens here by itself.
    pub(super) fn is_calm(&self) -> bool {
        matches!(
            self.row,
            Row::Valid { fence: None }
                | Row::Away {
                    is_left: true,
                    fence: None
                }
        ) && !self.pace.is_busy()
            && self.attention == Attention::None { not_before: None }
            && self.doubted.is_none()
            && self.starved.is_none()
            && self.wake_next.is_none()
    }

    /// The row is gone, or may be.
    pub(super) fn lose_row(&mut self) {
        if !matches!(self.row, Row::Away { .. }) {
            self.row = Row::None;
        }
    }

    /// And the lock, with its session.
    pub(super) fn lose_all(&mut self, now: Instant) {
        if matches!(self.attention, Attention::Taken | Attention::Held) {
            self.doubted = Some(now + OUTLIVES);
        }
        self.lose_row();
        self.attention = Attention::None { not_before: None };
    }

    /// The row is valid, and these were on the way when it became so. True when it is to be looked at.
    pub(super) fn parked(&mut self, holders: Vec<Holder>, now: Instant) -> bool {
        if self.row != Row::Written {
            return false;
        }
        self.row = Row::Valid {
            fence: Fence::of(holders, now),
        };
        true
    }

    /// The row is deleted and the lock given back, and these were on the way then.
    pub(super) fn left(&mut self, holders: Vec<Holder>, now: Instant) {
        if let Row::Away {
            is_left: true,
            fence,
        } = &mut self.row
        {
            *fence = Fence::of(holders, now);
        }
    }

    /// They could not be, or it is not known.
    pub(super) fn has_not_left(&mut self) {
        if let Row::Away { is_left, .. } = &mut self.row {
            *is_left = false;
        }
    }

    pub(super) fn fence(&self) -> Option<&Fence> {
        match &self.row {
            Row::Valid { fence } | Row::Away { fence, .. } => fence.as_ref(),
            Row::None | Row::Written => None,
        }
    }

    /// These are still on the way. True when one of them is not any more: it may have left a message.
    pub(super) fn asked(&mut self, remaining: &[Holder], now: Instant) -> bool {
        let (is_away, slot) = match &mut self.row {
            Row::Valid { fence } => (false, fence),
            Row::Away { fence, .. } => (true, fence),
            Row::None | Row::Written => return false,
        };
        let Some(fence) = slot else {
            return false;
        };
        let before = fence.holders.len();
        fence.holders.retain(|it| remaining.contains(it));
        let has_ended = fence.holders.len() < before;
        fence.pause = (fence.pause * 2).min(LONGEST_PAUSE);
        fence.next = now + fence.pause;
        if fence.holders.is_empty() {
            *slot = None;
        }
        if has_ended && is_away {
            self.is_rich(now);
        }
        has_ended && !is_away
    }

    /// It is not busy any more. Who attends gives that up as if he had not been parked.
    pub(super) fn rest(&mut self) {
        let attends = matches!(self.attention, Attention::Taken | Attention::Held);
        if attends && matches!(self.row, Row::Valid { .. }) {
            self.row = Row::None;
        }
    }

    /// It wants to be looked at, and there is no free handler.
    pub(super) fn starve(&mut self, now: Instant) {
        self.starved.get_or_insert(now);
    }

    /// It is being looked at.
    pub(super) fn feed(&mut self) {
        self.starved = None;
        if matches!(self.row, Row::Away { .. }) {
            self.row = Row::None;
        }
    }

    pub(super) fn pause(&mut self, now: Instant) {
        self.row = Row::AWAY;
        self.pace = Pace::default();
        self.starved = None;
        self.is_rich(now);
    }

    /// It has more than this consumer takes at a time.
    pub(super) fn is_rich(&mut self, now: Instant) {
        let woken = self.next_waking().map_or(now, |at| at.max(now));
        self.wake_next.get_or_insert(woken);
    }

    fn next_waking(&self) -> Option<Instant> {
        let pause = match self.row {
            Row::Away { .. } => WAKING_RARELY,
            _ if self.alone => WAKING_RARELY,
            _ => WAKING,
        };
        self.woken.map(|woken| woken + pause)
    }

    /// A look has ended, and was one at the whole queue or not. True when there should be another one.
    pub(super) fn looked(&mut self, found: bool, is_whole: bool, now: Instant) -> bool {
        if found {
            self.lively = Some(now);
        }
        if is_whole {
            self.whole = Some(now);
            return false;
        }
        self.whole.is_none_or(|whole| whole + WHOLE <= now)
    }

    pub(super) fn told(&mut self, now: Instant) {
        self.lively = Some(now);
    }

    /// Whether somebody may have told this consumer, and no other, of a message that is still there.
    pub(super) fn is_lively(&self, now: Instant) -> bool {
        self.lively.is_some_and(|lively| now < lively + LATELY) || self.starved.is_some()
    }

    /// What happens by the time alone.
    pub(super) fn expire(&mut self, now: Instant) {
        if let Some(since) = self.starved {
            if since + STARVED <= now {
                self.is_rich(now);
            }
            if since + AWAY <= now && !matches!(self.row, Row::Away { .. } | Row::Written) {
                self.row = Row::AWAY;
            }
        }
        if self.doubted.is_some_and(|it| it <= now) {
            self.doubted = None;
            // Whoever kept silent until now is noted, or has committed.
            self.lose_row();
        }
        if let Attention::None { not_before } = &mut self.attention
            && not_before.is_some_and(|it| it <= now)
        {
            *not_before = None;
        }
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(super) fn next_timer(&self) -> Option<Instant> {
        let not_before = match self.attention {
            Attention::None { not_before } => not_before,
            _ => None,
        };
        let starved = self.starved.and_then(|since| {
            let rich = self.wake_next.is_none().then(|| {
                let starved = since + STARVED;
                self.next_waking().map_or(starved, |at| at.max(starved))
            });
            let stays = matches!(self.row, Row::Away { .. } | Row::Written);
            let away = (!stays).then_some(since + AWAY);
            [rich, away].into_iter().flatten().min()
        });
        let timers = [not_before, self.doubted, starved, self.pace.next_look()];
        timers.into_iter().flatten().min()
    }

    /// When something is to be said or asked.
    pub(super) fn next_job(&self) -> Option<Instant> {
        let fence = self.fence().map(|fence| fence.next);
        [fence, self.wake_next].into_iter().flatten().min()
    }

    pub(super) fn wants_attention(&self) -> bool {
        self.pace.is_busy()
            && self.attention == Attention::None { not_before: None }
            && !matches!(self.row, Row::Away { .. })
    }

    /// The lock was tried.
    pub(super) fn tried(&mut self, is_own: bool, now: Instant) {
        if is_own {
            self.attempts = 0;
            self.attention = Attention::Held;
            // It was busy only for a moment.
            if !self.pace.is_busy() {
                self.rest();
            }
            return;
        }
        self.attempts = (self.attempts + 1) % ATTEMPTS;
        let pause = if self.attempts == 0 {
            ELSEWHERE
        } else {
            BETWEEN_ATTEMPTS
        };
        self.attention = Attention::None {
            not_before: Some(now + pause),
        };
    }

    pub(super) fn wakes_next(&self, now: Instant) -> bool {
        self.wake_next.is_some_and(|it| it <= now)
    }

    pub(super) fn has_woken(&mut self, now: Instant) {
        self.wake_next = None;
        self.woken = Some(now);
        self.alone = false;
    }

    pub(super) fn found_nobody(&mut self) {
        self.alone = true;
    }
}
