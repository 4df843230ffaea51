//! A private Postgres on this machine: find the server binaries, make a cluster, run it as our child.
//!
//! `gk dev` keeps its ledger and its demo database in one of these, and every test that touches Postgres runs on one.
//! Nothing here connects to a database: what speaks SQL lives with the callers.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use gk_local_postgres::{Cluster, InitOptions, Search, StartOptions};
//!
//! let binaries = gk_local_postgres::find(&Search::system(None, std::env::var_os("PATH")))?;
//! let data_dir = std::path::Path::new("/var/tmp/example/data");
//! let cluster = match Cluster::exists(data_dir) {
//!     true => Cluster::open(binaries, data_dir)?,
//!     false => Cluster::init(binaries, data_dir, &InitOptions::new("postgres", "secret".into())).await?,
//! };
//! let server = cluster.start(&StartOptions::default().with("max_connections", "200")).await?;
//! println!("127.0.0.1:{}", server.port());
//! let cluster = server.stop().await?; // dropping the server ends it too, without waiting for clients
//! # drop(cluster); Ok(()) }
//! ```
//!
//! What always holds:
//! * One process at a time holds a cluster: [`Cluster::open`] takes a lock beside the data directory, the kernel
//!   frees it however that process ends, and a second holder is told the first one's process id.
//! * A postmaster that outlived its `gk` (kill -9) is stopped by the next start; one that is not ours is never touched.
//! * The server listens on 127.0.0.1 alone, opens no Unix socket, and asks every client for a SCRAM password.
//! * As root, Postgres refuses to run: the server then runs as `postgres`, or as `nobody`, who owns the data directory.

mod account;
mod backup;
mod binaries;
mod cluster;
mod copy;
mod discard;
mod error;
mod install;
mod lock;
mod partial;
mod pidfile;
mod reach;
mod server;
mod start;

pub use account::{Account, AccountError};
pub use backup::{Afterwards, Source};
pub use binaries::{Binaries, FindError, OLDEST_MAJOR, PgVersion, Search, find, find_all};
pub use cluster::{Cluster, InitOptions};
pub use discard::discard;
pub use error::ClusterError;
pub use install::install_command;
pub use pidfile::clear_survivor;
pub use reach::reachable_dir;
pub use server::{Server, Stopped};
pub use start::StartOptions;
