//! Named steps, one after another, each with its time.

use std::fmt;
use std::time::{Duration, Instant};

/// Why a step failed, in words for the person who has to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(String);

/// What a step comes to.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub(crate) fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Runs steps and adds up what they took.
#[derive(Debug)]
pub(crate) struct Steps {
    command: &'static str,
    passed: usize,
    started: Instant,
}

impl Steps {
    /// The steps of `cargo xtask COMMAND`.
    pub(crate) fn of(command: &'static str) -> Self {
        Self { command, passed: 0, started: Instant::now() }
    }

    /// Runs one step and says how it went.
    pub(crate) fn run(&mut self, name: &str, work: impl FnOnce() -> Outcome) -> Outcome {
        eprintln!("── {name}");
        let started = Instant::now();
        let outcome = work();
        let took = seconds(started.elapsed());
        match outcome {
            Ok(()) => {
                self.passed += 1;
                eprintln!("✓  {name}  {took}");
                Ok(())
            }
            Err(failure) => {
                let total = seconds(self.started.elapsed());
                eprintln!("✗  {name}  {took}");
                Err(Failure(format!(
                    "{failure}\ncargo xtask {}: FAILED at {name} after {} passed, {total}",
                    self.command, self.passed
                )))
            }
        }
    }

    /// The last line of a command whose steps all passed.
    pub(crate) fn finish(self) {
        eprintln!(
            "cargo xtask {}: all {} steps passed, {}",
            self.command,
            self.passed,
            seconds(self.started.elapsed())
        );
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_says_which_it_was_and_why() {
        let mut steps = Steps::of("test");
        steps.run("first", || Ok(())).unwrap();
        let failure = steps.run("second", || Err(Failure::new("the reason"))).unwrap_err().to_string();
        assert!(failure.starts_with("the reason\n"), "{failure}");
        assert!(failure.contains("cargo xtask test: FAILED at second after 1 passed"), "{failure}");
    }
}
