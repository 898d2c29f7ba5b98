//! The configuration that the database has, so that whoever only watches or sends needs none of their own.

use pgmq_notify_client::PgmqNotifyConfig;
use pgmq_notify_core::Delivery;
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgPool, Row as _};

use super::{reachable, refused};
use crate::failure::Failure;

/// The delivery by way of JSON, because an older migration has no columns of it to select.
const CONFIGURED: &str = "
select
  i.channels_prefix, i.queue_naming_pattern, i.global_channel, i.triggers_enabled,
  pg_catalog.to_jsonb(i) ->> 'delivery' as delivery,
  array(
    select pg_catalog.jsonb_array_elements_text(pg_catalog.to_jsonb(i) -> 'namespaces_every')
  ) as namespaces_every,
  array(
    select pg_catalog.jsonb_array_elements_text(pg_catalog.to_jsonb(i) -> 'namespaces_wake_up')
  ) as namespaces_wake_up
from pgmq_notify.installation i";

/// What `pgmq_notify.installation` says.
#[derive(Debug)]
pub(crate) enum Installation {
    Found(PgmqNotifyConfig),
    Missing,
    /// This role may not read it.
    Unreadable,
}

impl Installation {
    pub(crate) async fn read(pool: &PgPool) -> Result<Self, Failure> {
        let mut connection = reachable(pool).await?;
        let row = sqlx::query(CONFIGURED)
            .fetch_optional(&mut connection)
            .await;
        // It has answered, and that is all it was for.
        drop(connection.close().await);
        match row {
            Ok(Some(row)) => {
                Ok(Self::Found(configured(&row).map_err(|error| {
                    refused("read pgmq_notify.installation", &error)
                })?))
            }
            Ok(None) => Ok(Self::Missing),
            Err(error) => match sqlstate(&error).as_deref() {
                // No such schema, table or column.
                Some("3F000" | "42P01" | "42703") => Ok(Self::Missing),
                Some("42501") => Ok(Self::Unreadable),
                _ => Err(refused("read what is installed", &error)),
            },
        }
    }

    /// What is installed, or every setting at its default.
    pub(crate) fn config(self) -> PgmqNotifyConfig {
        match self {
            Self::Found(config) => config,
            Self::Missing | Self::Unreadable => PgmqNotifyConfig::new(),
        }
    }
}

fn configured(row: &PgRow) -> Result<PgmqNotifyConfig, sqlx::Error> {
    let mut config = PgmqNotifyConfig::new()
        .with_queue_naming_pattern(row.try_get::<String, _>("queue_naming_pattern")?)
        .with_global_channel(row.try_get("global_channel")?)
        .with_triggers_enabled(row.try_get("triggers_enabled")?);
    if let Some(prefix) = row.try_get::<Option<String>, _>("channels_prefix")? {
        config = config.with_channels_prefix(prefix);
    }
    // A way of delivery that a newer migration knows counts as the default.
    let delivery = row.try_get::<Option<String>, _>("delivery")?;
    config = config.with_delivery(
        delivery
            .and_then(|text| text.parse().ok())
            .unwrap_or_default(),
    );
    for (column, delivery) in [
        ("namespaces_every", Delivery::Every),
        ("namespaces_wake_up", Delivery::WakeUp),
    ] {
        for namespace in row.try_get::<Vec<String>, _>(column)? {
            config = config.with_namespace_delivery(namespace, delivery);
        }
    }
    Ok(config)
}

fn sqlstate(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
}
