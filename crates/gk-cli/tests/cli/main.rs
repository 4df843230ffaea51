//! `gk` as a process: its environment cleared, its control plane a script that speaks the real wire types.

mod args;
mod audit;
mod auth;
mod cleanup;
mod docs;
mod exec;
mod formats;
mod help;
mod network;
mod out;
mod output;
#[cfg(feature = "dev")]
mod real;
mod scripted;
mod sessions;
mod stop;
mod support;
mod terminal;
