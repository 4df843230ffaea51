//! The whole system as its users meet it: real processes, real Postgres clusters, nothing in between.
//!
//! A [`Stack`] is a ledger, a control plane, a target and an agent, each a process (or a cluster of processes) of its own,
//! in a [`Room`] of its own: a private directory with the settings, secrets and logs, and an environment that holds
//! nothing of the machine's. Whatever a test does, also when it panics, nothing of it is left running.
//!
//! ```no_run
//! # async fn example() {
//! use gk_e2e::{Stack, Version};
//!
//! let stack = Stack::start(Version::From16).await;
//! let dsn = stack.gk(&["session", "create", "--target", "pg-local", "--role", "app_read", "--ttl", "15m", "--reason", "x"]).await.line();
//! stack.run("psql", &[&dsn, "-c", "select now();"]).await.ok();
//! # }
//! ```
//!
//! Two switches for whoever looks for a fault: `GK_E2E_KEEP=1` leaves each room, with all its logs, in the temporary
//! directory; `GK_CHAOS_SEED=N` runs the chaos test with the seed that an earlier run printed.

mod api;
mod books;
mod catalog;
mod daemon;
mod plane;
mod proxy;
mod ran;
mod room;
mod search;
mod stack;
mod user;

pub use api::{Answer, Api, url_of};
pub use books::{Books, SessionRow};
pub use catalog::{Catalog, RoleSeen};
pub use daemon::Daemon;
pub use gk_testkit::{TestPg, TestPgOptions, Version, eventually, pg_versions};
pub use plane::{Plane, PlaneOptions, free_port};
pub use proxy::Proxy;
pub use ran::Ran;
pub use room::{Person, Room, program};
pub use search::{Needle, Place, in_dir, in_processes, in_text};
pub use stack::{AgentOptions, DATABASE, Stack, StackOptions, TARGET, bootstrap};
pub use user::{User, is_refused};

use std::time::Duration;

/// Long enough for a busy machine of two cores, short enough to find out.
pub const SOON: Duration = Duration::from_secs(20);

/// Runs scenarios, functions of a [`Version`], as one test for each line of Postgres versions.
#[macro_export]
macro_rules! on_both_lines {
    ($($name:ident),* $(,)?) => {
        mod before_16 { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::Version::Before16).await; })* }
        mod from_16 { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name($crate::Version::From16).await; })* }
    };
}
