//! What a check says, to people and to programs.

use std::path::PathBuf;

use gk_shared::audit::AuditFinding;
use gk_shared::exit::ExitCode;
use serde_json::json;

use super::check::Checked;
use crate::app::App;
use crate::commands::audit::witness::Seen;
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;

/// What the log was checked against.
#[derive(Default)]
pub(super) struct Against {
    /// Something from elsewhere.
    pub(super) anchored: bool,
    /// It has to be so.
    pub(super) required: bool,
    /// The file, where this command remembered it itself.
    pub(super) kept_in: Option<PathBuf>,
}

impl Against {
    /// The file to name beside a finding that only what was known before can show.
    fn behind(&self, finding: &AuditFinding) -> Option<&PathBuf> {
        match finding {
            AuditFinding::Cut { .. }
            | AuditFinding::Rewritten { .. }
            | AuditFinding::Forked { .. }
            | AuditFinding::BadSignature { .. }
            | AuditFinding::UnknownKey { .. }
            | AuditFinding::WrongOrigin { .. }
            | AuditFinding::Downgraded { .. } => self.kept_in.as_ref(),
            AuditFinding::OutOfOrder { .. }
            | AuditFinding::BrokenLink { .. }
            | AuditFinding::Altered { .. }
            | AuditFinding::Unreadable { .. }
            | AuditFinding::NoAnchor {} => None,
        }
    }
}

/// Says what came of it.
pub(super) fn report(app: &App, checked: Checked, against: &Against) -> Result<Exit, CliError> {
    let Checked { head, signed, clock_went_back } = checked;
    let head = head.and_then(|head| match against.required && !against.anchored {
        true => Err(AuditFinding::NoAnchor {}),
        false => Ok(head),
    });
    let kept_in = head.as_ref().err().and_then(|finding| against.behind(finding));
    let finding = head
        .as_ref()
        .err()
        .map(|finding| json!({ "kind": finding.kind(), "seq": finding.seq(), "message": finding.to_string() }));
    let seen = head.as_ref().ok().map(|head| Seen::new(*head, signed.as_ref()));
    let mut body = json!({
        "ok": finding.is_none(), "anchored": against.anchored, "signed": signed.is_some(), "size": null, "hash": null,
        "finding": finding, "clockWentBackAt": clock_went_back, "headKeptIn": kept_in,
    });
    if let (Some(body), Ok(serde_json::Value::Object(seen))) = (body.as_object_mut(), serde_json::to_value(seen)) {
        body.extend(seen);
    }
    let text = match &head {
        Err(finding) => format!("{}: {finding}\n", finding.kind()),
        Ok(head) => {
            let strength = match (against.anchored, signed.is_some()) {
                (true, true) => "consistent, signed, and continues the head known before",
                (true, false) => "consistent, and continues the head known before",
                (false, true) => "consistent and signed by its own key, but unanchored",
                (false, false) => "consistent but unanchored",
            };
            format!("{} events, {strength}, head {}\n", head.size, head.hash)
        }
    };
    app.out.answer(&Answer::new("gk.audit_verify.v1", &body, text))?;
    if let Some(file) = kept_in {
        let file = file.display();
        app.out.note(&format!(
            "the head known before is kept in {file}; if the log was reset on purpose, remove that file"
        ));
    }
    if let Some(seq) = clock_went_back {
        app.out.note(&format!("note: the clock went back at seq {seq}; order is by seq, so nothing is wrong"));
    }
    Ok(if head.is_err() { Exit::Code(ExitCode::Finding) } else { Exit::OK })
}
