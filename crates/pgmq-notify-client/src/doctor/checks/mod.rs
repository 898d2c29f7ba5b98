//! The checks, one module a concern.

mod consumers;
mod dead_letters;
mod delivery;
mod installation;
mod muted;
mod namespaces;
mod notification_queue;
mod own_notify;
mod pgmq;
mod privileges;
mod triggers;

use super::Doctor;
use super::examination::Examination;
use super::facts::Table;
use crate::ClientError;

/// In the order in which somebody would repair: what makes later findings moot comes first.
pub(super) async fn all(it: &mut Examination<'_>, doctor: &Doctor<'_>) -> Result<(), ClientError> {
    delivery::check(it).await?;
    notification_queue::check(it, doctor.queue_usage).await?;
    if !pgmq::check(it) {
        return Ok(());
    }
    let installation = installation::check(it, doctor.any_config).await?;
    if let Some(installation) = &installation {
        triggers::check(it, installation).await?;
        muted::check(it).await?;
        namespaces::check(it, installation).await?;
    }
    if it.facts.pgmq.meta == Table::Readable {
        own_notify::check(it).await?;
        consumers::check(it, doctor.backlog_age).await?;
        dead_letters::check(it).await?;
    }
    privileges::check(it, doctor, installation.as_ref()).await
}
