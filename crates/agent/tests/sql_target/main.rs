//! The helpers of schema `gk` on real servers, each test on both lines of Postgres versions.
//!
//! A test has a cluster of its own, because roles belong to the whole server. What the agent makes of the helpers'
//! answers is tested elsewhere; here the SQL itself is held to its word, also against those who attack it.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

/// Runs scenarios, functions of a [`gk_testkit::Version`], as one test for each line of versions.
macro_rules! on_both_lines {
    ($($name:ident),* $(,)?) => {
        mod before_16 { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(gk_testkit::Version::Before16).await; })* }
        mod from_16 { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(gk_testkit::Version::From16).await; })* }
    };
}

mod attack;
mod bootstrap;
mod deadman;
mod fence;
mod fight;
mod foreign;
mod guards;
mod lab;
mod life;
mod makers;
mod packs;
mod standby;
mod stock;
mod sweep;
