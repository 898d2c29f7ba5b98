//! One candidate under test, in a database of its own.

use std::{sync::Arc, time::Duration};

use sqlx::{Connection, Executor, PgConnection};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    candidate::Candidate,
    support::{BODY, Deliveries, Environment, Failure, Publisher, Queue, processor_time},
};

/// One transaction for each message, for so many seconds, without a client's round trips. And many messages in one
/// transaction, where nothing but the statement counts.
const LOOPS: &str = "
create procedure public.inserts(seconds float8, body jsonb, inout count bigint) language plpgsql as $$
declare
  finish timestamp with time zone := clock_timestamp() + make_interval(secs => seconds);
begin
  loop
    insert into pgmq.q_orders_queue (vt, message) values (clock_timestamp(), body);
    commit;
    exit when clock_timestamp() > finish;
    count := count + 1;
  end loop;
end $$;
create procedure public.sends(seconds float8, body jsonb, inout count bigint) language plpgsql as $$
declare
  finish timestamp with time zone := clock_timestamp() + make_interval(secs => seconds);
begin
  loop
    perform pgmq.send('orders_queue', body);
    commit;
    exit when clock_timestamp() > finish;
    count := count + 1;
  end loop;
end $$;
create function public.inserts_at_once(count integer, body jsonb) returns void language plpgsql as $$
begin
  for i in 1..count loop
    insert into pgmq.q_orders_queue (vt, message) values (clock_timestamp(), body);
  end loop;
end $$;
create function public.sends_at_once(count integer, body jsonb) returns void language plpgsql as $$
begin
  for i in 1..count loop
    perform pgmq.send('orders_queue', body);
  end loop;
end $$;
";

/// Every half a second, as somebody does who attends; all but the last have expired.
const RENEWALS: &str = "
do $$
begin
  for ago in reverse 5000..1 loop
    update public.parked set until = clock_timestamp() - make_interval(secs => 0.5 * ago);
    commit;
  end loop;
  update public.parked set until = clock_timestamp() + interval '1 day';
end $$;
";

/// A snapshot, which is enough to keep every version of a row that it can see or that came later.
const OLD_TRANSACTION: [&str; 2] = [
    "begin isolation level repeatable read",
    "select count(*) from pg_class",
];

/// Enough for PostgreSQL to settle on its plans.
const WARM_UP: f64 = 0.01;

/// How messages get into the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Insert,
    Send,
}

impl By {
    pub(crate) const ALL: [Self; 2] = [Self::Insert, Self::Send];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Send => "pgmq.send",
        }
    }

    fn transactions(self) -> &'static str {
        match self {
            Self::Insert => "call public.inserts($1, $2::text::jsonb, 0)",
            Self::Send => "call public.sends($1, $2::text::jsonb, 0)",
        }
    }

    fn at_once(self) -> &'static str {
        match self {
            Self::Insert => "select public.inserts_at_once($1, $2::text::jsonb)",
            Self::Send => "select public.sends_at_once($1, $2::text::jsonb)",
        }
    }
}

pub(crate) struct Lane {
    pub(crate) candidate: Candidate,
    queue: Queue,
    deliveries: Deliveries,
    /// As many as ever send at a time, made and warmed up before anything is measured.
    senders: Vec<Sender>,
    /// Sessions that hold something while others send.
    holding: Vec<PgConnection>,
    sent: u64,
}

impl Lane {
    pub(crate) async fn open(
        candidate: Candidate,
        environment: &Environment,
        most: usize,
    ) -> Result<Self, Failure> {
        let queue = Queue::create(environment, &Publisher::Nobody).await?;
        queue.database().run(candidate.script()).await?;
        queue.database().run(LOOPS).await?;
        let mut holding = Vec::new();
        if let Some(held) = candidate.held {
            let mut connection = queue.connect().await?;
            connection.execute(held).await?;
            holding.push(connection);
        }
        let deliveries = Deliveries::of(&queue).await?;
        let mut senders = Vec::with_capacity(most);
        let mut sent = 0;
        for _ in 0..most {
            let mut sender = Sender::connect(&queue).await?;
            sent += sender.warm_up().await?;
            senders.push(sender);
        }
        // Not before the sessions have their plans.
        if candidate.renewed {
            let mut connection = queue.connect().await?;
            for statement in OLD_TRANSACTION {
                connection.execute(statement).await?;
            }
            holding.push(connection);
            queue.database().run(RENEWALS).await?;
        }
        Ok(Self {
            candidate,
            queue,
            deliveries,
            senders,
            holding,
            sent,
        })
    }

    /// What one sender's transaction with all these messages took on a processor, in microseconds per message.
    pub(crate) async fn at_once(&mut self, by: By, messages: u32) -> Result<Option<f64>, Failure> {
        let sender = self.senders.first_mut().ok_or("there is no sender")?;
        sender.at_once(by, messages).await
    }

    /// So many senders, each message a transaction.
    pub(crate) async fn transactions(
        &mut self,
        by: By,
        senders: usize,
        length: Duration,
    ) -> Result<Turn, Failure> {
        let start = Arc::new(Barrier::new(senders));
        let mut sending = JoinSet::new();
        for mut sender in self.senders.drain(..senders) {
            let start = Arc::clone(&start);
            sending.spawn(async move {
                start.wait().await;
                let sent = sender.transactions(by, length.as_secs_f64()).await?;
                Ok::<_, Failure>((sender, sent))
            });
        }
        let (mut in_time, mut all) = (0, 0);
        let mut processor = Some(Duration::ZERO);
        while let Some(done) = sending.join_next().await {
            let (sender, sent) = done??;
            in_time += sent.in_time;
            all += sent.in_time + 1;
            processor = processor.zip(sent.processor).map(|(all, own)| all + own);
            self.senders.push(sender);
        }
        self.sent += u64::from(all);
        // What was not delivered yet would be delivered in the next turn's time.
        if self.candidate.always_notifies {
            self.deliveries.reach(self.sent).await;
        }
        Ok(Turn {
            per_second: f64::from(in_time) / length.as_secs_f64(),
            processor: processor.map(|time| time.as_secs_f64() * 1e6 / f64::from(all)),
        })
    }

    /// Ends it, after making sure that its trigger does what it is here for.
    ///
    /// # Errors
    /// It has notified though somebody attended, or does not though somebody sleeps.
    pub(crate) async fn close(self) -> Result<(), Failure> {
        let told = self.deliveries.count();
        let expected = if self.candidate.always_notifies {
            self.sent
        } else {
            0
        };
        if told != expected {
            let name = self.candidate.name;
            return Err(format!("{name}: {told} notifications instead of {expected}").into());
        }
        if let Some(falls_asleep) = self.candidate.falls_asleep {
            self.queue.database().run(falls_asleep).await?;
            let send = format!("select pgmq.send('orders_queue', '{BODY}')");
            self.queue.database().run(send).await?;
            self.deliveries.reach(1).await;
        }
        for sender in self.senders {
            sender.connection.close().await?;
        }
        drop(self.holding);
        Ok(())
    }
}

/// What was measured of one turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) per_second: f64,
    /// Microseconds per message that the senders' backends took, where the system says.
    pub(crate) processor: Option<f64>,
}

struct Sender {
    connection: PgConnection,
    backend: u32,
}

struct Sent {
    /// One more was too late.
    in_time: u32,
    processor: Option<Duration>,
}

impl Sender {
    async fn connect(queue: &Queue) -> Result<Self, Failure> {
        let mut connection = queue.connect().await?;
        let backend: i32 = sqlx::query_scalar("select pg_backend_pid()")
            .fetch_one(&mut connection)
            .await?;
        Ok(Self {
            connection,
            backend: u32::try_from(backend)?,
        })
    }

    /// Returns how many messages were sent.
    async fn warm_up(&mut self) -> Result<u64, Failure> {
        let mut sent = 0;
        // Plans are what is warmed up, not the disk.
        self.connection
            .execute("set synchronous_commit = off")
            .await?;
        for by in By::ALL {
            let turn = self.transactions(by, WARM_UP).await?;
            sent += u64::from(turn.in_time) + 1;
            self.at_once(by, 10).await?;
        }
        self.connection.execute("reset synchronous_commit").await?;
        Ok(sent)
    }

    async fn transactions(&mut self, by: By, seconds: f64) -> Result<Sent, Failure> {
        let before = processor_time(self.backend);
        let in_time: i64 = sqlx::query_scalar(by.transactions())
            .bind(seconds)
            .bind(BODY)
            .fetch_one(&mut self.connection)
            .await?;
        let after = processor_time(self.backend);
        Ok(Sent {
            in_time: u32::try_from(in_time)?,
            processor: between(before, after),
        })
    }

    /// As [`Lane::at_once`].
    async fn at_once(&mut self, by: By, messages: u32) -> Result<Option<f64>, Failure> {
        let mut transaction = self.connection.begin().await?;
        let before = processor_time(self.backend);
        sqlx::query(by.at_once())
            .bind(i32::try_from(messages)?)
            .bind(BODY)
            .execute(&mut *transaction)
            .await?;
        let after = processor_time(self.backend);
        // Who notifies, notifies of the messages that it counts.
        transaction.rollback().await?;
        let spent = between(before, after);
        Ok(spent.map(|time| time.as_secs_f64() * 1e6 / f64::from(messages)))
    }
}

fn between(before: Option<Duration>, after: Option<Duration>) -> Option<Duration> {
    after?.checked_sub(before?)
}
