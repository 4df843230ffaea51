//! I9: whatever breaks, clients get typed errors, and programs neither panic nor end by themselves.

use super::{Found, Invariant, Rule};
use crate::evidence::{Answer, Asked, Evidence, ProgramSaid};

/// Exit code of a program that could not reach its ledger; its supervisor starts it again.
const NO_LEDGER: i32 = 9;

#[derive(Debug, Default)]
pub(super) struct Errors;

impl Rule for Errors {
    fn invariant(&self) -> Invariant {
        Invariant::I9
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        match evidence {
            Evidence::Answer(answer) => judge(answer, found),
            Evidence::Program(said) => program(said, found),
            Evidence::Sight(_)
            | Evidence::Login(_)
            | Evidence::Books(_)
            | Evidence::Audit(_)
            | Evidence::Search(_)
            | Evidence::Object(_)
            | Evidence::Recovery(_)
            | Evidence::Restored(_) => {}
        }
    }
}

/// The clients ask for nothing wrong: what fails passes, or the session is over.
fn judge(answer: &Answer, found: &mut Found<'_>) {
    let good = (200..300).contains(&answer.status);
    let passes = answer.retryable && (answer.status >= 500 || answer.status == 429);
    let over = match answer.asked {
        Asked::Session { .. } => false,
        Asked::Revoke(_) | Asked::Look(_) => answer.status == 409,
        // It may end later than that already.
        Asked::Extend(_) => (400..500).contains(&answer.status),
    };
    let typed = !answer.code.is_empty();
    found.holds(good || (typed && (passes || over)), &format!("{} {}", answer.status, answer.code), || {
        format!("no answer to {:?}", answer.asked)
    });
}

fn program(said: &ProgramSaid, found: &mut Found<'_>) {
    if let Some(code) = said.ended {
        let fits = matches!(code, Some(0 | NO_LEDGER));
        found.holds(fits, &said.program, || format!("ended by itself with {code:?}"));
    }
    if let Some(line) = &said.line {
        found.violated(&said.program, line.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{answered, heard, id, violated};
    use super::*;

    #[test]
    fn what_fails_has_a_code_and_passes() {
        let revoke = |status, code, retryable| answered(Asked::Revoke(id(1)), status, code, retryable);
        assert!(heard(&[revoke(200, "", false), revoke(503, "ledger_unavailable", true)]).is_empty());
        assert!(heard(&[revoke(409, "session_ended", false)]).is_empty());
        assert_eq!(violated(&heard(&[revoke(500, "internal", false)])), [Invariant::I9]);
        assert_eq!(violated(&heard(&[revoke(502, "", true)])), [Invariant::I9]);
    }

    #[test]
    fn a_panic_and_an_end_by_itself_are_found() {
        let said = |ended, line: Option<&str>| {
            Evidence::Program(ProgramSaid { program: "gk-agent".to_owned(), ended, line: line.map(str::to_owned) })
        };
        assert!(heard(&[said(Some(Some(9)), None)]).is_empty());
        assert_eq!(violated(&heard(&[said(Some(Some(101)), None)])), [Invariant::I9]);
        assert_eq!(violated(&heard(&[said(Some(None), None)])), [Invariant::I9]);
        assert_eq!(violated(&heard(&[said(None, Some("panicked at"))])), [Invariant::I9]);
    }
}
