//! `gk-agent bootstrap`: prints the SQL that makes a database a target, or runs it there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args};
use gk_shared::dsn::{PgDsn, SslMode};
use gk_shared::exit::ExitCode;
use gk_shared::secret::{FileSecret, MAX_SECRET_FILE, Password, SecretDsn, read_secret_file};

use super::{Failed, Outcome};
use crate::bootstrap::{AgentVerifier, BootstrapOptions, SchemaName, psql_script, script};
use crate::provider::postgres::tls::Tls;

/// The SQL is the same either way; it may be run again at any time.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true).args(["print", "apply"]))]
pub(super) struct BootstrapArgs {
    /// Print the SQL, to be read and piped into psql.
    #[arg(long)]
    print: bool,
    /// Run the SQL, with the connection string in --dsn-file.
    #[arg(long, requires = "dsn_file")]
    apply: bool,
    /// File with a DBA's connection string, postgresql://USER:PASSWORD@HOST/DATABASE; mode 0600, or - for stdin.
    #[arg(long, value_name = "FILE", requires = "apply")]
    dsn_file: Option<PathBuf>,
    /// Schema that the role packs give access to; may be repeated (default: public).
    #[arg(long = "schema", value_name = "SCHEMA")]
    schemas: Vec<SchemaName>,
    /// File with the password that the login gk_agent is to have; only its verifier leaves this process.
    #[arg(long, value_name = "FILE")]
    agent_password_file: Option<PathBuf>,
}

pub(super) async fn bootstrap(args: BootstrapArgs) -> Outcome {
    let options = options(&args)?;
    match &args.dsn_file {
        None => {
            std::io::stdout().lock().write_all(psql_script(&options).as_bytes())?;
            Ok(ExitCode::Ok)
        }
        Some(file) => apply(&secret(file)?.into(), &options).await,
    }
}

fn options(args: &BootstrapArgs) -> Result<BootstrapOptions, Failed> {
    let mut options = BootstrapOptions::default();
    if !args.schemas.is_empty() {
        options.schemas.clone_from(&args.schemas);
    }
    if let Some(file) = &args.agent_password_file {
        let password: Password = secret(file)?.into();
        let verifier = postgres_protocol::password::scram_sha_256(password.expose().as_bytes());
        let verifier: AgentVerifier = verifier.parse().map_err(|error| Failed::new(ExitCode::Failure, error))?;
        options.agent_password_verifier = Some(verifier);
    }
    Ok(options)
}

/// One line out of a secret file, or of stdin.
fn secret(path: &Path) -> Result<FileSecret, Failed> {
    let unreadable = |error| Failed::new(ExitCode::Usage, format!("{} cannot be read: {error}", path.display()));
    let mut bytes = zeroize::Zeroizing::new(Vec::new());
    let most = MAX_SECRET_FILE as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        let file = File::open(path).map_err(unreadable)?;
        crate::config::check_secret(path, &file).map_err(|text| Failed::new(ExitCode::Usage, text))?;
        file.take(most).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    read_secret_file(&bytes).map_err(|error| Failed::new(ExitCode::Usage, format!("{}: {error}", path.display())))
}

async fn apply(dsn: &SecretDsn, options: &BootstrapOptions) -> Outcome {
    let dsn = PgDsn::parse(dsn.expose()).map_err(|error| Failed::new(ExitCode::Usage, error))?;
    let parts = dsn.parts();
    let tls = Tls::new(parts.sslmode.unwrap_or(SslMode::Prefer), None)
        .map_err(|error| Failed::new(ExitCode::Usage, error))?;
    let mut config = tokio_postgres::Config::new();
    config
        .host(&parts.host)
        .port(parts.port)
        .dbname(&parts.database)
        .user(&parts.user)
        .password(parts.password.expose())
        .application_name("gk-agent bootstrap")
        .ssl_mode(tls.wanted())
        .connect_timeout(std::time::Duration::from_secs(5));
    let place = dsn.without_password();
    let (client, connection) = config
        .connect(tls.connector())
        .await
        .map_err(|error| Failed::new(ExitCode::Unavailable, format!("{place}: {}", told(&error))))?;
    let connection = tokio::spawn(connection);
    let ran = client.batch_execute(&script(options)).await;
    drop(client);
    let _ = connection.await;
    ran.map_err(|error| Failed::new(ExitCode::Failure, format!("{place}: nothing was changed: {}", told(&error))))?;
    let packs: Vec<_> = options.packs.iter().map(|pack| format!("{} {}", pack.name, pack.version)).collect();
    writeln!(std::io::stderr().lock(), "{place} is a target now, with {}", packs.join(", "))?;
    Ok(ExitCode::Ok)
}

/// The server's own words, with its hint; never a statement.
fn told(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(server) => {
            let hint = server.hint().map_or(String::new(), |hint| format!(" ({hint})"));
            format!("{} [{}]{hint}", server.message(), server.code().code())
        }
        None => std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}")),
    }
}
