//! What a database has, holds and does: for people (`pgmq-notify status`), and for whoever exports the numbers.

mod consumers;
mod counting;
mod depth;
mod queues;
mod report;
mod server;

use sqlx::PgConnection;

use crate::call::Call;
use crate::failure::explain;
use crate::installing::Connection;
use crate::{ClientError, ErrorKind, PgmqNotifyClient};

use self::queues::Found;
use self::server::{Meta, Server};

pub use self::consumers::QueueConsumers;
pub use self::depth::Depth;
pub use self::queues::{Figures, QueueFigures, QueueKind, QueueMessages};
pub use self::report::{InstallationStatus, PgmqStatus, QueueStatus, Status};
pub use self::server::{ServerStatus, Sessions};

/// A queue that somebody has locked must not stop the others for long. Ends with its transaction, so that nothing
/// of it stays in a pool, or behind a pooler.
const BEGIN: &str = "\
begin isolation level read committed read only;
set local lock_timeout = '1s';
set local statement_timeout = '10s'";

/// Whether plans are worth their memory: planning takes ten times as long as running them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plans {
    Kept,
    Dropped,
}

impl PgmqNotifyClient {
    /// Everything that is worth a look: the server, PGMQ, what of pgmq-notify is installed, and each queue with its
    /// triggers, depth, age and consumers.
    ///
    /// It is a cheap read, on a connection of its own: a dozen statements, and one more for each hundred queues.
    /// Messages are counted up to [`Depth::COUNTED`] in each queue; beyond, the statistics of PostgreSQL say how many
    /// there are. It changes nothing and claims nothing, needs no configuration, and works on a standby too.
    ///
    /// What the role may not know, or a lock keeps from being known, is `None`, queue by queue. It needs `select`
    /// on `pgmq.meta`.
    ///
    /// For whoever asks every few seconds, [`figures`](Self::figures) costs a tenth of it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// [`PgmqMissing`](ErrorKind::PgmqMissing) in a database without PGMQ,
    /// [`PermissionDenied`](ErrorKind::PermissionDenied) where the role may not read `pgmq.meta`, with the grants
    /// that it lacks; and when the server cannot be reached.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn example(client: pgmq_notify_client::PgmqNotifyClient) -> Result<(), pgmq_notify_client::ClientError> {
    /// let status = client.status().await?;
    /// for queue in &status.queues {
    ///     let visible = queue.messages.and_then(|it| it.visible);
    ///     println!("{}: {:?}", queue.name, visible.map(|it| it.messages));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn status(&self) -> Result<Status, ClientError> {
        const OPERATION: &str = "status";
        let mut connection = Connection::open(self.pool(), OPERATION).await?;
        let status = report::take(&mut connection, OPERATION).await;
        connection.close().await;
        status
    }

    /// The numbers of [`status`](Self::status) that change all the time, for whoever asks every few seconds.
    ///
    /// On a connection of the pool, which keeps the plans of its statements: two or three of them, and one more for
    /// each hundred queues, each in a short transaction of its own that only reads.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped early, it leaves nothing behind.
    ///
    /// # Errors
    ///
    /// As [`status`](Self::status).
    pub async fn figures(&self) -> Result<Figures, ClientError> {
        const OPERATION: &str = "look at the queues";
        let failed = |error| explain(&Call::new(OPERATION, &[]), error);
        let mut connection = self.pool().acquire().await.map_err(failed)?;
        let (server, found) = look(&mut connection, Plans::Kept, OPERATION).await?;
        let queues = found.into_iter().filter_map(Found::figures).collect();
        Ok(Figures {
            server: server.status,
            queues,
        })
    }
}

/// The server and its queues, as far as no configuration of ours is needed.
async fn look(
    connection: &mut PgConnection,
    plans: Plans,
    operation: &'static str,
) -> Result<(Server, Vec<Found>), ClientError> {
    let failed = |error| explain(&Call::new(operation, &[]), error);
    let server = Server::look(connection, plans).await.map_err(failed)?;
    match server.meta {
        Meta::Readable => {}
        Meta::Missing => {
            let text = "PGMQ is not installed in this database: it has no table pgmq.meta";
            return Err(Call::new(operation, &[]).error(ErrorKind::PgmqMissing, text));
        }
        Meta::Unreadable => {
            let role = &server.role;
            let text = format!(
                "the role {role} may not read the list of queues; as the owner, run: \
                 grant usage on schema pgmq to {role}; grant select on pgmq.meta to {role}"
            );
            return Err(Call::new(operation, &[]).error(ErrorKind::PermissionDenied, &text));
        }
    }
    let mut queues = queues::all(connection, plans).await.map_err(failed)?;
    if server.reads_parked {
        let consumers = consumers::add(connection, plans, &mut queues);
        consumers.await.map_err(failed)?;
    }
    let counted = counting::add(connection, plans, &mut queues);
    counted.await.map_err(failed)?;
    Ok((server, queues))
}
