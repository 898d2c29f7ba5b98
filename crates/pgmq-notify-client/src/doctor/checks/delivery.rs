//! Does what is published reach a listener?

use std::error::Error as _;

use pgmq_notify_listener::{CatchUp, ListenerErrorKind, PgmqNotifyListener};

use crate::ClientError;
use crate::doctor::examination::Examination;
use crate::doctor::quoted::word;
use crate::doctor::{FindingCode, Remedy};

pub(super) async fn check(it: &mut Examination<'_>) -> Result<(), ClientError> {
    if it.facts.is_standby {
        return standby(it).await;
    }
    let pool = it.client.pool().clone();
    let listener = PgmqNotifyListener::new(pool, it.config.clone(), 1).await;
    let listener = listener.map(|it| it.with_any_delivery().with_catch_up(CatchUp::Never));
    let connected = match listener {
        Ok(mut listener) => {
            let connected = listener.connect().await;
            listener.disconnect().await;
            connected
        }
        Err(error) => Err(error),
    };
    let Err(error) = connected else {
        return Ok(());
    };
    match error.kind() {
        // Delivery is proved before these are looked for.
        ListenerErrorKind::PgmqMissing
        | ListenerErrorKind::NotInstalled
        | ListenerErrorKind::Drift
        | ListenerErrorKind::Permission => {}
        ListenerErrorKind::NotDelivered => {
            let remedy = match elsewhere(it, it.facts.address.clone()) {
                Some(command) => Remedy::Shell(command),
                None => Remedy::Advice(
                    "give listeners and consumers the server's own address, or a pooler in session mode (PgBouncer: \
                     pool_mode=session)"
                        .into(),
                ),
            };
            it.find(
                FindingCode::NotDelivered,
                "the connection",
                "LISTEN succeeds and nothing arrives: a proxy shares the server's connections between transactions. \
                 Listeners and consumers need the server itself, whose address the remedy has, or a pooler in \
                 session mode; producers need not.",
                remedy,
            );
        }
        ListenerErrorKind::Standby => standby(it).await?,
        _ => {
            let cause = error
                .source()
                .map_or_else(String::new, |it| format!(": {it}"));
            it.not_checked(
                "delivery",
                format!("No listener could connect to prove it: {error}{cause}."),
                Remedy::Advice("run it again once connections can be made".into()),
            );
        }
    }
    Ok(())
}

async fn standby(it: &mut Examination<'_>) -> Result<(), ClientError> {
    // The view has one row, whose columns nobody but members of pg_read_all_stats may see.
    let sql = "select r.sender_host, r.sender_port from pg_stat_wal_receiver r where r.sender_host is not null";
    let rows = it.ask("where the primary is", sql).await?;
    let primary = rows.first().and_then(|row| {
        use sqlx::Row as _;
        row.try_get(0).ok().zip(row.try_get(1).ok())
    });
    let remedy = match elsewhere(it, primary) {
        Some(command) => Remedy::Shell(command),
        None => Remedy::Advice("connect to the primary".into()),
    };
    it.find(
        FindingCode::Standby,
        "the server",
        "It is a hot standby, where nobody can listen, send or claim until it is promoted.",
        remedy,
    );
    Ok(())
}

/// The command that examines the same database by another address. Without a password: whoever has one has it in
/// PGPASSWORD or a password file.
fn elsewhere(it: &Examination<'_>, address: Option<(String, i32)>) -> Option<String> {
    let (host, port) = address?;
    let (role, database) = (&it.facts.role_name, &it.facts.database);
    let plain = |text: &String| {
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "_-.".contains(it);
        text.chars().all(is_plain)
    };
    if host.starts_with('/') || !plain(role) || !plain(database) {
        return None;
    }
    let host = if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    };
    let url = format!("postgres://{role}@{host}:{port}/{database}");
    Some(format!("pgmq-notify doctor --database-url {}", word(&url)))
}
