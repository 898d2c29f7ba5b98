//! PostgreSQL and PGMQ for tests: a server, a database per test, and nothing left of either.
//!
//! A test asks for a [`TestDatabase`] and gets one with PGMQ installed, on a server that this process shares. A test
//! that kills, restarts or configures PostgreSQL asks for a [`Server`] of its own. Neither ever skips: without any
//! PostgreSQL the error says what to install or set.
//!
//! Faults are real: a [`Proxy`] is a network that can break, a [`Server`] can be stopped, killed, promoted and put behind a
//! [`PgBouncer`], sessions are terminated by name, and [`Chaos`] draws from all of these.
//!
//! It provisions; it holds no assertions about pgmq-notify, and nothing outside the workspace uses it.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `PGMQ_NOTIFY_TEST_URL` | an existing server, as superuser; only databases are created on it |
//! | `PGMQ_NOTIFY_TEST_BIN` | the directory of `initdb`, `postgres` and `pg_ctl` to use |
//! | `PGMQ_NOTIFY_TEST_IMAGE` | the container image, default [`DEFAULT_IMAGE`] |
//! | `PGMQ_NOTIFY_TEST_WAY` | `url`, `local` or `container`: no other is tried |
//! | `PGMQ_NOTIFY_TEST_PGMQ` | `1.11`, `1.13` or `extension` |
//! | `PGMQ_NOTIFY_TEST_PGBOUNCER` | the program `pgbouncer` to use |
//!
//! ```no_run
//! # async fn example() {
//! use pgmq_notify_tests::TestDatabase;
//!
//! let database = TestDatabase::new().await;
//! let queues: i64 = sqlx::query_scalar("select count(*) from pgmq.meta").fetch_one(database.pool()).await.unwrap();
//! assert_eq!(queues, 0);
//! # }
//! ```

mod database;
mod error;
mod eventually;
mod faults;
mod heard;
mod migrated;
mod pgmq;
mod script;
mod server;
mod template;
mod tool;

pub use database::TestDatabase;
pub use error::Error;
pub use eventually::{Outcome, eventually};
pub use faults::{Chaos, Cut, Direction, Fault, Proxy, Struck};
pub use heard::Heard;
pub use pgmq::Pgmq;
pub use server::{DEFAULT_IMAGE, PgBouncer, Server, Settings, Stop, Way};
pub use tool::tool;
