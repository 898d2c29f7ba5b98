//! Faults drawn at random, the same for the same seed.

use std::{
    io::{self, Write as _},
    time::{Duration, Instant},
};

use fastrand::Rng;

use super::{Cut, Fault, Proxy};
use crate::{Error, Server, Stop};

const DELAY: Duration = Duration::from_millis(500);

/// Strikes at a server, at the proxy before it and at the sessions of one `application_name`.
///
/// Its seed is printed as it begins, past the capture of the test's output. The seed decides which faults come, in which order
/// and how long each lasts; when they come is the caller's affair.
#[derive(Debug)]
pub struct Chaos<'a> {
    rng: Rng,
    server: Server,
    proxy: &'a Proxy,
    application_name: String,
}

/// What one strike was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Struck {
    /// The fault.
    pub fault: Fault,
    /// How many connections it met: of the `application_name` for a terminated backend, of the proxy for all others. A client that
    /// has not recovered from the fault before may have none.
    pub connections: usize,
    /// When it began.
    pub began: Instant,
    /// When it was healed, or the server accepted connections again: from here on a client can recover.
    pub healed: Instant,
}

impl<'a> Chaos<'a> {
    /// Draws by `seed`. `server` is an own one; what a fault of the network is to meet connects through `proxy`.
    pub fn with_seed(
        seed: u64,
        server: &Server,
        proxy: &'a Proxy,
        application_name: impl Into<String>,
    ) -> Self {
        let _ = writeln!(io::stderr(), "chaos with the seed {seed}");
        Self {
            rng: Rng::with_seed(seed),
            server: server.clone(),
            proxy,
            application_name: application_name.into(),
        }
    }

    /// Draws a fault, lets it happen, and heals it after a drawn time.
    ///
    /// # Cancel safety
    /// None: cancelled, it may leave the fault unhealed or the server down. Let one strike end before its `Chaos` does.
    ///
    /// # Panics
    /// If the server does not do as told, such as not coming back.
    pub async fn strike(&mut self) -> Struck {
        let fault = Fault::draw(&mut self.rng);
        let lasts = fault.draw_time(&mut self.rng);
        self.strike_with(fault, lasts).await
    }

    /// This fault and no other; `lasts` counts for black hole, delay and immediate restart.
    ///
    /// # Cancel safety
    /// As [`Chaos::strike`].
    ///
    /// # Panics
    /// As [`Chaos::strike`].
    pub async fn strike_with(&mut self, fault: Fault, lasts: Duration) -> Struck {
        let began = Instant::now();
        let connections = self
            .happen(fault, lasts)
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error:?}"));
        Struck {
            fault,
            connections,
            began,
            healed: Instant::now(),
        }
    }

    async fn happen(&self, fault: Fault, lasts: Duration) -> Result<usize, Error> {
        let connections = self.proxy.connections();
        match fault {
            Fault::TerminatedBackend => return self.server.terminate(&self.application_name).await,
            Fault::Reset => self.proxy.cut(Cut::Reset),
            Fault::Closed => self.proxy.cut(Cut::Closed),
            Fault::BlackHole(direction) => {
                self.proxy.swallow(direction);
                tokio::time::sleep(lasts).await;
                self.proxy.heal().await;
            }
            Fault::Delay => {
                self.proxy.delay(DELAY);
                tokio::time::sleep(lasts).await;
                self.proxy.heal().await;
            }
            Fault::FastRestart => self.server.restart().await?,
            Fault::ImmediateRestart => {
                self.server.stop(Stop::Immediate).await?;
                tokio::time::sleep(lasts).await;
                self.server.start_again().await?;
            }
        }
        Ok(connections)
    }
}
