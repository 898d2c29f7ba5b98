use std::collections::HashMap;

use pgmq_notify_core::{ChannelName, Delivery, Namespace, PgmqNotifyConfig};
use sqlx::error::DatabaseError;
use sqlx::{PgConnection, Row as _};

use super::queues::Found;
use super::{Plans, QueueConsumers, QueueKind, QueueMessages, ServerStatus};
use crate::call::Call;
use crate::diagnosis::Installed;
use crate::failure::explain;
use crate::installing::{Connection, Look};
use crate::{ClientError, Installation, TableState};

/// The only part of a route that Rust does not know: the pattern is one of PostgreSQL by then.
const NAMESPACES: &str = "
select m.queue_name::text, pgmq_notify.namespace_of(m.queue_name::text)
from pgmq.meta m";

/// The end of the name that a consumer gives to the queue of its dead letters.
const DEAD_LETTERS: &str = "_dlq";

/// What [`status`](crate::PgmqNotifyClient::status) has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The server.
    pub server: ServerStatus,
    /// PGMQ.
    pub pgmq: PgmqStatus,
    /// What the database has of pgmq-notify.
    pub installation: InstallationStatus,
    /// Every queue of `pgmq.meta`, by name.
    pub queues: Vec<QueueStatus>,
}

/// Which PGMQ a database has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PgmqStatus {
    /// `1.13.0`, as the extension says. Of one that was installed as plain SQL, which says nothing of the kind, the
    /// newest release of which everything is there: `1.13`. `None` where it is older than 1.5.
    pub version: Option<String>,
    /// Whether it is an extension, and no plain SQL.
    pub is_extension: bool,
}

/// What a database has of pgmq-notify.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum InstallationStatus {
    /// Nothing.
    Missing,
    /// Something, and this role may not read which: it lacks `usage` on the schema `pgmq_notify`, or `select` on
    /// `pgmq_notify.installation`.
    Unreadable,
    /// This version and configuration.
    Found(Box<Installation>),
}

/// A queue, where its events go, and what is in it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct QueueStatus {
    /// Its name, as its creator spelled it.
    pub name: String,
    /// How it is stored.
    pub kind: QueueKind,
    /// Its table, as SQL spells it; `None` where somebody has dropped it beside PGMQ.
    pub table: Option<String>,
    /// Its namespace; `None` where nothing is installed, or the role may not know.
    pub namespace: Option<String>,
    /// The channel of its messages; `None` as above.
    pub channel: Option<ChannelName>,
    /// Which of its messages are published; `None` as above.
    pub delivery: Option<Delivery>,
    /// Its triggers; `None` where there are none to be (nothing is installed, or it is without triggers), or the role
    /// may not know.
    pub triggers: Option<TableState>,
    /// Its messages; `None` where the role may not read its table, somebody has locked it, or it is an unlogged one on
    /// a standby.
    pub messages: Option<QueueMessages>,
    /// The consumers that wait for it, with the delivery `wake_up`, for which alone that is known; `None` too where the
    /// role may not read `pgmq_notify.parked`, and on a standby.
    pub consumers: Option<QueueConsumers>,
    /// Whether it is one of dead letters, by its name: it ends with `_dlq`.
    pub is_dead_letter_queue: bool,
}

pub(super) async fn take(
    connection: &mut Connection,
    operation: &'static str,
) -> Result<Status, ClientError> {
    let failed = |error| explain(&Call::new(operation, &[]), error);
    let (server, found) = super::look(connection.inner(), Plans::Dropped, operation).await?;
    let pgmq = Installed::look(connection.inner()).await.map_err(failed)?;
    let pgmq = PgmqStatus {
        version: match &pgmq.extension {
            Some(version) => Some(version.clone()),
            None => pgmq.version().map(|it| it.to_string()),
        },
        is_extension: pgmq.extension.is_some(),
    };
    let installation = installation(connection).await.map_err(failed)?;
    let namespaces = match &installation {
        InstallationStatus::Found(_) => namespaces(connection.inner()).await.map_err(failed)?,
        InstallationStatus::Missing | InstallationStatus::Unreadable => HashMap::new(),
    };
    let routes = Routes::new(&installation, namespaces, server.reads_parked);
    let queues = found.into_iter().map(|it| routes.of(it)).collect();
    Ok(Status {
        server: server.status,
        pgmq,
        installation,
        queues,
    })
}

/// As much of it as the role may know.
async fn installation(connection: &mut Connection) -> Result<InstallationStatus, sqlx::Error> {
    let found = match Look::whole(connection).await {
        // Perhaps it may not call what compares the triggers, and may read the configuration.
        Err(error) if is_denied(&error) => Look::take(connection).await.map(|it| it.installation),
        found => found,
    };
    match found {
        Ok(Some(found)) => Ok(InstallationStatus::Found(Box::new(found))),
        Ok(None) => Ok(InstallationStatus::Missing),
        Err(error) if is_denied(&error) => Ok(InstallationStatus::Unreadable),
        Err(error) => Err(error),
    }
}

async fn namespaces(connection: &mut PgConnection) -> Result<HashMap<String, String>, sqlx::Error> {
    let rows = sqlx::query(NAMESPACES)
        .persistent(false)
        .fetch_all(connection)
        .await;
    match rows {
        Ok(rows) => {
            let pairs = rows
                .iter()
                .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
            pairs.collect()
        }
        Err(error) if is_denied(&error) => Ok(HashMap::new()),
        Err(error) => Err(error),
    }
}

fn is_denied(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some("42501")
}

/// Where events go, and what makes them.
struct Routes<'a> {
    config: Option<PgmqNotifyConfig>,
    namespaces: HashMap<String, String>,
    triggers: HashMap<&'a str, TableState>,
    reads_parked: bool,
}

impl<'a> Routes<'a> {
    fn new(
        installation: &'a InstallationStatus,
        namespaces: HashMap<String, String>,
        reads_parked: bool,
    ) -> Self {
        let installation = match installation {
            InstallationStatus::Found(installation) => Some(installation),
            InstallationStatus::Missing | InstallationStatus::Unreadable => None,
        };
        Self {
            config: installation.map(|it| it.config()),
            namespaces,
            triggers: installation
                .map(|it| it.tables().collect())
                .unwrap_or_default(),
            reads_parked,
        }
    }

    fn of(&self, found: Found) -> QueueStatus {
        let namespace = self.namespaces.get(&found.name).cloned();
        let routed = self.config.as_ref().zip(namespace.as_deref());
        let delivery = routed.map(|(config, namespace)| config.delivery_of(namespace));
        let channel = routed.and_then(|(config, namespace)| {
            let namespace = Namespace::new(namespace).ok()?;
            Some(config.channels().ok()?.message_ready(&namespace))
        });
        let table = found.table.as_ref();
        let triggers = table.and_then(|it| self.triggers.get(&*it.regclass));
        let none = self.reads_parked && delivery == Some(Delivery::WakeUp);
        QueueStatus {
            messages: found.messages(),
            kind: found.kind,
            channel,
            delivery,
            triggers: triggers.copied(),
            table: table.map(|it| it.relation.clone()),
            consumers: found.consumers.or(none.then(QueueConsumers::default)),
            is_dead_letter_queue: found.name.ends_with(DEAD_LETTERS),
            namespace,
            name: found.name,
        }
    }
}
