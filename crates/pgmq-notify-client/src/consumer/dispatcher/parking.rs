//! Tells the senders whether somebody sleeps.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Dispatcher;
use crate::call::Call;
use crate::consumer::connection::OwnConnection;
use crate::consumer::parking::{Answer, Job, Wanted, Watched};
use crate::consumer::queue::QueueId;
use crate::consumer::reason::Reason;
use crate::failure::explain;
use crate::{ClientError, ErrorKind};

/// A word to the senders that takes longer is not worth waiting for.
const SAID_WITHIN: Duration = Duration::from_secs(5);
/// How long a consumer that leaves waits for senders that may have told it, and nobody else.
const LEFT_WITHIN: Duration = Duration::from_millis(200);

/// What came of a job.
pub(super) struct Said {
    connection: OwnConnection,
    job: Job,
    before: Instant,
    result: Result<Answer, sqlx::Error>,
}

impl Dispatcher {
    /// Says at once that it sleeps, so that a mistake is known before anything depends on it.
    pub(crate) async fn park(&mut self) -> Result<(), ClientError> {
        self.say();
        let Some(saying) = self.saying.take() else {
            return Ok(());
        };
        let said = saying.await;
        if let Err(error) = said.result {
            return Err(refused(error));
        }
        self.said(said);
        Ok(())
    }

    /// Begins what is next to be said, if nothing is being said.
    pub(super) fn say(&mut self) {
        if self.saying.is_some() {
            return;
        }
        let Some(job) = self.parking.next_job(Instant::now()) else {
            return;
        };
        let Some(mut connection) = self.speaking.take() else {
            return;
        };
        self.engine.counted(|it| &it.parking);
        let (consumer, lease) = (self.parking.consumer(), self.parking.lease());
        self.saying = Some(Box::pin(async move {
            let before = Instant::now();
            let result = connection
                .run(SAID_WITHIN, async |it| job.run(it, consumer, lease).await)
                .await;
            Said {
                connection,
                job,
                before,
                result,
            }
        }));
    }

    pub(super) fn said(&mut self, said: Said) {
        let Said {
            mut connection,
            job,
            before,
            result,
        } = said;
        let now = Instant::now();
        match result {
            Ok(answer) => {
                for id in self.parking.answered(answer, before, now) {
                    self.schedule.wake(id, Reason::Parking);
                }
            }
            Err(error) => {
                // Whatever it still holds ends with it.
                connection = connection.anew();
                let error = explain(&Call::new(job.name(), &[]), error);
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(
                    cause,
                    "senders could not be told whether the consumer sleeps"
                );
                self.parking.failed(now, fastrand::f64());
                // There may be no such table any more, because every message is published again.
                self.wants_refresh = true;
            }
        }
        self.speaking = Some(connection);
    }

    pub(super) fn want(&mut self, wanted: Vec<Wanted>) {
        for wanted in wanted {
            match wanted {
                Wanted::Before(id) => self.schedule.wake(id, Reason::Parking),
                Wanted::Attending(id) => self.schedule.wake(id, Reason::Attending),
            }
        }
    }

    /// There is no free handler for these, and they want to be looked at.
    pub(super) fn starve(&mut self, ids: &[QueueId]) {
        let now = Instant::now();
        for id in ids {
            self.parking.starves(*id, now);
        }
    }

    /// Senders are to tell others from now on; and others, of what this consumer was told.
    pub(super) fn leave_senders(&mut self) -> impl Future<Output = ()> + use<> {
        let consumer = self.parking.consumer();
        let end = self.parking.end(Instant::now());
        let (speaking, saying) = (self.speaking.take(), self.saying.take());
        async move {
            let connection = match saying {
                Some(saying) => Some(saying.await.connection),
                None => speaking,
            };
            let (Some(mut connection), Some((job, lively))) = (connection, end) else {
                return;
            };
            if let Err(error) = leave(&mut connection, consumer, &job, &lively).await {
                let error = explain(&Call::new("leave", &[]), error);
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(
                    cause,
                    "senders could not be told that the consumer has left"
                );
            }
            // And with it what an unfinished job may have taken.
            connection.close().await;
        }
    }
}

fn refused(error: sqlx::Error) -> ClientError {
    let call = Call::new("park the consumer", &[]);
    let explained = explain(&call, error);
    if explained.kind() != ErrorKind::PermissionDenied {
        return explained;
    }
    let remedy = "its role may not say that it sleeps, which the delivery wake_up needs; as the owner, run: \
                  grant select, insert, update, delete on pgmq_notify.parked to the role";
    call.error(ErrorKind::PermissionDenied, remedy)
        .because(explained)
}

async fn leave(
    connection: &mut OwnConnection,
    consumer: i64,
    job: &Job,
    lively: &[Watched],
) -> Result<(), sqlx::Error> {
    let mut answer = say(connection, consumer, job).await?;
    if let Answer::Holders(holders) = &mut answer {
        // Who has looked for sleepers before may have chosen this one.
        holders.retain(|holder| lively.iter().any(|it| it.queue == holder.queue));
    }
    let until = Instant::now() + LEFT_WITHIN;
    while let Answer::Holders(holders) = answer
        && !holders.is_empty()
        && Instant::now() < until
    {
        sleep(Duration::from_millis(5)).await;
        answer = say(connection, consumer, &Job::Ask { holders }).await?;
    }
    for watched in lively {
        let watched = watched.clone();
        say(connection, consumer, &Job::WakeNext { watched }).await?;
    }
    Ok(())
}

async fn say(
    connection: &mut OwnConnection,
    consumer: i64,
    job: &Job,
) -> Result<Answer, sqlx::Error> {
    connection
        .run(SAID_WITHIN, async |it| {
            job.run(it, consumer, Duration::ZERO).await
        })
        .await
}
