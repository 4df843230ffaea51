//! The whole agent against a real Postgres and a control plane that follows a script.
//!
//! A test has a cluster of its own, because roles belong to the whole server.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

/// Runs scenarios, functions of a [`gk_testkit::Version`], as one test for each line of Postgres versions.
macro_rules! on_both_lines {
    ($($name:ident),* $(,)?) => {
        mod before_16 { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(gk_testkit::Version::Before16).await; })* }
        mod from_16 { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(gk_testkit::Version::From16).await; })* }
    };
}

mod busy;
mod canary;
mod doctor;
mod expiry;
mod faults;
mod lab;
mod lanes;
mod life;
mod plane;
mod program;
mod standbys;
mod stock;
mod tls;
