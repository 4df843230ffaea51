//! `gk audit verify`.

use std::io::BufRead;
use std::path::PathBuf;

use gk_shared::audit::{AuditEvent, AuditFinding, AuditRecord, Head, Verifier};
use gk_shared::exit::ExitCode;
use gk_shared::problem::ErrorCode;
use serde_json::json;

use super::heads;
use crate::app::App;
use crate::client::AuditQuery;
use crate::error::CliError;
use crate::output::Answer;
use crate::run::Exit;

/// Check that no event was altered, moved, removed or added: exit 0, or 10 with what was found
///
/// Without FILE the live log is read and checked against the head that this command saw last time. With FILE nobody is
/// called. A log without a head known from elsewhere can only be consistent: a cut tail does not show.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An export, - for stdin
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// A head that was kept elsewhere, as --json prints it
    #[arg(long, value_name = "FILE")]
    from_witness: Option<PathBuf>,
    /// Count it as a finding when there is no head to check against
    #[arg(long)]
    require_anchor: bool,
}

/// A check on its way: the links, and whether clocks ran backwards.
struct Check {
    verifier: Verifier,
    finding: Option<AuditFinding>,
    last_at: String,
    clock_went_back: Option<i64>,
}

impl Check {
    fn against(known: Option<Head>) -> Self {
        let verifier = Verifier::from_start(known);
        Self { verifier, finding: None, last_at: String::new(), clock_went_back: None }
    }

    /// Takes the next record; after the first finding there is nothing more to learn.
    fn take(&mut self, record: &AuditRecord) {
        if self.finding.is_some() {
            return;
        }
        if let Err(finding) = self.verifier.take(record) {
            self.finding = Some(finding);
            return;
        }
        if let Ok(event) = serde_json::from_str::<AuditEvent>(&record.event) {
            if event.at < self.last_at && self.clock_went_back.is_none() {
                self.clock_went_back = Some(record.seq);
            }
            self.last_at = event.at;
        }
    }

    fn finish(self) -> (Result<Head, AuditFinding>, Option<i64>) {
        let head = self.finding.map_or_else(|| self.verifier.finish(), Err);
        (head, self.clock_went_back)
    }
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let witness = match &args.from_witness {
        Some(path) => Some(heads::read(&app.env.absolute(path))?.ok_or_else(|| no_file(path))?),
        None => None,
    };
    match &args.file {
        Some(path) => {
            let mut check = Check::against(witness);
            read_file(app, path, &mut check)?;
            report(app, args, check, &Anchor::given(witness.is_some()))
        }
        None => live(app, args, witness).await,
    }
}

async fn live(app: &App, args: &Args, witness: Option<Head>) -> Result<Exit, CliError> {
    let client = app.client()?;
    let place = heads::path(&app.paths()?, client.address());
    let (known, mut anchor) = match witness {
        Some(head) => (Some(head), Anchor::given(true)),
        None => {
            let known = heads::read(&place)?;
            (known, Anchor { known: known.is_some(), kept_in: known.map(|_| place.clone()) })
        }
    };
    // Asked for first, so that the log read after it must reach at least as far.
    let said = client.checkpoint().await?;
    let mut check = Check::against(known);
    super::pages::read_all(&client, AuditQuery::default(), |record| {
        check.take(record);
        Ok(())
    })
    .await?;
    if let (None, Ok(head)) = (&check.finding, check.verifier.clone().finish()) {
        if head.size < said.size {
            check.finding = Some(AuditFinding::Cut { size: head.size, known: said.size });
            anchor.kept_in = None;
        } else {
            heads::remember(&place, head)?;
        }
    }
    report(app, args, check, &anchor)
}

/// What the log was checked against.
struct Anchor {
    known: bool,
    /// The file, where this command remembered the head itself.
    kept_in: Option<PathBuf>,
}

impl Anchor {
    fn given(known: bool) -> Self {
        Self { known, kept_in: None }
    }

    /// The file to name beside a finding that only a head known before can show.
    fn behind(&self, finding: &AuditFinding) -> Option<&PathBuf> {
        match finding {
            AuditFinding::Cut { .. } | AuditFinding::Rewritten { .. } => self.kept_in.as_ref(),
            AuditFinding::OutOfOrder { .. }
            | AuditFinding::BrokenLink { .. }
            | AuditFinding::Altered { .. }
            | AuditFinding::Unreadable { .. }
            | AuditFinding::Forked { .. }
            | AuditFinding::BadSignature { .. }
            | AuditFinding::UnknownKey { .. }
            | AuditFinding::WrongOrigin { .. }
            | AuditFinding::Downgraded { .. }
            | AuditFinding::NoAnchor {} => None,
        }
    }
}

fn no_file(path: &std::path::Path) -> CliError {
    CliError::new(ErrorCode::NotFound, format!("there is no file {}", path.display()))
}

fn read_file(app: &App, path: &std::path::Path, check: &mut Check) -> Result<(), CliError> {
    let failed = |error: std::io::Error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { ErrorCode::NotFound } else { ErrorCode::Usage };
        CliError::new(code, format!("cannot read {}: {error}", path.display()))
            .next("Name an export of `gk audit export`.")
    };
    let lines: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(app.env.absolute(path)).map_err(failed)?;
        Box::new(std::io::BufReader::new(file))
    };
    for (place, line) in (1_i64..).zip(lines.split(b'\n')) {
        let line = line.map_err(failed)?;
        match serde_json::from_slice::<AuditRecord>(&line) {
            Ok(record) => check.take(&record),
            Err(_) if check.finding.is_none() => check.finding = Some(AuditFinding::Unreadable { seq: place }),
            Err(_) => {}
        }
    }
    Ok(())
}

fn report(app: &App, args: &Args, check: Check, anchor: &Anchor) -> Result<Exit, CliError> {
    let (head, clock_went_back) = check.finish();
    let anchored = anchor.known;
    let kept_in = head.as_ref().err().and_then(|finding| anchor.behind(finding));
    let finding = match &head {
        Ok(_) if args.require_anchor && !anchored => {
            Some(("unanchored", None, "no head is known from elsewhere".to_owned()))
        }
        Ok(_) => None,
        Err(finding) => Some((finding.kind(), finding.seq(), finding.to_string())),
    };
    let (size, hash) = head.map_or((None, None), |head| (Some(head.size), Some(head.hash.to_string())));
    let body = json!({
        "ok": finding.is_none(), "anchored": anchored, "size": size, "hash": hash,
        "finding": finding.as_ref().map(|(word, seq, text)| json!({ "kind": word, "seq": seq, "message": text })),
        "clockWentBackAt": clock_went_back, "headKeptIn": kept_in,
    });
    let text = match &finding {
        Some((word, _, text)) => format!("{word}: {text}\n"),
        None => {
            let strength =
                if anchored { "consistent, and continues the head known before" } else { "consistent but unanchored" };
            format!("{} events, {strength}, head {}\n", size.unwrap_or_default(), hash.unwrap_or_default())
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
    Ok(if finding.is_some() { Exit::Code(ExitCode::Finding) } else { Exit::OK })
}
