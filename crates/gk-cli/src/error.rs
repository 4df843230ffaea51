//! What goes wrong, as it is shown: a stable code, what happened, why, and what to do next.
//!
//! Every failure of `gk` ends here. The exit code follows from the [`ErrorCode`]; text that came from elsewhere is made
//! safe for a terminal before it is printed.

use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;
use serde_json::{Value, json};

/// A code as it reached us: a newer control plane may know codes that this `gk` does not.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Code {
    Known(ErrorCode),
    Foreign { word: String, exit: ExitCode, retryable: bool },
}

impl Code {
    fn word(&self) -> &str {
        match self {
            Self::Known(code) => code.as_str(),
            Self::Foreign { word, .. } => word,
        }
    }
}

/// A failure on its way to the terminal.
#[derive(Debug)]
pub struct CliError(Box<Shown>);

#[derive(Debug)]
struct Shown {
    code: Code,
    exit: ExitCode,
    what: String,
    why: Option<String>,
    next: Option<String>,
    request: Option<String>,
    /// The reader of stdout went away: nothing is wrong and nobody is listening.
    reader_left: bool,
}

impl CliError {
    /// A failure with this code; `what` says what happened this time.
    #[must_use]
    pub fn new(code: ErrorCode, what: impl Into<String>) -> Self {
        Self(Box::new(Shown {
            code: Code::Known(code),
            exit: code.exit(),
            what: what.into(),
            why: None,
            next: None,
            request: None,
            reader_left: false,
        }))
    }

    /// A failure with a code that this version does not know, as a control plane with another version may send it.
    #[must_use]
    pub fn foreign(word: String, exit: ExitCode, retryable: bool, what: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorCode::Internal, what);
        error.0.code = Code::Foreign { word, exit, retryable };
        error.0.exit = exit;
        error
    }

    /// A wrong command line.
    #[must_use]
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(ErrorCode::Usage, what)
    }

    /// The reader of our output has left, as `head` does when it has enough.
    #[must_use]
    pub(crate) fn reader_left() -> Self {
        let mut error = Self::new(ErrorCode::OutputFailed, "cannot write output: the reader has closed the pipe");
        error.0.reader_left = true;
        error
    }

    /// The same failure with a reason.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.0.why = Some(why.into());
        self
    }

    /// The same failure with another next step than the code's own.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.0.next = Some(next.into());
        self
    }

    /// The same failure with the id of the request that met it.
    #[must_use]
    pub fn request(mut self, request: Option<String>) -> Self {
        self.0.request = request;
        self
    }

    /// The same failure with another exit code, for `gk exec` (125 when gk itself fails).
    #[must_use]
    pub fn exit_as(mut self, exit: ExitCode) -> Self {
        self.0.exit = exit;
        self
    }

    /// The same failure, told even if the reader of stdout has left: something else is at stake.
    pub(crate) fn told(mut self) -> Self {
        self.0.reader_left = false;
        self
    }

    /// What the process exits with.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        self.0.exit
    }

    /// The code, where this version knows it.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self.0.code {
            Code::Known(code) => Some(code),
            Code::Foreign { .. } => None,
        }
    }

    /// Whether nobody is left to read the output.
    pub(crate) fn is_reader_left(&self) -> bool {
        self.0.reader_left
    }

    /// What happened, in one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.what
    }

    /// Why, unless it only says again what happened.
    fn reason(&self) -> Option<&str> {
        let bare = |text: &str| text.trim_end_matches('.').to_lowercase();
        self.0.why.as_deref().filter(|why| bare(why) != bare(&self.0.what))
    }

    fn next_step(&self) -> &str {
        match (&self.0.next, &self.0.code) {
            (Some(next), _) => next,
            (None, Code::Known(code)) => code.next(),
            (None, Code::Foreign { .. }) => "Update gk: this control plane knows more than this version.",
        }
    }

    fn retryable(&self) -> bool {
        match self.0.code {
            Code::Known(code) => code.retryable(),
            Code::Foreign { retryable, .. } => retryable,
        }
    }

    /// For a person: what, why, next, and where to read more.
    #[must_use]
    pub(crate) fn for_terminal(&self, style: &crate::output::Style) -> String {
        let word = plain(self.0.code.word());
        let mut text = format!("{}: {}\n", style.error(&format!("error[{word}]")), plain(&self.0.what));
        if let Some(why) = self.reason() {
            text += &format!("  why   {}\n", plain(why));
        }
        text += &format!("  next  {}", plain(self.next_step()));
        if let Some(request) = &self.0.request {
            text += &format!("       request {}", plain(request));
        }
        if let Code::Known(code) = self.0.code {
            text += &format!("       docs/errors/{}.md", code.as_str());
        }
        text.push('\n');
        text
    }

    /// For a program: one `gk.error.v1` object.
    #[must_use]
    pub(crate) fn for_program(&self) -> Value {
        let docs = self.code().map(|code| format!("docs/errors/{}.md", code.as_str()));
        json!({
            "schema": "gk.error.v1",
            "code": self.0.code.word(),
            "message": self.0.what,
            "why": self.0.why,
            "next": self.next_step(),
            "retryable": self.retryable(),
            "exitCode": self.0.exit.number(),
            "requestId": self.0.request,
            "docs": docs,
        })
    }
}

impl std::fmt::Display for CliError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.0.code.word(), self.0.what)
    }
}

impl std::error::Error for CliError {}

/// Text from elsewhere, made safe for a terminal: what would move the cursor or turn the writing is written as a code
/// point. A tab or line end becomes a blank.
#[must_use]
pub(crate) fn plain(text: &str) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{FEFF}');
    text.chars().fold(String::with_capacity(text.len()), |mut safe, found| {
        match found {
            '\n' | '\r' | '\t' => safe.push(' '),
            found if steers(found) => safe += &format!("<U+{:04X}>", u32::from(found)),
            found => safe.push(found),
        }
        safe
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_steer_the_terminal() {
        assert_eq!(plain("a\u{1b}[2Jb\u{202e}c\nd"), "a<U+001B>[2Jb<U+202E>c d");
    }

    #[test]
    fn the_exit_code_follows_from_the_code_unless_exec_says_otherwise() {
        let denied = CliError::new(ErrorCode::RoleNotAllowed, "no");
        assert_eq!(denied.exit(), ExitCode::Denied);
        assert_eq!(denied.exit_as(ExitCode::ExecFailed).exit(), ExitCode::ExecFailed);
    }
}
