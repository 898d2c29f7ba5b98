//! The proxy's thread: accepts connections, and carries or cuts each.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::{oneshot, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    Cut,
    network::{Direction, Network, passable},
    transit,
};

/// A closed connection is read to its end for so long: closing it with unread bytes would be a reset.
const LINGERS_FOR: Duration = Duration::from_secs(10);

/// Between two tries to accept, when the process has no descriptor left.
const ACCEPTS_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// What the proxy's thread works with.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
    pub(super) upstream: (String, u16),
    pub(super) network: watch::Receiver<Network>,
    pub(super) cuts: watch::Sender<Cut>,
    pub(super) accepting: watch::Sender<bool>,
}

pub(super) fn run(
    runtime: Runtime,
    relay: Relay,
    listener: TcpListener,
    released: oneshot::Receiver<()>,
) {
    runtime.block_on(async {
        tokio::select! {
            () = relay.accept(listener) => {}
            _ = released => {}
        }
    });
    // Not its drop: that would wait for a name being looked up.
    runtime.shutdown_background();
}

impl Relay {
    async fn accept(mut self, mut listener: TcpListener) {
        // They end with this task.
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((client, _)) => drop(connections.spawn(self.connection(client))),
                    Err(_) => tokio::time::sleep(ACCEPTS_AGAIN_AFTER).await,
                },
                _ = connections.join_next(), if !connections.is_empty() => {}
                Ok(()) = refuses(&mut self.network, true) => {
                    // Only a closed port refuses.
                    drop(listener);
                    self.until_refused().await;
                    self.accepting.send_replace(false);
                    listener = match refuses(&mut self.network, false).await {
                        Ok(()) => self.bind_again().await,
                        Err(_) => return,
                    };
                    self.accepting.send_replace(true);
                }
            }
        }
    }

    /// A process that this one is just forking has a copy of the listener, until it becomes another program.
    async fn until_refused(&self) {
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::time::sleep(ACCEPTS_AGAIN_AFTER).await;
        }
    }

    /// Ports of outgoing connections are taken from others, so only another server could be in the way, for a moment.
    async fn bind_again(&self) -> TcpListener {
        loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => return listener,
                Err(_) => tokio::time::sleep(ACCEPTS_AGAIN_AFTER).await,
            }
        }
    }

    /// One connection, to its end.
    fn connection(&self, mut client: TcpStream) -> impl Future<Output = ()> + use<> {
        let (upstream, network) = (self.upstream.clone(), self.network.clone());
        // Now, not when the task is first polled: a cut must find it.
        let mut cuts = self.cuts.subscribe();
        async move {
            let mut reaching = pin!(reach(&upstream, network.clone()));
            let reached = tokio::select! {
                reached = &mut reaching => reached,
                how = next(&mut cuts) => {
                    drop(cuts);
                    // The server may have accepted already, and then is to hear of it too.
                    let server = async {
                        if let Ok(Ok(server)) = timeout(LINGERS_FOR, reaching).await {
                            end(how, server).await;
                        }
                    };
                    tokio::join!(end(how, client), server);
                    return;
                }
            };
            let Ok(mut server) = reached else {
                return end(Cut::Reset, client).await;
            };
            let how = tokio::select! {
                carried = carry(&mut client, &mut server, &network) => match carried {
                    Ok(()) => return,
                    Err(transit::Reset) => Cut::Reset,
                },
                how = next(&mut cuts) => how,
            };
            drop(cuts);
            tokio::join!(end(how, client), end(how, server));
        }
    }
}

async fn refuses(
    network: &mut watch::Receiver<Network>,
    refuses: bool,
) -> Result<(), watch::error::RecvError> {
    network
        .wait_for(|network| network.refuses == refuses)
        .await
        .map(drop)
}

/// A black hole takes the first packet of a connection too.
async fn reach(
    (host, port): &(String, u16),
    mut network: watch::Receiver<Network>,
) -> io::Result<TcpStream> {
    passable(&mut network, Direction::ToServer).await;
    TcpStream::connect((host.as_str(), *port)).await
}

/// The next cut.
async fn next(cuts: &mut watch::Receiver<Cut>) -> Cut {
    match cuts.changed().await {
        Ok(()) => *cuts.borrow_and_update(),
        Err(_) => Cut::Reset,
    }
}

/// Carries both directions, each to its own end.
async fn carry(
    client: &mut TcpStream,
    server: &mut TcpStream,
    network: &watch::Receiver<Network>,
) -> Result<(), transit::Reset> {
    // What was read at once is to arrive at once.
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    tokio::try_join!(
        transit::carry(from_client, to_server, Direction::ToServer, network.clone()),
        transit::carry(from_server, to_client, Direction::ToClient, network.clone()),
    )
    .map(drop)
}

async fn end(how: Cut, mut stream: TcpStream) {
    match how {
        Cut::Reset => drop(stream.set_zero_linger()),
        Cut::Closed => {
            let _ = stream.shutdown().await;
            let _ = timeout(
                LINGERS_FOR,
                tokio::io::copy(&mut stream, &mut tokio::io::sink()),
            )
            .await;
        }
    }
}
