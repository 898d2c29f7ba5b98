//! Whatever happens in whatever order, what it believes of its rows and locks is true.

use std::collections::HashSet;

use fastrand::Rng;

use super::super::standing::{Attention, Row};
use super::*;

const QUEUES: QueueId = 3;

/// What the server has of this consumer.
#[derive(Default)]
struct Server {
    rows: HashSet<String>,
    locks: HashSet<i64>,
    /// Went with their session.
    lost: HashSet<i64>,
}

impl Server {
    fn run(&mut self, job: &Job, random: &mut Rng) -> Answer {
        match job {
            Job::Park { queues, unlock, .. } => {
                self.rows.extend(queues.iter().cloned());
                self.unlock(unlock);
                on_the_way(queues, random)
            }
            Job::Leave { queues, unlock, .. } => {
                self.unlock(unlock);
                self.rows.retain(|row| !queues.contains(row));
                on_the_way(queues, random)
            }
            Job::Ask { holders } => Answer::Holders(if random.bool() {
                holders.clone()
            } else {
                Vec::new()
            }),
            Job::Refresh { queues } => {
                let is_there = |it| self.rows.contains(it);
                assert!(queues.iter().all(is_there), "a row that is new");
                Answer::Done
            }
            Job::Attend { attention } => {
                // PostgreSQL would count two, and one unlock would not be enough.
                assert!(!self.locks.contains(attention), "its own lock");
                let is_own = random.bool();
                if is_own {
                    self.locks.insert(*attention);
                }
                Answer::Attends(is_own)
            }
            Job::Renew => {
                assert!(!self.locks.is_empty(), "nothing to go on attending to");
                Answer::Done
            }
            Job::WakeNext { .. } => Answer::Others(random.bool()),
        }
    }

    fn unlock(&mut self, unlock: &[i64]) {
        for attention in unlock {
            // Of a queue that is gone this may come in the next session, where it does nothing.
            let had = self.locks.remove(attention) || self.lost.remove(attention);
            assert!(had, "a lock that it never had");
        }
    }

    fn ends_session(&mut self) {
        self.lost.extend(self.locks.drain());
    }
}

fn on_the_way(queues: &[String], random: &mut Rng) -> Answer {
    let queue = random.choice(queues).unwrap().clone();
    let transaction = "3/1".to_owned();
    let holder = Holder { queue, transaction };
    Answer::Holders(if random.bool() {
        vec![holder]
    } else {
        Vec::new()
    })
}

fn happens(bench: &mut Bench, random: &mut Rng) {
    let id = random.u32(1..=QUEUES);
    let now = bench.now;
    match random.u8(0..16) {
        0..4 => {
            let time = *random
                .choice(&[MS, MS, 10 * MS, 40 * MS, 300 * MS, 6 * SECOND, LEASE])
                .unwrap();
            bench.after(time);
        }
        4 | 5 => {
            bench.looked(id, 1);
        }
        6 => bench.looked_in_full(id),
        7 => {
            bench.looked(id, 0);
        }
        8 => bench.told(id),
        9 | 10 => bench.parking.starves(id, now),
        11 => bench.parking.looks(id),
        12 if random.u8(0..4) == 0 => bench.parking.pauses(id, now),
        13 if random.u8(0..4) == 0 => bench.parking.is_lost(),
        14 if random.u8(0..4) == 0 => bench.parking.forget(id),
        _ => bench.parking.watch(id, Some(watched(id))),
    }
}

/// Between two jobs.
fn check(bench: &Bench, server: &Server) {
    for id in 1..=QUEUES {
        let watched = watched(id);
        let has_lock = server.locks.contains(&watched.attention);
        let Some(standing) = bench.parking.queues.get(&id) else {
            assert!(!has_lock, "the lock of a queue that is gone");
            continue;
        };
        let believes = standing.attention == Attention::Held;
        assert_eq!(has_lock, believes, "{standing:?}");
        if matches!(standing.row, Row::Valid { .. }) {
            assert!(server.rows.contains(&watched.queue), "{standing:?}");
        }
    }
}

#[test]
fn what_it_believes_of_rows_and_locks_is_true() {
    for seed in 0..200 {
        let mut random = Rng::with_seed(seed);
        let mut bench = Bench::found(&[]);
        let mut server = Server::default();
        for _ in 0..500 {
            happens(&mut bench, &mut random);
            bench.before = bench.now;
            let Some(job) = bench.parking.next_job(bench.now) else {
                check(&bench, &server);
                continue;
            };
            // Before its answer comes, too.
            for _ in 0..random.u8(0..3) {
                happens(&mut bench, &mut random);
            }
            let has_run = random.u8(0..10) > 0;
            let answer = has_run.then(|| server.run(&job, &mut random));
            match answer {
                Some(answer) if random.u8(0..10) > 0 => {
                    bench.answer(answer);
                }
                _ => {
                    server.ends_session();
                    bench.fails();
                }
            }
        }
    }
}
