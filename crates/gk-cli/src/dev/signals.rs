//! What ends `gk dev`: Ctrl-C, `kill`, or the terminal that goes away.

use super::error::DevError;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What comes so soon after the first signal is the same wish again.
const ECHO: Duration = Duration::from_secs(1);

/// The signals that ask for an orderly stop. From the moment it exists, none of them kills the process.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(crate) fn catch() -> Result<Self, DevError> {
        let catch = |kind| signal(kind).map_err(DevError::io("catching", "signals"));
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }

    /// Waits for one that is meant as a second one: wrappers such as `cargo run` or `timeout` pass the first one on to
    /// us right after the terminal has sent it to us itself.
    pub(crate) async fn insist(&mut self) {
        let begun = Instant::now();
        loop {
            self.next().await;
            if begun.elapsed() > ECHO {
                return;
            }
        }
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
