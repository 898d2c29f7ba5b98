//! What can strike.

use std::{ops::RangeInclusive, time::Duration};

use fastrand::Rng;

use super::Direction;

/// One fault of a server or of the network before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// `pg_terminate_backend`.
    TerminatedBackend,
    /// Connections cut with RST.
    Reset,
    /// Connections cut with FIN.
    Closed,
    /// Nothing arrives, in one direction or both, for up to 3 seconds.
    BlackHole(Direction),
    /// Everything arrives 500 ms late in each direction, for up to 3 seconds.
    Delay,
    /// A restart by an operator, which ends every session.
    FastRestart,
    /// A server that ends at once, is down for up to a second, and recovers from its write-ahead log.
    ImmediateRestart,
}

impl Fault {
    /// Each once.
    pub const ALL: [Self; 9] = [
        Self::TerminatedBackend,
        Self::Reset,
        Self::Closed,
        Self::BlackHole(Direction::ToServer),
        Self::BlackHole(Direction::ToClient),
        Self::BlackHole(Direction::Both),
        Self::Delay,
        Self::FastRestart,
        Self::ImmediateRestart,
    ];

    /// Each kind is as likely as any other, and so is each direction of a black hole.
    pub(super) fn draw(rng: &mut Rng) -> Self {
        match rng.u8(..7) {
            0 => Self::TerminatedBackend,
            1 => Self::Reset,
            2 => Self::Closed,
            3 => Self::BlackHole(
                [Direction::ToServer, Direction::ToClient, Direction::Both][rng.usize(..3)],
            ),
            4 => Self::Delay,
            5 => Self::FastRestart,
            _ => Self::ImmediateRestart,
        }
    }

    /// How long it lasts, beyond what it takes anyway. What is over at once lasts no time.
    pub(super) fn draw_time(self, rng: &mut Rng) -> Duration {
        let milliseconds: RangeInclusive<u64> = match self {
            Self::BlackHole(_) | Self::Delay => 200..=3000,
            Self::ImmediateRestart => 0..=1000,
            Self::TerminatedBackend | Self::Reset | Self::Closed | Self::FastRestart => 0..=0,
        };
        Duration::from_millis(rng.u64(milliseconds))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn plan(seed: u64) -> Vec<(Fault, Duration)> {
        let mut rng = Rng::with_seed(seed);
        let next = || {
            let fault = Fault::draw(&mut rng);
            (fault, fault.draw_time(&mut rng))
        };
        std::iter::repeat_with(next).take(200).collect()
    }

    #[test]
    fn the_same_seed_is_the_same_run_and_another_is_another() {
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
    }

    #[test]
    fn two_hundred_draws_hold_every_fault() {
        for seed in 0..100 {
            let drawn: HashSet<_> = plan(seed).into_iter().map(|(fault, _)| fault).collect();
            assert_eq!(drawn, HashSet::from(Fault::ALL), "seed {seed}");
        }
    }

    #[test]
    fn only_what_has_to_be_healed_lasts() {
        for (fault, lasts) in plan(1) {
            let longest = match fault {
                Fault::BlackHole(_) | Fault::Delay => 3000,
                Fault::ImmediateRestart => 1000,
                _ => 0,
            };
            assert!(
                lasts <= Duration::from_millis(longest),
                "{fault:?} {lasts:?}"
            );
        }
    }
}
