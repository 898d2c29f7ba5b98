//! Idle consumers of one queue, each as in a process of its own, and messages for one of them at a time.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pgmq_notify_client::{Consumer, Source};
use pgmq_notify_core::PgmqNotifyConfig;
use sqlx::{Executor, PgConnection};

use crate::support::{
    Environment, Failure, Options, Publisher, QUEUE, Queue, Sample, Table, shuffled,
};

const CONSUMERS: [usize; 3] = [1, 5, 20];

/// Messages per second, and how many.
const STREAMS: [(u32, u32); 4] = [(2, 20), (10, 60), (100, 500), (1000, 4000)];

/// Whoever looks because of the last message has looked by then.
const LOOKED_WITHIN: Duration = Duration::from_millis(200);
const HANDLED_WITHIN: Duration = Duration::from_secs(30);

/// When the handler of each message was entered, and whose it was.
type Entered = Arc<Mutex<Vec<(u32, usize, Instant)>>>;

fn lock(entered: &Entered) -> MutexGuard<'_, Vec<(u32, usize, Instant)>> {
    entered.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one stream cost a lane.
#[derive(Debug, Default)]
struct Cost {
    messages: usize,
    claims: u64,
    empty: u64,
    seconds: f64,
    micros: Vec<f64>,
    /// Of each consumer.
    handled: Vec<usize>,
}

struct Lane {
    _queue: Queue,
    connection: PgConnection,
    consumers: Vec<Consumer>,
    entered: Entered,
    costs: Vec<Cost>,
}

pub(crate) async fn run(
    environment: &Environment,
    options: &Options,
    report: &mut String,
) -> Result<(), Failure> {
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let mut lanes = Vec::new();
    for count in CONSUMERS {
        lanes.push(Lane::new(environment, count).await?);
    }
    for round in 0..rounds {
        for place in shuffled(lanes.len(), round) {
            for (stream, (rate, messages)) in STREAMS.into_iter().enumerate() {
                let messages = if options.quick { 5 } else { messages };
                lanes[place].stream(stream, rate, messages).await?;
            }
        }
    }
    writeln!(
        report,
        "\nidle consumers of one queue, {rounds} turns each; µs from the commit's return to the handler\n"
    )?;
    let mut table = Table::new([
        "messages/s",
        "sent",
        "consumers",
        "claims each",
        "empty each",
        "empty/s",
        "median",
        "p99",
        "busiest",
    ]);
    for (stream, (rate, _)) in STREAMS.into_iter().enumerate() {
        for lane in &lanes {
            table.row(lane.costs[stream].cells(rate));
        }
    }
    write!(report, "{table}")?;
    for lane in lanes {
        for consumer in lane.consumers {
            consumer.shutdown().await;
        }
    }
    Ok(())
}

impl Cost {
    fn cells(&self, rate: u32) -> [String; 9] {
        let micros = Sample::new(self.micros.iter().copied());
        let messages = self.messages as f64;
        let busiest = self.handled.iter().max().copied().unwrap_or(0) as f64;
        [
            rate.to_string(),
            format!("{:.0}/s", messages / self.seconds),
            self.handled.len().to_string(),
            format!("{:.2}", self.claims as f64 / messages),
            format!("{:.2}", self.empty as f64 / messages),
            format!("{:.0}", self.empty as f64 / self.seconds),
            format!("{:.0}", micros.median()),
            format!("{:.0}", micros.percentile(99)),
            format!("{:.0} %", 100.0 * busiest / messages),
        ]
    }
}

impl Lane {
    async fn new(environment: &Environment, count: usize) -> Result<Self, Failure> {
        let publisher = Publisher::Ours(PgmqNotifyConfig::new());
        let queue = Queue::create(environment, &publisher).await?;
        let entered = Entered::default();
        let mut consumers = Vec::new();
        for place in 0..count {
            let entered = Arc::clone(&entered);
            let handler = move |message: pgmq_notify_client::Message<u32>| {
                let now = Instant::now();
                lock(&entered).push((message.body, place, now));
            };
            let source = Source::queue(QUEUE);
            consumers.push(crate::consumer(queue.options(), source, None, handler).await?);
        }
        let mut connection = queue.connect().await?;
        // What the disk takes is in no time here, and would be in the rate.
        connection.execute("set synchronous_commit = off").await?;
        let costs = STREAMS.map(|_| Cost {
            handled: vec![0; count],
            ..Cost::default()
        });
        Ok(Self {
            _queue: queue,
            connection,
            consumers,
            entered,
            costs: costs.into(),
        })
    }

    fn claims(&self) -> (u64, u64) {
        let stats = self.consumers.iter().map(Consumer::stats);
        stats.fold((0, 0), |(all, empty), it| {
            (all + it.claims, empty + it.empty_claims)
        })
    }

    async fn stream(&mut self, stream: usize, rate: u32, messages: u32) -> Result<(), Failure> {
        lock(&self.entered).clear();
        let (claims, empty) = self.claims();
        let begin = Instant::now();
        let mut returned = Vec::new();
        for n in 0..messages {
            let at = begin + Duration::from_secs(1) * n / rate;
            tokio::time::sleep_until(at.into()).await;
            sqlx::query("select pgmq.send('orders_queue', to_jsonb($1::int))")
                .bind(i32::try_from(n)?)
                .execute(&mut self.connection)
                .await?;
            returned.push(Instant::now());
        }
        let seconds = begin.elapsed().as_secs_f64();
        let all = returned.len();
        while lock(&self.entered).len() < all {
            if begin.elapsed() > HANDLED_WITHIN + Duration::from_secs(1) * messages / rate {
                return Err(format!("{} of {all} handled", lock(&self.entered).len()).into());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(LOOKED_WITHIN).await;
        let cost = &mut self.costs[stream];
        let entered = lock(&self.entered);
        if entered.len() != all {
            return Err("a message was handled twice".into());
        }
        for &(n, place, at) in entered.iter() {
            let sent = returned[n as usize];
            let micros = match at.checked_duration_since(sent) {
                Some(after) => after.as_secs_f64() * 1e6,
                None => sent.duration_since(at).as_secs_f64() * -1e6,
            };
            cost.micros.push(micros);
            cost.handled[place] += 1;
        }
        drop(entered);
        let (now, now_empty) = self.claims();
        let cost = &mut self.costs[stream];
        cost.claims += now - claims;
        cost.empty += now_empty - empty;
        cost.messages += all;
        cost.seconds += seconds;
        Ok(())
    }
}
