//! Faults that a test lays upon a client's way to its server.

mod network;
mod proxy;
mod relay;
mod transit;

pub use self::{
    network::Direction,
    proxy::{Cut, Proxy},
};
