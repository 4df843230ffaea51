//! Signals that end a wait for a session: Ctrl-C, `kill`, and the terminal that goes away.
//!
//! Always holds: what the caller had ignored stays ignored, so `nohup` and a shell's background jobs keep their meaning.

use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;

/// What ended the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Ctrl-C.
    Interrupt,
    /// `kill`, as supervisors and `timeout` send it.
    Terminate,
    /// The terminal went away.
    HangUp,
}

impl Stop {
    const ALL: [Self; 3] = [Self::Interrupt, Self::Terminate, Self::HangUp];

    fn kind(self) -> SignalKind {
        match self {
            Self::Interrupt => SignalKind::interrupt(),
            Self::Terminate => SignalKind::terminate(),
            Self::HangUp => SignalKind::hangup(),
        }
    }

    /// How shells name such an end: 128 and the signal.
    pub(super) fn exit(self) -> ExitCode {
        match self {
            Self::Interrupt => ExitCode::Interrupted,
            Self::Terminate => ExitCode::Terminated,
            Self::HangUp => ExitCode::HungUp,
        }
    }

    /// What stands in the message.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
            Self::HangUp => "hung up",
        }
    }

    /// What stands in the audit log as the reason of the end.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupted at the terminal",
            Self::Terminate => "gk was terminated before it was ready",
            Self::HangUp => "the terminal of gk went away before it was ready",
        }
    }
}

/// The signals, caught. From the moment this exists none of them kills the process.
pub(super) struct Stops {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Stops {
    /// Starts to catch. Has to come before the request, so that none falls between.
    pub(super) fn listen() -> Result<Self, CliError> {
        let ignored = Ignored::now();
        let catch = |stop: Stop| -> Result<Option<Signal>, CliError> {
            if ignored.has(stop) {
                return Ok(None);
            }
            signal(stop.kind())
                .map(Some)
                .map_err(|error| CliError::new(ErrorCode::Internal, format!("cannot catch signals: {error}")))
        };
        let [interrupt, terminate, hangup] = Stop::ALL.map(catch);
        Ok(Self { interrupt: interrupt?, terminate: terminate?, hangup: hangup? })
    }

    /// Waits for one of them.
    pub(super) async fn next(&mut self) -> Stop {
        tokio::select! {
            () = one(self.interrupt.as_mut()) => Stop::Interrupt,
            () = one(self.terminate.as_mut()) => Stop::Terminate,
            () = one(self.hangup.as_mut()) => Stop::HangUp,
        }
    }
}

async fn one(signal: Option<&mut Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    std::future::pending::<()>().await;
}

/// The signals that the caller had ignored when `gk` began, a bit each; none where the system does not tell.
struct Ignored(u64);

impl Ignored {
    fn now() -> Self {
        Self::read(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn read(status: &str) -> Self {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default())
    }

    fn has(&self, stop: Stop) -> bool {
        self.0 >> (stop.kind().as_raw_value() - 1) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_ignores_is_read_from_the_kernels_mask() {
        let ignored = Ignored::read("Name:\tgk\nSigIgn:\t0000000000001001\n");
        assert_eq!(Stop::ALL.map(|stop| ignored.has(stop)), [false, false, true]);
        assert_eq!(Stop::ALL.map(|stop| Ignored::read("").has(stop)), [false; 3]);
    }
}
