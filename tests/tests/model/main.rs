//! A model of wake-up delivery, explored exhaustively: every interleaving of two senders, two consumers and the faults
//! between them.
//!
//! `docs/wakeup-delivery.md` tells the protocol in prose; this is the same protocol in a form that a checker can walk
//! through. It connects to nothing. Read it in this order:
//!
//! | module | holds |
//! | --- | --- |
//! | [`sender`] | a transaction that inserts: lock, message, the trigger's two looks, commit step by step, savepoints, prepared |
//! | [`consumer`] | look, park, attend, wake the next, leave, and what may befall a consumer |
//! | [`design`] | the protocol's choices, and its flaws: one sentence left out or changed, each |
//! | [`scope`] | which faults and kinds of senders take part |
//! | [`state`] | everything together, and what each sees of the others |
//! | [`protocol`] | which steps are possible, and what each does: the [`stateright::Model`] |
//! | [`symmetry`] | which states count as one |
//! | [`properties`] | what has to hold, in every reachable state |
//! | [`explore`] | running the checker |
//! | [`trace`] | a counterexample, told in sentences |
//! | [`holds`], [`caught`], [`prices`], [`reachable`] | the tests |
//!
//! Nothing here is fair or fast: a step that is possible may be taken now, later or never. A proof that needs no
//! timer, no luck and no second notification is what is wanted. So the safety poll is possible at any time, and no
//! property relies on it. Time is relied upon where the protocol itself repeats something: a consumer that attends looks
//! again and wakes others again, one that is away wakes others again, and one that awaits a transaction asks again.

#![allow(
    clippy::unwrap_used,
    reason = "what a test calls is part of the test: it fails by panicking, at the line that failed"
)]
#![allow(
    clippy::print_stdout,
    reason = "counterexamples are there to be read; the test harness shows them with --nocapture"
)]

mod caught;
mod consumer;
mod design;
mod explore;
mod holds;
mod prices;
mod properties;
mod protocol;
mod reachable;
mod scope;
mod sender;
mod state;
mod symmetry;
mod trace;
