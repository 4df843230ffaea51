//! Signals that end a wait for a session: Ctrl-C, `kill`, and the terminal that goes away.

use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;
use tokio::signal::unix::SignalKind;

use crate::error::CliError;
use crate::signal::{Ignored, Source};

/// What ended the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
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
    pub(crate) fn exit(self) -> ExitCode {
        match self {
            Self::Interrupt => ExitCode::Interrupted,
            Self::Terminate => ExitCode::Terminated,
            Self::HangUp => ExitCode::HungUp,
        }
    }

    /// What stands in the message.
    pub(crate) fn word(self) -> &'static str {
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
    interrupt: Source,
    terminate: Source,
    hangup: Source,
}

impl Stops {
    /// Starts to catch. Has to come before the request, so that none falls between.
    pub(super) fn listen() -> Result<Self, CliError> {
        let ignored = Ignored::now();
        let catch = |stop: Stop| {
            let caught = ignored.catch(stop.kind());
            caught.map_err(|error| CliError::new(ErrorCode::Internal, format!("cannot catch signals: {error}")))
        };
        let [interrupt, terminate, hangup] = Stop::ALL.map(catch);
        Ok(Self { interrupt: interrupt?, terminate: terminate?, hangup: hangup? })
    }

    /// Waits for one of them.
    pub(super) async fn next(&mut self) -> Stop {
        tokio::select! {
            () = self.interrupt.next() => Stop::Interrupt,
            () = self.terminate.next() => Stop::Terminate,
            () = self.hangup.next() => Stop::HangUp,
        }
    }
}
