//! What a network does to connections: a TCP proxy inside the test process, between a client and its server.

use std::{
    io,
    net::{self, SocketAddr},
    thread::{self, JoinHandle},
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use tokio::{
    net::TcpListener,
    runtime::{self, Runtime},
    sync::{oneshot, watch},
};

use super::{
    network::{Direction, Network},
    relay::{self, Relay},
};
use crate::{Error, Server, TestDatabase, server::free_port};

/// How a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Closed in an orderly way, FIN: both ends read the end of the stream, after what had arrived before.
    Closed,
    /// Reset, RST: both ends get an error.
    Reset,
}

/// A proxy in front of a server, and a network that can be broken and healed. Every connection ends when it is dropped.
///
/// It runs on a thread of its own: neither a test that blocks nor a runtime with a paused clock slows it down. A server that is
/// down looks like a connection that is reset right after it was made; for a refused one there is [`Proxy::refuse`].
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    cuts: watch::Sender<Cut>,
    accepts: watch::Receiver<bool>,
    /// Its end is the end of the thread.
    held: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A proxy in front of `server`, without any fault.
    ///
    /// # Panics
    /// If no port can be had, or the server is reached by a Unix socket.
    pub fn before(server: &Server) -> Self {
        let options = server.maintenance();
        assert!(
            options.get_socket().is_none(),
            "a proxy needs a server that is reached by TCP"
        );
        Self::to(options.get_host(), options.get_port())
    }

    /// The same in front of anything that accepts TCP connections.
    ///
    /// # Panics
    /// If no port can be had.
    pub fn to(host: &str, port: u16) -> Self {
        Self::start((host.to_owned(), port)).unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn start(upstream: (String, u16)) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Error::because("start the proxy's runtime"))?;
        let (listener, address) =
            listen(&runtime).map_err(Error::because("bind a port for the proxy"))?;
        let (network, cuts) = (
            watch::Sender::new(Network::default()),
            watch::Sender::new(Cut::Closed),
        );
        let (accepting, accepts) = watch::channel(true);
        let (held, released) = oneshot::channel();
        let relay = Relay {
            address,
            upstream,
            network: network.subscribe(),
            cuts: cuts.clone(),
            accepting,
        };
        let thread = thread::Builder::new()
            .name("proxy".to_owned())
            .spawn(move || relay::run(runtime, relay, listener, released))
            .map_err(Error::because("start the proxy's thread"))?;
        Ok(Self {
            address,
            network,
            cuts,
            accepts,
            held: Some(held),
            thread: Some(thread),
        })
    }

    /// Where it accepts connections.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How to connect to `database` through it, as superuser.
    pub fn options(&self, database: &TestDatabase) -> PgConnectOptions {
        database
            .options()
            .host("127.0.0.1")
            .port(self.address.port())
    }

    /// How many connections it carries, those to a server that has not answered yet included.
    ///
    /// One that a client has just made counts a moment later.
    pub fn connections(&self) -> usize {
        self.cuts.receiver_count()
    }

    /// Cuts the [connections](Self::connections) there are; new ones are accepted.
    pub fn cut(&self, how: Cut) {
        self.cuts.send_replace(how);
    }

    /// Delivers every byte so much later, in each direction, without limiting how many.
    pub fn delay(&self, by: Duration) {
        self.network.send_modify(|network| network.delay = by);
    }

    /// Lets through at most so many bytes a second, at least 1, in each direction of each connection.
    pub fn limit(&self, bytes_per_second: u32) {
        self.network
            .send_modify(|network| network.bytes_per_second = Some(bytes_per_second.max(1)));
    }

    /// A black hole: bytes of this direction do not arrive, and neither end is told. New connections are made, and are as
    /// silent.
    ///
    /// After [`Proxy::heal`] what was sent arrives, as TCP would send it again; also the end of a connection that one side gave
    /// up meanwhile.
    pub fn swallow(&self, direction: Direction) {
        self.network
            .send_modify(|network| network.swallowed = Some(direction));
    }

    /// Refuses new connections, from when this returns. Those there are go on.
    pub async fn refuse(&self) {
        self.network.send_modify(|network| network.refuses = true);
        self.wait_until_it_accepts(false).await;
    }

    /// Ends every fault, for present connections and new ones.
    pub async fn heal(&self) {
        self.network.send_replace(Network::default());
        self.wait_until_it_accepts(true).await;
    }

    async fn wait_until_it_accepts(&self, accepts: bool) {
        let waited = self
            .accepts
            .clone()
            .wait_for(|now| *now == accepts)
            .await
            .map(drop);
        assert!(waited.is_ok(), "the proxy's thread ended");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.held.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// On a port that no outgoing connection takes while the proxy refuses.
fn listen(runtime: &Runtime) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = loop {
        match net::TcpListener::bind(("127.0.0.1", free_port())) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            bound => break bound?,
        }
    };
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let _entered = runtime.enter();
    Ok((TcpListener::from_std(listener)?, address))
}
