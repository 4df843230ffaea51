//! What is typed and what is answered, on stdout.

#![expect(clippy::print_stdout, reason = "the transcript is the datum that was asked for")]

use super::stage::Stage;
use crate::step::{Failure, Outcome};
use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Output, Stdio};

/// A shell whose lines are shown.
pub(crate) struct Transcript<'a> {
    stage: &'a Stage,
    /// The session's connection string, once there is one; typed as `$DSN`.
    dsn: RefCell<String>,
}

/// What a command said: on stdout, or, where it was shown, on both.
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) code: Option<i32>,
    stderr: String,
}

impl<'a> Transcript<'a> {
    pub(crate) fn new(stage: &'a Stage) -> Self {
        Self { stage, dsn: RefCell::new(String::new()) }
    }

    /// Says in a line what comes next.
    pub(crate) fn comment(&self, text: &str) {
        println!("\n# {text}");
    }

    /// Types a command and shows what it says.
    pub(crate) fn type_in(&self, line: &str) -> Outcome<Said> {
        println!("$ {line}");
        // Into one pipe, so that it stands here in the order in which it was said.
        let said = self.run(&format!("{line} 2>&1"))?;
        show(&said.stdout);
        Ok(said)
    }

    /// Types `DSN=$(…)` and keeps what it caught.
    pub(crate) fn catch_dsn(&self, command: &str) -> Outcome<Said> {
        println!("$ DSN=$({command})");
        let said = self.run(command)?;
        show(&said.stderr);
        self.dsn.replace(said.stdout.trim_end().to_owned());
        Ok(said)
    }

    /// Opens `psql` and leaves it open.
    pub(crate) fn open_psql(&self) -> Outcome<OpenPsql> {
        println!("$ psql \"$DSN\"");
        let mut command = self.stage.shell("exec psql -X \"$DSN\"");
        command.env("DSN", &*self.dsn.borrow()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::new)?;
        let stdin = child.stdin.take().ok_or_else(|| Failure::new("psql has no stdin"))?;
        let stdout = child.stdout.take().map(BufReader::new).ok_or_else(|| Failure::new("psql has no stdout"))?;
        Ok(OpenPsql { child, stdin, stdout })
    }

    fn run(&self, line: &str) -> Outcome<Said> {
        let output = self.stage.shell(line).env("DSN", &*self.dsn.borrow()).output().map_err(Failure::new)?;
        let Output { status, stdout, stderr } = output;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(Said { stdout: text(stdout), stderr: text(stderr), code: status.code() })
    }
}

/// A psql that stays open. Dropping it ends it.
pub(crate) struct OpenPsql {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl OpenPsql {
    /// Types a query that gives one row, and waits for the answer.
    pub(crate) fn ask(&mut self, sql: &str) -> Outcome<String> {
        self.type_in(sql)?;
        let mut answer = String::new();
        while !answer.contains("(1 row)") {
            if self.stdout.read_line(&mut answer).map_err(Failure::new)? == 0 {
                return Err(Failure::new("psql ended instead of answering"));
            }
        }
        show(&answer);
        Ok(answer)
    }

    /// Types a query into a connection that is gone, and gives what psql says when it notices.
    pub(crate) fn notice(mut self, sql: &str) -> Outcome<String> {
        self.type_in(sql)?;
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut said).map_err(Failure::new)?;
        }
        show(&said);
        Ok(said)
    }

    fn type_in(&mut self, sql: &str) -> Outcome {
        println!("app=> {sql}");
        let typed = writeln!(self.stdin, "{sql}").and_then(|()| self.stdin.flush());
        typed.map_err(|error| Failure::new(format!("typing into psql: {error}")))
    }
}

impl Drop for OpenPsql {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints what a program said, without blank lines at its end and with passwords shortened.
fn show(text: &str) {
    let text = shorten(text.trim_end());
    if !text.is_empty() {
        println!("{text}");
    }
}

/// Leaves four characters of each password in a connection string.
pub(crate) fn shorten(text: &str) -> String {
    let mut parts = text.split("postgresql://");
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        short.push_str("postgresql://");
        match part.split_once('@').and_then(|(login, rest)| Some((login.split_once(':')?, rest))) {
            Some(((user, password), rest)) => {
                let shown: String = password.chars().take(4).collect();
                short.push_str(&format!("{user}:{shown}…@{rest}"));
            }
            None => short.push_str(part),
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown_whole() {
        let dsn =
            "postgresql://gk_01ab:k3VnXXXXXXXXXXXXXXXXXXXXXXXXXXXX@127.0.0.1:5433/app?application_name=gk%3Asess_01";
        assert_eq!(shorten(dsn), "postgresql://gk_01ab:k3Vn…@127.0.0.1:5433/app?application_name=gk%3Asess_01");
        assert_eq!(
            shorten("two postgresql://a:12345@h/d and postgresql://b@h/d"),
            "two postgresql://a:1234…@h/d and postgresql://b@h/d"
        );
        assert_eq!(shorten("none"), "none");
    }
}
