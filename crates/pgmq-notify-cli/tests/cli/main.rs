//! The program as its users meet it: what it prints, what it writes, how it ends.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests may panic as tests do"
)]

mod files;
mod streams;
mod text;
