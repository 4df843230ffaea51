//! Sinks: where copies of the audit log go. Events and checkpoints are delivered to files, to stdout and to HTTP
//! receivers, at least once and in order.
//!
//! Always holds: a sink that is down keeps nobody waiting and loses nothing, for what it has not got stays in the ledger
//! and is held nowhere else; a batch that is sent again is the same bytes; logs go to stderr and never into a sink.

mod delivery;
mod http;
mod pump;
mod signature;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::http::metrics::Metrics;
use crate::machine::Machine;
use crate::store::Ledger;

pub use self::http::{EndpointError, HttpEndpoint, SinkUrl, SinkUrlError};
pub use self::signature::{Signer, WebhookSecretError};

/// What a sink is called: control planes that call it the same share it, and one of them at a time delivers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SinkName(String);

/// A text that names no sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 63 of a-z, 0-9, - and _, and begins with a letter or a digit")]
pub struct BadSinkName;

impl SinkName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for SinkName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(&self.0)
    }
}

impl FromStr for SinkName {
    type Err = BadSinkName;

    fn from_str(text: &str) -> Result<Self, BadSinkName> {
        let plain = |found: char| matches!(found, 'a'..='z' | '0'..='9');
        let good = (1..=63).contains(&text.len())
            && text.starts_with(plain)
            && text.chars().all(|found| plain(found) || matches!(found, '-' | '_'));
        if good { Ok(Self(text.to_owned())) } else { Err(BadSinkName) }
    }
}

/// What a sink is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Events, as `gk audit export` writes them.
    Events,
    /// Signed checkpoints, as the checkpoint file has them.
    Checkpoints,
    /// Both, a checkpoint behind the last event that it covers.
    Both,
}

impl Content {
    /// Whether events are in it.
    #[must_use]
    pub const fn events(self) -> bool {
        matches!(self, Self::Events | Self::Both)
    }

    /// Whether checkpoints are in it.
    #[must_use]
    pub const fn checkpoints(self) -> bool {
        matches!(self, Self::Checkpoints | Self::Both)
    }
}

/// Where a sink is.
#[derive(Debug, Clone)]
pub enum SinkKind {
    /// A file that lines are appended to.
    File(PathBuf),
    /// The standard output of this process.
    Stdout,
    /// A receiver of signed POSTs.
    Http(HttpEndpoint),
}

/// A sink, as the settings have it.
#[derive(Debug, Clone)]
pub struct SinkConfig {
    /// What it is called.
    pub name: SinkName,
    /// What it is given.
    pub content: Content,
    /// Where it is.
    pub kind: SinkKind,
    /// How fast it is worked.
    pub pace: Pace,
}

/// How fast a sink is worked. Not a setting: a test is in more of a hurry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two batches, unless one is full: what came meanwhile travels together.
    pub period: Duration,
    /// The pause after the first failure; it doubles with each one.
    pub first_pause: Duration,
    /// The longest pause, unless a receiver asks for a longer one.
    pub last_pause: Duration,
    /// The longest that a receiver may take. Shorter than a process keeps a sink from the others.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let of = Duration::from_secs;
        Self { period: of(1), first_pause: of(1), last_pause: of(60), patience: of(8) }
    }
}

/// The deliveries of one process.
#[derive(Debug)]
pub struct Sinks {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// What every delivery needs of its process.
#[derive(Debug, Clone)]
pub struct Means {
    /// The ledger.
    pub ledger: Ledger,
    /// Where failures are counted.
    pub metrics: Metrics,
    /// The clock that signatures tell.
    pub machine: Machine,
}

/// Starts to deliver to all of them, each by itself.
#[must_use]
pub fn start(sinks: &[SinkConfig], means: &Means) -> Sinks {
    let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
    for sink in sinks {
        tasks.spawn(pump::run(pump::Pump::new(sink, means), stop.clone()));
    }
    Sinks { tasks, stop }
}

impl Sinks {
    /// Ends it: each sink is given what there is now, once, and no longer than two seconds.
    pub async fn finish(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a sink did not end as it should");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_no_path() {
        for good in ["siem", "a", "0-x_y", &"a".repeat(63)] {
            assert!(good.parse::<SinkName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "A", "a b", "../x", "ä", &"a".repeat(64)] {
            assert_eq!(bad.parse::<SinkName>(), Err(BadSinkName), "{bad}");
        }
    }
}
