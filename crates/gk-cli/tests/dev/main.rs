//! `gk dev` as a process: what its users see, what it leaves on disk, and what a crash of it leaves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod again;
mod refuses;
mod start;
mod support;
