//! One way under test.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pgmq_notify_tests::eventually;
use sqlx::{Connection, Executor, PgConnection};
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    attached::Handling,
    support::{BODY, Deliveries, Environment, Failure, Queue},
    way::{By, Way},
};

/// Enough for PostgreSQL to settle on its plans.
const WARM_UP: u32 = 10;

/// What a consumer needs to notice that it is busy; every way has it, before its turn is measured.
const SETTLE: Duration = Duration::from_millis(100);

const HANDLED_WITHIN: Duration = Duration::from_mins(2);

/// Messages per second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) sent: f64,
    pub(crate) handled: Option<f64>,
}

pub(crate) struct Lane {
    pub(crate) way: Way,
    queue: Queue,
    deliveries: Deliveries,
    handling: Option<Handling>,
    /// As many as ever send at a time, made and warmed up before anything is measured.
    connections: Vec<PgConnection>,
    notified: u64,
}

impl Lane {
    pub(crate) async fn open(
        way: Way,
        environment: &Environment,
        most: usize,
    ) -> Result<Self, Failure> {
        let queue = Queue::create(environment, &way.publisher).await?;
        let deliveries = Deliveries::of(&queue).await?;
        let mut connections = Vec::with_capacity(most);
        for _ in 0..most {
            connections.push(queue.connect().await?);
        }
        let handling = match &way.attached {
            Some(attached) => Some(Handling::start(attached, &queue).await?),
            None => None,
        };
        let mut lane = Self {
            way,
            queue,
            deliveries,
            handling,
            connections,
            notified: 0,
        };
        lane.warm_up().await?;
        Ok(lane)
    }

    async fn warm_up(&mut self) -> Result<(), Failure> {
        for connection in &mut self.connections {
            // Plans are what is warmed up, not the disk.
            connection.execute("set synchronous_commit = off").await?;
            for by in [By::One, By::Batch] {
                for _ in 0..WARM_UP {
                    send(connection, self.way.statement(by)).await?;
                }
                let each = self.way.notifications(by).unwrap_or(0);
                self.notified += each * u64::from(WARM_UP);
            }
            connection.execute("reset synchronous_commit").await?;
        }
        if let Some(handling) = &self.handling {
            handling.resume().await?;
        }
        self.settle(By::One).await
    }

    /// So many send for a while, and whoever handles, handles at the same time.
    pub(crate) async fn turn(
        &mut self,
        senders: usize,
        by: By,
        length: Duration,
    ) -> Result<Turn, Failure> {
        if let Some(handling) = &self.handling {
            handling.resume().await?;
        }
        let start = Arc::new(Barrier::new(senders + 1));
        let mut sending = JoinSet::new();
        for connection in self.connections.drain(..senders) {
            let statement = self.way.statement(by);
            sending.spawn(sender(connection, statement, Arc::clone(&start), length));
        }
        start.wait().await;
        tokio::time::sleep(SETTLE).await;
        let before = self.handling.as_ref().map(Handling::handled);
        let measured = Instant::now();
        tokio::time::sleep(length).await;
        let after = self.handling.as_ref().map(Handling::handled);
        let measured = measured.elapsed();

        let mut in_time = 0;
        while let Some(sender) = sending.join_next().await {
            let sent = sender??;
            in_time += sent.in_time;
            self.notified += self.way.notifications(by).unwrap_or(0) * u64::from(sent.all);
            self.connections.push(sent.connection);
        }
        self.settle(by).await?;
        let handled = after.zip(before).map(|(after, before)| after - before);
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let handled = handled.map(|count| count as f64 / measured.as_secs_f64());
        Ok(Turn {
            sent: f64::from(in_time * by.messages()) / length.as_secs_f64(),
            handled,
        })
    }

    /// What is not handled or delivered yet would fall into the next turn, and what a turn leaves in the table as well.
    async fn settle(&mut self, by: By) -> Result<(), Failure> {
        if let Some(handling) = &self.handling {
            eventually(HANDLED_WITHIN, || self.all_handled()).await;
            handling.pause().await?;
        }
        if self.way.notifications(by).is_some() {
            match self.way.attached {
                None => self.deliveries.reach(self.notified).await,
                // A consumer that gives a message back publishes it again.
                Some(_) => self.notified = self.deliveries.reach_at_least(self.notified).await,
            }
        }
        self.queue
            .database()
            .run("truncate pgmq.q_orders_queue")
            .await?;
        Ok(())
    }

    async fn all_handled(&self) -> Result<(), String> {
        let left = sqlx::query_scalar("select count(*) from pgmq.q_orders_queue")
            .fetch_one(self.queue.database().pool())
            .await;
        match left {
            Ok(0_i64) => Ok(()),
            Ok(left) => Err(format!("{left} messages are left")),
            Err(error) => Err(error.to_string()),
        }
    }

    pub(crate) async fn close(self) -> Result<(), Failure> {
        if let Some(handling) = self.handling {
            handling.stop()?;
        }
        for connection in self.connections {
            connection.close().await?;
        }
        Ok(())
    }
}

struct Sent {
    connection: PgConnection,
    /// Statements that ended in the time that is measured.
    in_time: u32,
    all: u32,
}

async fn sender(
    mut connection: PgConnection,
    statement: &'static str,
    start: Arc<Barrier>,
    length: Duration,
) -> Result<Sent, Failure> {
    let (mut in_time, mut all) = (0, 0);
    start.wait().await;
    let start = Instant::now();
    let end = SETTLE + length;
    while start.elapsed() < end {
        send(&mut connection, statement).await?;
        all += 1;
        if (SETTLE..=end).contains(&start.elapsed()) {
            in_time += 1;
        }
    }
    Ok(Sent {
        connection,
        in_time,
        all,
    })
}

/// To the end of the answer: a row arrives with its commit, but `fetch_one` would return before having read that.
async fn send(connection: &mut PgConnection, statement: &'static str) -> Result<(), sqlx::Error> {
    sqlx::query(statement)
        .bind(BODY)
        .execute(connection)
        .await
        .map(drop)
}
