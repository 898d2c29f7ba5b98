//! Bytes on their way through a proxy, in one direction of one connection.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{ReadHalf, WriteHalf},
    sync::{mpsc, watch},
    time::Instant,
};

use super::network::{Direction, Network, passable};

/// What is read at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// What may be on the way; then the sender has to wait. A delay must not limit the throughput, so it is far more than a second
/// of anything a test sends: when many small chunks fill it, the next ones grow.
const CHUNKS_ON_THE_WAY: usize = 4096;

/// A limited line sends this many pieces a second.
const PIECES_PER_SECOND: u32 = 50;

/// One end has reset the connection, and the other is to hear of it.
#[derive(Debug)]
pub(super) struct Reset;

/// What one end has sent.
enum Sent {
    Bytes(Vec<u8>),
    End,
    Reset,
}

/// Carries everything up to the end of the stream, that included.
pub(super) async fn carry(
    mut from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    direction: Direction,
    network: watch::Receiver<Network>,
) -> Result<(), Reset> {
    let (departing, arriving) = mpsc::channel(CHUNKS_ON_THE_WAY);
    let delays = network.clone();
    let depart = async move {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let sent = match from.read(&mut buffer).await {
                Ok(0) => Sent::End,
                Ok(length) => Sent::Bytes(buffer[..length].to_vec()),
                Err(_) => Sent::Reset,
            };
            let last = !matches!(sent, Sent::Bytes(_));
            let arrives = Instant::now() + delays.borrow().delay;
            if departing.send((arrives, sent)).await.is_err() || last {
                return Ok(());
            }
        }
    };
    tokio::try_join!(depart, arrive(arriving, to, direction, network)).map(drop)
}

/// The end, and a reset, are delayed and swallowed as bytes are.
async fn arrive(
    mut arriving: mpsc::Receiver<(Instant, Sent)>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    mut network: watch::Receiver<Network>,
) -> Result<(), Reset> {
    let mut line_is_free = Instant::now();
    while let Some((arrives, sent)) = arriving.recv().await {
        tokio::time::sleep_until(arrives).await;
        passable(&mut network, direction).await;
        match sent {
            Sent::Bytes(chunk) => {
                write(&chunk, &mut to, direction, &mut network, &mut line_is_free).await?;
            }
            Sent::End => {
                // The other end may be gone by now.
                let _ = to.shutdown().await;
            }
            Sent::Reset => return Err(Reset),
        }
    }
    Ok(())
}

/// Writes a chunk, in pieces if the line is limited: a fault may begin or end between them.
async fn write(
    mut chunk: &[u8],
    to: &mut WriteHalf<'_>,
    direction: Direction,
    network: &mut watch::Receiver<Network>,
    line_is_free: &mut Instant,
) -> Result<(), Reset> {
    while !chunk.is_empty() {
        passable(network, direction).await;
        let limit = network.borrow().bytes_per_second;
        let Some(limit) = limit else {
            return to.write_all(chunk).await.map_err(|_| Reset);
        };
        let length = usize::try_from((limit / PIECES_PER_SECOND).max(1)).unwrap_or(usize::MAX);
        let (piece, rest) = chunk.split_at(length.min(chunk.len()));
        // What the line did not send while it was idle is not made up for.
        *line_is_free =
            (*line_is_free).max(Instant::now()) + Duration::from_secs(piece.len() as u64) / limit;
        let healed = network.wait_for(|network| network.bytes_per_second != Some(limit));
        if tokio::time::timeout_at(*line_is_free, healed).await.is_ok() {
            *line_is_free = Instant::now();
            continue;
        }
        to.write_all(piece).await.map_err(|_| Reset)?;
        chunk = rest;
    }
    Ok(())
}
