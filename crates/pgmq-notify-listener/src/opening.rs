use std::time::Duration;

use sqlx::PgPool;
use tokio::time::timeout;

use crate::abandon::Opening;
use crate::beside::Beside;
use crate::installation::{Expected, check_installation};
use crate::proof::prove_delivery;
use crate::reader::Shared;
use crate::session::Session;
use crate::{ListenerError, ListenerErrorKind};

/// For a session from its connection to its last `LISTEN`, wherever the server is.
pub(crate) const OPENED_WITHIN: Duration = Duration::from_secs(10);

/// Opens a session that is known to hear, with the options that the application's pool has now: a
/// password may have been changed there.
///
/// With `expected` it also checks what is installed. That is not asked again after a lost session: whoever
/// migrates while listeners run shall not stop them.
///
/// # Cancel safety
///
/// Cancelled, it leaves nothing behind.
pub(crate) async fn open(
    shared: &Shared,
    pool: &PgPool,
    expected: Option<Expected<'_>>,
) -> Result<Session, ListenerError> {
    let opened = timeout(OPENED_WITHIN, async {
        let session = Session::connect(&pool.connect_options()).await?;
        let mut opening = Opening::new(session);
        let session = opening.session();
        session.listen(&shared.private).await?;
        let mut beside =
            Beside::acquire(pool, "connect beside the listener, to prove delivery").await?;
        // First: behind a proxy that pools transactions nothing else could be told for sure.
        prove_delivery(session, &shared.private, beside.connection()).await?;
        if let Some(expected) = expected {
            check_installation(beside.connection(), expected).await?;
        }
        beside.done().await;
        // Only now, so that no event arrives before there is anybody to take it.
        session.follow(&shared.wanted, OPENED_WITHIN).await?;
        Ok(opening.finish())
    });
    let session = opened.await.unwrap_or_else(|_| {
        let operation = format!("connect the listener within {OPENED_WITHIN:?}");
        Err(ListenerError::new(ListenerErrorKind::Timeout, operation))
    })?;
    shared.set_session(&session);
    Ok(session)
}
