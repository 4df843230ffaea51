//! `gk audit verify`.

mod check;
mod report;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use gk_shared::audit::note::VerifierKey;
use gk_shared::audit::{AuditFinding, AuditRecord, SealedHead};
use gk_shared::problem::ErrorCode;

use self::check::{Check, Checked, Known};
use self::report::{Against, report};
use super::witness::{self, Seen};
use crate::app::App;
use crate::client::AuditQuery;
use crate::error::CliError;
use crate::run::Exit;

/// Check that no event was altered, moved, removed or added: exit 0, or 10 with what was found
///
/// Without FILE the live log is read and checked against what this command saw of it last time. With FILE nobody is
/// called. A log without anything known from elsewhere can only be consistent: neither a cut tail nor a new past shows.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// An export, - for stdin
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// What was kept elsewhere: an agent's checkpoint, the control plane's checkpoint file, or a head as --json prints it
    #[arg(long, value_name = "FILE")]
    from_witness: Vec<PathBuf>,
    /// Believe this key, and those that it introduced
    #[arg(long, value_name = "VERIFIERKEY")]
    key: Option<VerifierKey>,
    /// Count it as a finding when nothing is known from elsewhere
    #[arg(long)]
    require_anchor: bool,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let mut seen = Vec::new();
    for path in &args.from_witness {
        let read = witness::read(&app.env.absolute(path))?;
        if read.is_empty() {
            return Err(CliError::new(ErrorCode::NotFound, format!("there is no file {}", path.display())));
        }
        seen.extend(read);
    }
    match &args.file {
        Some(path) => offline(app, args, path, &seen),
        None => live(app, args, seen).await,
    }
}

fn offline(app: &App, args: &Args, path: &Path, seen: &[Seen]) -> Result<Exit, CliError> {
    let known = match Known::of(args.key.clone(), seen) {
        Ok(known) => known,
        Err(finding) => return report(app, unbelieved(finding), &Against::default()),
    };
    let against = Against { anchored: known.is_anchored(), required: args.require_anchor, kept_in: None };
    report(app, read_file(app, path, known)?.finish(0), &against)
}

async fn live(app: &App, args: &Args, mut seen: Vec<Seen>) -> Result<Exit, CliError> {
    let client = app.client()?;
    let place = witness::path(&app.paths()?, client.address());
    let remembered = witness::read(&place)?;
    let kept_in = (!remembered.is_empty()).then(|| place.clone());
    seen.extend(remembered);
    let mut against = Against { anchored: !seen.is_empty(), required: args.require_anchor, kept_in };
    let known = match Known::of(args.key.clone(), &seen) {
        Ok(known) => known,
        Err(finding) => return report(app, unbelieved(finding), &against),
    };
    against.anchored = known.is_anchored();
    // Asked for first, so that the log read after it must reach at least as far.
    let said = client.fresh_checkpoint().await?;
    let mut check = known.check(said.sealed());
    super::pages::read_all(&client, AuditQuery::default(), |record| {
        check.take(record);
        Ok(())
    })
    .await?;
    let checked = check.finish(said.size);
    if let Ok(head) = &checked.head {
        witness::remember(&place, &Seen::new(*head, checked.signed.as_ref()))?;
    }
    report(app, checked, &against)
}

/// A check that ended before the log was read: a witness is not to be believed.
fn unbelieved(finding: AuditFinding) -> Checked {
    Checked { head: Err(finding), signed: None, clock_went_back: None }
}

/// Reads an export, or what a sink was given: records, one a line, and signed checkpoints before or among them.
fn read_file(app: &App, path: &Path, known: Known) -> Result<Check, CliError> {
    let failed = |error: std::io::Error| {
        let code = if error.kind() == std::io::ErrorKind::NotFound { ErrorCode::NotFound } else { ErrorCode::Usage };
        CliError::new(code, format!("cannot read {}: {error}", path.display()))
            .next("Name an export of `gk audit export`.")
    };
    let mut file = open(app, path).map_err(failed)?;
    let mut broken = None;
    let mut heads =
        BufReader::new(&file).split(b'\n').map_while(|line| line.map_err(|error| broken = Some(error)).ok());
    let mut check = known.check_all(heads.by_ref().filter_map(|line| sealed(&line)));
    if let Some(error) = broken {
        return Err(failed(error));
    }
    file.rewind().map_err(failed)?;
    let mut place = 0;
    for line in BufReader::new(&file).split(b'\n') {
        let line = line.map_err(failed)?;
        if sealed(&line).is_some() {
            continue;
        }
        place += 1;
        match serde_json::from_slice::<AuditRecord>(&line) {
            Ok(record) => check.take(&record),
            Err(_) => check.unreadable(place),
        }
    }
    Ok(check)
}

/// The line, if it is a signed checkpoint; a record is told by its first word.
fn sealed(line: &[u8]) -> Option<SealedHead> {
    serde_json::from_slice(line).ok()
}

/// The file, which is read twice; what can be read only once is copied first.
fn open(app: &App, path: &Path) -> std::io::Result<File> {
    let mut once: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(app.env.absolute(path))?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Box::new(file)
    };
    let mut copy = tempfile::tempfile()?;
    std::io::copy(&mut once, &mut copy)?;
    copy.rewind()?;
    Ok(copy)
}
