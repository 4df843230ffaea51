//! What tests stand on: a Postgres cluster of their own, and patience with a deadline.
//!
//! ```no_run
//! # async fn example() -> Result<(), String> {
//! use gk_testkit::{TestPg, eventually, pg_versions};
//! use std::time::Duration;
//!
//! for version in pg_versions() {
//!     let mut pg = TestPg::start(version).await;                    // or TestPg::with(version).setting("log_statement", "all").start()
//!     let admin = pg.superuser("postgres").await;                    // a tokio_postgres::Client
//!     admin.batch_execute("CREATE ROLE ada LOGIN PASSWORD 'pw'").await.unwrap();
//!     let ada = pg.connect("ada", "pw", "postgres").await.unwrap();
//!     eventually(Duration::from_secs(5), "ada is seen", async || {
//!         let row = admin.query_one("SELECT count(*) FROM pg_stat_activity WHERE usename = 'ada'", &[]).await.unwrap();
//!         match row.get(0) { 1_i64 => Ok(()), seen => Err(format!("{seen} backends")) }
//!     }).await;
//!     pg.kill9();                                              // the whole server, as a power cut would
//!     pg.start_again().await;                                        // on the same port
//! # drop(ada);
//! }                                                                  // dropping it stops and removes the cluster
//! # Ok(()) }
//! ```
//!
//! Roles are cluster-wide in Postgres, so every [`TestPg`] is a whole cluster: a copy of a template that is made once for
//! each version and kept in the build directory. It is up in a few tenths of a second and gone when it is dropped; what a
//! killed test run left behind is stopped and removed by the next.

mod counters;
pub mod docs;
mod eventually;
mod pg;
mod scratch;
mod standby;
mod template;
mod version;

pub use counters::counters;
pub use eventually::eventually;
pub use pg::{Backup, TestPg, TestPgOptions};
pub use version::{Version, pg_versions};
