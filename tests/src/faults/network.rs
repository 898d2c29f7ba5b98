//! The state of the network that a proxy plays.

use std::time::Duration;

use tokio::sync::watch;

/// Which bytes a [black hole](crate::Proxy::swallow) takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
    /// All.
    Both,
}

/// What happens to bytes at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Network {
    pub(super) delay: Duration,
    pub(super) bytes_per_second: Option<u32>,
    pub(super) swallowed: Option<Direction>,
    pub(super) refuses: bool,
}

impl Network {
    fn swallows(&self, direction: Direction) -> bool {
        self.swallowed
            .is_some_and(|swallowed| swallowed == Direction::Both || swallowed == direction)
    }
}

/// Waits until bytes of this direction get through.
pub(super) async fn passable(network: &mut watch::Receiver<Network>, direction: Direction) {
    let passes = network
        .wait_for(|network| !network.swallows(direction))
        .await
        .map(drop);
    if passes.is_err() {
        // The proxy is going, and takes this connection with it.
        std::future::pending::<()>().await;
    }
}
