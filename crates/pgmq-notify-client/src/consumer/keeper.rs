use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::changes::{Change, Item, Piece, run};
use super::connection::OwnConnection;
use super::engine::Engine;
use super::held::{Extension, tick};

/// Extends the leases of all running handlers of the process, one statement for all that are due, on a
/// connection that nothing else waits for.
pub(crate) async fn keep(engine: Arc<Engine>, mut connection: OwnConnection, shortest: Duration) {
    loop {
        engine.held.filled().await;
        sleep(tick(shortest)).await;
        let due = engine.held.to_extend(Instant::now());
        if !due.is_empty() {
            extend(&engine, &mut connection, due, shortest).await;
        }
        for key in engine.held.warn_expired(Instant::now()) {
            engine.counted(|it| &it.expired);
            tracing::warn!(msg_id = key.msg_id, "a lease could not be extended in time");
        }
    }
}

async fn extend(
    engine: &Engine,
    connection: &mut OwnConnection,
    extensions: Vec<Extension>,
    shortest: Duration,
) {
    let pieces: Vec<Piece> = extensions
        .iter()
        .map(|it| Piece {
            queue: Arc::clone(&it.queue),
            change: Change::Extend,
            items: it
                .keys
                .iter()
                .map(|key| Item {
                    delay: it.queue.visibility_timeout,
                    ..Item::new(*key)
                })
                .collect(),
        })
        .collect();
    // Later than that there is nothing left to extend.
    let within = shortest / 3;
    let before = Instant::now();
    let together = connection
        .run(within, async |it| run(it, &pieces).await)
        .await;
    match together {
        Ok(found) => {
            for (piece, found) in pieces.iter().zip(found) {
                apply(engine, piece, &found, before);
            }
        }
        // One of them is locked or dropped: the others must not suffer for it.
        Err(error) if pieces.len() > 1 && error.as_database_error().is_some() => {
            for piece in pieces {
                let before = Instant::now();
                let alone = std::slice::from_ref(&piece);
                match connection
                    .run(within, async |it| run(it, alone).await)
                    .await
                {
                    Ok(found) => {
                        for found in found {
                            apply(engine, &piece, &found, before);
                        }
                    }
                    Err(error) => failed(&piece, &error),
                }
            }
        }
        Err(error) => {
            for piece in &pieces {
                failed(piece, &error);
            }
        }
    }
}

fn apply(engine: &Engine, piece: &Piece, found: &std::collections::HashSet<i64>, before: Instant) {
    let keys = || piece.items.iter().map(|it| it.key);
    let ends = before + piece.queue.visibility_timeout;
    engine
        .held
        .extended(keys().filter(|key| found.contains(&key.msg_id)), ends);
    for key in engine
        .held
        .lose(keys().filter(|key| !found.contains(&key.msg_id)))
    {
        engine.counted(|it| &it.lost);
        tracing::warn!(
            queue = piece.queue.name.as_str(),
            msg_id = key.msg_id,
            "a lease was lost: the message was claimed again, or is gone"
        );
    }
}

fn failed(piece: &Piece, error: &sqlx::Error) {
    tracing::warn!(
        queue = piece.queue.name.as_str(),
        leases = piece.items.len(),
        cause = error as &dyn std::error::Error,
        "leases were not extended"
    );
}
