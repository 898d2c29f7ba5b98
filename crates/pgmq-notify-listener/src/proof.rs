use std::time::Duration;

use sqlx::PgConnection;
use tokio::time::timeout;

use crate::private_channel::PrivateChannel;
use crate::session::Session;
use crate::{ListenerError, ListenerErrorKind};

/// From the commit to the arrival, which take about a millisecond; the rest is for a slow network.
const DELIVERED_WITHIN: Duration = Duration::from_secs(3);

const NOT_DELIVERED: &str = "prove delivery: LISTEN succeeded, but a notification to this listener did not \
    arrive; connect to PostgreSQL directly, not through a proxy that shares connections between \
    transactions (PgBouncer: a database entry with pool_mode=session)";

/// Shows that what another connection publishes reaches `session`, which listens to `private` alone.
///
/// A proxy that gives a session another connection for each transaction accepts `LISTEN`, and leaves
/// it behind on a connection that nobody reads. Only a notification that arrives shows that this is
/// not so; and it must come from another connection, because the listening one might be given its own
/// notifications together with the answer to its statement.
///
/// # Cancel safety
///
/// Cancelled, the session is to be given up.
pub(crate) async fn prove_delivery(
    session: &mut Session,
    private: &PrivateChannel,
    beside: &mut PgConnection,
) -> Result<(), ListenerError> {
    // Drawn for each proof: a knock, or the proof of a session before this one, is none.
    let proof = format!("{:032x}", fastrand::u128(..));
    if let Err(error) = private.publish(&proof, beside).await {
        // The proxy has given this connection the one that listens. It gets the notification itself,
        // and sqlx does not expect that.
        let kind = error.kind();
        return Err(match kind {
            ListenerErrorKind::Driver => {
                ListenerError::because(ListenerErrorKind::NotDelivered, NOT_DELIVERED, error)
            }
            _ => error,
        });
    }
    let arrived = timeout(DELIVERED_WITHIN, async {
        while session.receive().await?.payload() != proof {}
        Ok(())
    });
    arrived.await.unwrap_or_else(|_| {
        Err(ListenerError::new(
            ListenerErrorKind::NotDelivered,
            NOT_DELIVERED,
        ))
    })
}
