//! Where words go: the datum to stdout, everything else to stderr.
//!
//! Always holds: stdout gets exactly what was asked for, at once and whole, the same on a terminal and in a pipe; a
//! stdout that cannot be written is an error and never a panic; stderr may fail without any harm.

mod answer;
mod progress;
mod style;
mod table;

use std::io::{IsTerminal as _, Write as _};

use gk_shared::problem::ErrorCode;

pub(crate) use answer::{Answer, FieldPath, with_schema};
pub(crate) use progress::Progress;
pub(crate) use style::{ColorChoice, Style};
pub(crate) use table::table;

use crate::env::Env;
use crate::error::CliError;

/// How the user wants to be answered.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    field: Option<FieldPath>,
    quiet: bool,
    debug: bool,
    style: Style,
}

/// The flags that choose an [`Output`].
#[derive(Debug, Default)]
pub(crate) struct OutputFlags {
    /// `--json`
    pub(crate) json: bool,
    /// `--field`
    pub(crate) field: Option<FieldPath>,
    /// `--quiet`
    pub(crate) quiet: bool,
    /// `--debug`
    pub(crate) debug: bool,
    /// `--color`
    pub(crate) color: ColorChoice,
}

impl Output {
    /// What the flags and the environment ask for.
    pub(crate) fn new(flags: OutputFlags, env: &Env) -> Self {
        let style = Style::choose(flags.color, env, std::io::stderr().is_terminal());
        Self { json: flags.json, field: flags.field, quiet: flags.quiet, debug: flags.debug, style }
    }

    /// Whether a program reads the answer: then stderr has nothing but errors.
    pub(crate) fn for_program(&self) -> bool {
        self.json || self.field.is_some()
    }

    /// Whether JSON was asked for.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Refuses a `--field` that no answer with these fields can have.
    pub(crate) fn check_field(&self, known: &[&str]) -> Result<(), CliError> {
        match &self.field {
            Some(path) => path.check(known),
            None => Ok(()),
        }
    }

    /// Prints the one answer of a command.
    pub(crate) fn answer(&self, answer: &Answer) -> Result<(), CliError> {
        self.raw(answer.render(self.json, self.field.as_ref())?.as_bytes())
    }

    /// Writes bytes to stdout, and makes sure that they arrived.
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => CliError::reader_left(),
            _ => CliError::new(ErrorCode::OutputFailed, format!("cannot write output: {error}")),
        })
    }

    /// A line for the person at the terminal, left out where a program reads.
    pub(crate) fn note(&self, text: &str) {
        if !self.for_program() && !self.quiet {
            to_stderr(&format!("{text}\n"));
        }
    }

    /// A line that says that something was done.
    pub(crate) fn done(&self, text: &str) {
        self.note(&format!("{} {text}", self.style.good("✓")));
    }

    /// A line that should be read even by those who asked for quiet.
    pub(crate) fn warn(&self, text: &str) {
        if self.json {
            let line = serde_json::json!({ "schema": "gk.warning.v1", "message": text });
            to_stderr(&format!("{line}\n"));
        } else {
            to_stderr(&format!("{}: {}\n", self.style.warning("warning"), crate::error::plain(text)));
        }
    }

    /// A line of `--debug`.
    pub(crate) fn debug(&self, text: &str) {
        if self.debug {
            to_stderr(&format!("debug: {}\n", crate::error::plain(text)));
        }
    }

    /// Whether `--debug` was given.
    pub(crate) fn debugs(&self) -> bool {
        self.debug
    }

    /// An error, for a person or as one JSON object.
    pub(crate) fn error(&self, error: &CliError) {
        if self.json {
            to_stderr(&format!("{}\n", error.for_program()));
        } else {
            to_stderr(&error.for_terminal(&self.style));
        }
    }

    /// Shows what a long wait is waiting for.
    pub(crate) fn progress(&self, first: &str) -> Progress {
        let shown = !self.for_program() && !self.quiet;
        Progress::start(shown, self.style.is_terminal(), first)
    }
}

/// Writes to stderr. Where that fails there is nobody left to tell.
pub(crate) fn to_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
