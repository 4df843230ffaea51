//! What a finished program left: its exit code, what it said on either stream, how long it took.

use std::time::Duration;

/// A finished program.
#[derive(Debug, Clone)]
#[must_use = "a test that does not look at the exit code proves nothing"]
pub struct Ran {
    /// The command line, as messages show it.
    pub command: String,
    /// Its exit code; 128 + n if signal n ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Ran {
    /// The same, after a look that it went well.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "the look is what it is for")]
    pub fn ok(self) -> Said {
        self.exits(0)
    }

    /// The same, after a look that it ended with this code.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "the look is what it is for")]
    pub fn exits(self, code: i32) -> Said {
        assert_eq!(
            self.code, code,
            "exit code of {}\n--- stdout\n{}\n--- stderr\n{}",
            self.command, self.stdout, self.stderr
        );
        Said { stdout: self.stdout, stderr: self.stderr }
    }

    /// The one line of its standard output, after a look that it went well.
    #[track_caller]
    #[must_use]
    pub fn line(self) -> String {
        self.ok().line()
    }
}

/// What a program said, its exit code having been looked at.
#[derive(Debug, Clone)]
pub struct Said {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// The one line of standard output.
    #[track_caller]
    #[must_use]
    pub fn line(&self) -> String {
        let line = self.stdout.strip_suffix('\n').unwrap_or(&self.stdout);
        assert!(!line.is_empty() && !line.contains('\n'), "expected one line on stdout, got {:?}", self.stdout);
        line.to_owned()
    }

    /// Standard output as JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {:?}", self.stdout))
    }

    /// The same, after a look that standard output says this.
    #[track_caller]
    pub fn stdout_has(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "expected {text:?} on stdout, got:\n{}", self.stdout);
        self
    }

    /// The same, after a look that standard error says this.
    #[track_caller]
    pub fn stderr_has(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} on stderr, got:\n{}", self.stderr);
        self
    }
}
