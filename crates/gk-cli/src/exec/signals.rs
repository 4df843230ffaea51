//! Signals while a child runs. INT and QUIT come to the child from the terminal, as it is in the same group: gk only
//! must not die of them. TERM, HUP, USR1 and USR2 are sent to gk alone, so it passes them on.

use rustix::process::{Pid, Signal};
use tokio::process::Child;
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

/// All signals that gk catches while a child runs.
pub(super) struct Signals {
    interrupt: Stream,
    quit: Stream,
    term: Stream,
    hangup: Stream,
    user1: Stream,
    user2: Stream,
}

/// What to do about a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caught {
    /// Nothing: the child has it already.
    Swallow,
    /// The child should have it.
    Forward(Signal),
}

impl Signals {
    /// Starts to catch. Has to come before the child, so that none falls between.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            term: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.interrupt.recv() => Caught::Swallow,
            _ = self.quit.recv() => Caught::Swallow,
            _ = self.term.recv() => Caught::Forward(Signal::TERM),
            _ = self.hangup.recv() => Caught::Forward(Signal::HUP),
            _ = self.user1.recv() => Caught::Forward(Signal::USR1),
            _ = self.user2.recv() => Caught::Forward(Signal::USR2),
        }
    }
}

/// Passes a signal on to the child.
pub(super) fn forward(child: &Child, caught: Caught) {
    let Caught::Forward(signal) = caught else { return };
    if let Some(pid) = pid_of(child) {
        // It fails only where the child has just ended, and then `wait` says so.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// The child's process, as long as it was not waited for.
pub(super) fn pid_of(child: &Child) -> Option<Pid> {
    child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw)
}
