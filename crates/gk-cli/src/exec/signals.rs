//! Signals around a child. INT and QUIT come to the child from the terminal, as it is in the same group: gk only must not
//! die of them. TERM, HUP, USR1 and USR2 are sent to gk alone, so it passes them on. Before there is a child, INT, TERM
//! and HUP mean that none is wanted any more.

use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::Child;
use tokio::signal::unix::SignalKind;

use crate::request::Stop;
use crate::signal::{Ignored, Source};

/// The signals that would otherwise be lost between a session that is ready and its child.
pub(crate) struct Signals {
    ignored: Ignored,
    interrupt: Source,
    term: Source,
    hangup: Source,
}

/// All signals that gk catches while a child runs.
pub(super) struct ChildSignals {
    early: Signals,
    quit: Source,
    user1: Source,
    user2: Source,
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
    /// Starts to catch and to keep. Has to come before the request for the session.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let ignored = Ignored::now();
        let interrupt = ignored.catch(SignalKind::interrupt())?;
        let term = ignored.catch(SignalKind::terminate())?;
        let hangup = ignored.catch(SignalKind::hangup())?;
        Ok(Self { ignored, interrupt, term, hangup })
    }

    /// Whether one has come by now. A timer that runs out means that the runtime has looked for signals, too.
    pub(super) async fn so_far(&mut self) -> Option<Stop> {
        let first = async {
            tokio::select! {
                biased;
                () = self.interrupt.next() => Stop::Interrupt,
                () = self.term.next() => Stop::Terminate,
                () = self.hangup.next() => Stop::HangUp,
            }
        };
        tokio::time::timeout(Duration::from_millis(1), first).await.ok()
    }

    /// Catches the others as well. Has to come before the child, so that none falls between.
    pub(super) fn for_child(self) -> std::io::Result<ChildSignals> {
        let quit = self.ignored.catch(SignalKind::quit())?;
        let user1 = self.ignored.catch(SignalKind::user_defined1())?;
        let user2 = self.ignored.catch(SignalKind::user_defined2())?;
        Ok(ChildSignals { early: self, quit, user1, user2 })
    }
}

impl ChildSignals {
    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Caught {
        tokio::select! {
            () = self.early.interrupt.next() => Caught::Swallow,
            () = self.quit.next() => Caught::Swallow,
            () = self.early.term.next() => Caught::Forward(Signal::TERM),
            () = self.early.hangup.next() => Caught::Forward(Signal::HUP),
            () = self.user1.next() => Caught::Forward(Signal::USR1),
            () = self.user2.next() => Caught::Forward(Signal::USR2),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_while_nobody_waits_for_it_is_kept_for_who_starts_the_command() {
        for (kind, wanted) in
            [(Signal::INT, Stop::Interrupt), (Signal::TERM, Stop::Terminate), (Signal::HUP, Stop::HangUp)]
        {
            let mut signals = Signals::listen().expect("signals can be caught");
            assert_eq!(signals.so_far().await, None);
            rustix::process::kill_process(rustix::process::getpid(), kind).expect("this process is alive");
            assert_eq!(signals.so_far().await, Some(wanted));
        }
    }
}
