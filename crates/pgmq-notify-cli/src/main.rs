//! The command line tool of pgmq-notify.
fn main() {}
