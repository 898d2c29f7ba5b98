use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

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
            let mut extending = pin!(extend(&engine, &mut connection, due, shortest));
            // A server that does not answer must not keep the handlers from being told.
            while timeout(tick(shortest), &mut extending).await.is_err() {
                warn(&engine);
            }
        }
        warn(&engine);
    }
}

fn warn(engine: &Engine) {
    for claimed in engine.held.warn_expired(Instant::now()) {
        engine.counted(|it| &it.expired);
        tracing::warn!(
            queue = claimed.queue.name.as_str(),
            msg_id = claimed.key.msg_id,
            attempt = claimed.key.read_count,
            "a lease could not be extended in time"
        );
    }
}

async fn extend(
    engine: &Engine,
    connection: &mut OwnConnection,
    extensions: Vec<Extension>,
    shortest: Duration,
) {
    // Later than that there is nothing left to extend.
    let within = shortest / 3;
    let before = Instant::now();
    let mut pieces = Vec::new();
    let together = connection
        .run(within, async |it| {
            let _alone = engine.extending.lock().await;
            pieces = extensions.iter().filter_map(piece).collect();
            if pieces.is_empty() {
                return Ok(Vec::new());
            }
            run(it, &pieces).await
        })
        .await;
    match together {
        Ok(found) => {
            for (piece, found) in pieces.iter().zip(found) {
                apply(engine, piece, &found, before);
            }
        }
        // One of them is locked or dropped: the others must not suffer for it.
        Err(error) if pieces.len() > 1 && error.as_database_error().is_some() => {
            for extension in extensions {
                extend_alone(engine, connection, &extension, within).await;
            }
        }
        Err(error) => {
            for extension in &extensions {
                failed(extension, &error);
            }
        }
    }
}

async fn extend_alone(
    engine: &Engine,
    connection: &mut OwnConnection,
    extension: &Extension,
    within: Duration,
) {
    let before = Instant::now();
    let mut alone = None;
    let result = connection
        .run(within, async |it| {
            let _alone = engine.extending.lock().await;
            alone = piece(extension);
            match &alone {
                Some(piece) => run(it, std::slice::from_ref(piece)).await,
                None => Ok(Vec::new()),
            }
        })
        .await;
    match (result, alone) {
        (Ok(found), Some(piece)) => {
            for found in found {
                apply(engine, &piece, &found, before);
            }
        }
        (Ok(_), None) => {}
        (Err(error), _) => failed(extension, &error),
    }
}

/// None when there is nothing left to extend: what became of a message since it was due is final.
fn piece(extension: &Extension) -> Option<Piece> {
    let queue = &extension.queue;
    let items: Vec<Item> = extension
        .claims
        .iter()
        .filter(|it| it.wants_extension())
        .map(|it| Item {
            delay: queue.visibility_timeout,
            ..Item::new(it.key)
        })
        .collect();
    (!items.is_empty()).then(|| Piece::new(Arc::clone(queue), Change::Extend, items))
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
            attempt = key.read_count,
            noticed = "extension",
            "a lease was lost"
        );
    }
}

fn failed(extension: &Extension, error: &sqlx::Error) {
    tracing::warn!(
        queue = extension.queue.name.as_str(),
        messages = extension.claims.len(),
        cause = error as &dyn std::error::Error,
        "leases were not extended"
    );
}
