//! Faults that a test lays upon a server and upon a client's way to it.

mod chaos;
mod fault;
mod network;
mod proxy;
mod relay;
mod transit;

pub use self::{
    chaos::{Chaos, Struck},
    fault::Fault,
    network::Direction,
    proxy::{Cut, Proxy},
};
