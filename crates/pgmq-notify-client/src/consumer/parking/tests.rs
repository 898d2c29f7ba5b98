//! What is said when: time comes from arguments, and answers from the test.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::job::Holder;
use super::{Answer, Job, LEASE, Parking, Sight, Wanted, Watched};
use crate::consumer::queue::QueueId;

mod attending;
mod chance;
mod full;
mod losing;
mod parking;

const CONSUMER: i64 = 7;
/// No look is wanted.
const NOWHERE: [QueueId; 0] = [];
const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A consumer without a server.
struct Bench {
    parking: Parking,
    now: Instant,
    /// When the job began that is under way.
    before: Instant,
}

impl Bench {
    /// Queues that have just been found.
    fn found(ids: &[QueueId]) -> Self {
        Self::polling(30 * SECOND, ids)
    }

    fn polling(safety_poll: Duration, ids: &[QueueId]) -> Self {
        let now = Instant::now();
        let mut parking = Parking::new(CONSUMER, safety_poll, now);
        for id in ids {
            parking.watch(*id, Some(watched(*id)));
        }
        Self {
            parking,
            now,
            before: now,
        }
    }

    /// Queues that are parked, with nobody on the way, and were looked at and found empty.
    fn parked(ids: &[QueueId]) -> Self {
        let mut bench = Self::found(ids);
        assert!(bench.says().starts_with("park"));
        assert_eq!(bench.holders(&[]), ids);
        for id in ids {
            bench.looked(*id, 0);
        }
        assert_eq!(bench.says(), "nothing");
        bench
    }

    /// Parked, and messages come so close that it wants to look by itself.
    fn busy(ids: &[QueueId]) -> Self {
        let mut bench = Self::parked(ids);
        for _ in 0..30 {
            bench.after(MS);
            for id in ids {
                bench.looked(*id, 1);
            }
        }
        bench
    }

    fn attending(ids: &[QueueId]) -> Self {
        let mut bench = Self::busy(ids);
        for id in ids {
            assert_eq!(bench.says(), format!("attend {id}"));
            bench.answer(Answer::Attends(true));
        }
        bench
    }

    /// Time passes, and does what it does.
    fn after(&mut self, time: Duration) -> Vec<Wanted> {
        self.now += time;
        self.parking.expire(self.now)
    }

    /// The next job, in words; it is under way from now on.
    fn says(&mut self) -> String {
        let Some(job) = self.parking.next_job(self.now) else {
            return "nothing".to_owned();
        };
        self.before = self.now;
        text(&job)
    }

    /// What it says, if that is the next thing to happen, and after how much time.
    fn says_next(&mut self) -> (String, Duration) {
        let begin = self.now;
        loop {
            let said = self.says();
            if said != "nothing" {
                return (said, self.now - begin);
            }
            let next = self.parking.next_timer().expect("something is to come");
            assert!(next > self.now, "a timer that is over has done nothing");
            let wait = next - self.now;
            self.after(wait);
        }
    }

    fn answer(&mut self, answer: Answer) -> Vec<QueueId> {
        self.parking.answered(answer, self.before, self.now)
    }

    fn holders(&mut self, holders: &[(QueueId, &str)]) -> Vec<QueueId> {
        let holders = holders.iter().map(|(id, transaction)| Holder {
            queue: watched(*id).queue,
            transaction: (*transaction).to_owned(),
        });
        self.answer(Answer::Holders(holders.collect()))
    }

    /// A look at the whole queue has brought so many.
    fn looked(&mut self, id: QueueId, messages: usize) -> bool {
        self.parking.looks(id);
        let sight = Sight {
            messages,
            is_full: false,
            claimed: None,
        };
        self.parking.looked(id, sight, true, self.now)
    }

    fn looked_in_full(&mut self, id: QueueId) {
        self.parking.looks(id);
        let sight = Sight {
            messages: 4,
            is_full: true,
            claimed: None,
        };
        self.parking.looked(id, sight, true, self.now);
    }

    fn told(&mut self, id: QueueId) {
        self.parking.told(id, SystemTime::now(), self.now);
    }

    fn fails(&mut self) {
        self.parking.failed(self.now, 1.0);
    }
}

fn watched(id: QueueId) -> Watched {
    Watched {
        queue: format!("q_{id}"),
        table: format!("pgmq.q_{id}"),
        channel: "pgmq_message_ready.default".to_owned(),
        names: format!("\"queue_name\":\"{id}\""),
        attention: id.into(),
    }
}

fn text(job: &Job) -> String {
    let words = |verb: &str, words: &[String]| {
        let mut words = words.to_vec();
        words.sort_unstable();
        format!("{verb} {}", words.join(" "))
    };
    let also = |unlock: &[i64], attends: bool| {
        let unlock = unlock.iter().map(|it| format!(", unlock {it}"));
        let attends = attends.then(|| ", attends".to_owned());
        unlock.chain(attends).collect::<String>()
    };
    match job {
        Job::Park {
            queues,
            unlock,
            attends,
        } => words("park", queues) + &also(unlock, *attends),
        Job::Leave {
            queues,
            unlock,
            attends,
        } => words("leave", queues) + &also(unlock, *attends),
        Job::Ask { holders } => {
            let holders = holders.iter().map(|it| it.transaction.clone());
            words("ask", &holders.collect::<Vec<_>>())
        }
        Job::Refresh { queues } => words("refresh", queues),
        Job::Attend { attention } => format!("attend {attention}"),
        Job::Renew => "renew".to_owned(),
        Job::WakeNext { watched } => format!("wake next {}", watched.queue),
    }
}
