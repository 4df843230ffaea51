//! What a long wait is waiting for, on stderr: drawn over on a terminal, plain lines elsewhere.
//!
//! Nothing is shown for what is over within a tenth of a second, so that quick commands stay quiet.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::to_stderr;

/// Long enough that a quick answer shows nothing, short enough that nobody wonders.
const PATIENCE: Duration = Duration::from_millis(80);

/// The steps of one wait. Dropping it clears the line.
pub(crate) struct Progress {
    shown: bool,
    terminal: bool,
    steps: Vec<String>,
    first: Option<JoinHandle<()>>,
}

impl Progress {
    pub(super) fn start(shown: bool, terminal: bool, first: &str) -> Self {
        let line = paint(terminal, first);
        let first_line = shown.then(|| {
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                to_stderr(&line);
            })
        });
        Self { shown, terminal, steps: vec![first.to_owned()], first: first_line }
    }

    /// Says that the wait is now for this.
    pub(crate) fn step(&mut self, step: &str) {
        if !self.shown || self.steps.iter().any(|seen| seen == step) {
            return;
        }
        self.hush();
        self.steps.push(step.to_owned());
        to_stderr(&paint(self.terminal, &self.steps.join(" → ")));
    }

    /// Stops the first line from coming, or takes it away.
    fn hush(&mut self) {
        if let Some(task) = self.first.take() {
            task.abort();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.hush();
        if self.shown && self.terminal {
            to_stderr("\r\u{1b}[K");
        }
    }
}

fn paint(terminal: bool, text: &str) -> String {
    if terminal { format!("\r\u{1b}[K{text} …") } else { format!("{text} …\n") }
}
