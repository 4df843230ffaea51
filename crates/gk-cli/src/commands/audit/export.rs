//! `gk audit export`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use gk_shared::audit::AuditRecord;
use gk_shared::problem::ErrorCode;

use crate::app::App;
use crate::client::{AuditQuery, Client};
use crate::credential::refuse_special;
use crate::error::CliError;
use crate::run::Exit;

/// Write the whole log, its signed checkpoint first and then one record a line, for `gk audit verify FILE`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write into this file instead of stdout; it is there whole or not at all
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Begin behind this place
    #[arg(long, value_name = "SEQ", default_value_t = 0, value_parser = clap::value_parser!(i64).range(0..))]
    after: i64,
}

pub(crate) async fn run(app: &App, args: &Args) -> Result<Exit, CliError> {
    let client = app.client()?;
    let asked = AuditQuery { after: args.after, ..AuditQuery::default() };
    let mut count = 0_u64;
    match &args.out {
        None => {
            app.out.raw(first_line(&client, args).await?.as_bytes())?;
            super::pages::read_all(&client, asked, |record| {
                count += 1;
                app.out.raw(line(record).as_bytes())
            })
            .await?;
        }
        Some(path) => {
            let path = app.env.absolute(path);
            refuse_special(&path)?;
            let failed = |error: &std::io::Error| unwritable(&path, error);
            let directory = path.parent().unwrap_or_else(|| Path::new("."));
            let mut file = tempfile::NamedTempFile::new_in(directory).map_err(|error| failed(&error))?;
            let first = first_line(&client, args).await?;
            file.write_all(first.as_bytes()).map_err(|error| failed(&error))?;
            super::pages::read_all(&client, asked, |record| {
                count += 1;
                file.write_all(line(record).as_bytes()).map_err(|error| failed(&error))
            })
            .await?;
            file.as_file().sync_all().map_err(|error| failed(&error))?;
            file.persist(&path).map_err(|error| failed(&error.error))?;
        }
    }
    app.out.note(&format!("{count} events"));
    Ok(Exit::OK)
}

/// What the whole log is signed as; a part of it cannot be held against that.
async fn first_line(client: &Client, args: &Args) -> Result<String, CliError> {
    if args.after > 0 {
        return Ok(String::new());
    }
    let sealed = client.fresh_checkpoint().await?.sealed();
    Ok(sealed.map(|sealed| format!("{}\n", sealed.line())).unwrap_or_default())
}

fn line(record: &AuditRecord) -> String {
    format!("{}\n", serde_json::to_string(record).expect("a record holds texts and integers"))
}

fn unwritable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(ErrorCode::OutputFailed, format!("cannot write {}: {error}", path.display()))
        .next("Make the directory writable, or name another file.")
}
