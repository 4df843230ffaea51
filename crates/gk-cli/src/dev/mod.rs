//! `gk dev`: a whole Gatekeeper on this machine, in the foreground.
//!
//! A private Postgres (ledger and a demo database), control plane and agent, in one process and one directory. What
//! always holds: what it says is ready is ready; Ctrl-C stops agent, control plane and Postgres in this order and keeps
//! the data; after `kill -9` the next start finds what is left and goes on from there.

mod announce;
mod bootstrap;
mod cluster;
mod error;
mod layout;
mod log;
mod port;
mod running;
mod secrets;
mod seed;
mod services;
mod signals;
mod tokens;
mod user;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Instant;

use gk_local_postgres::{Binaries, Cluster, Search, find};
use gk_shared::problem::ErrorCode;
use tokio::net::TcpListener;

use crate::app::App;
use crate::error::CliError;
use crate::output::with_schema;
use announce::{Ready, ReadyTarget, RunningPostgres};
use error::DevError;
use layout::{DevDir, Remembered};
use running::Running;
use services::{Parts, TARGET};
use signals::Signals;

/// Run all of Gatekeeper on this machine, with a demo database
///
/// Starts a private Postgres, the control plane and an agent, and stays in the foreground. Ctrl-C stops everything and
/// keeps the data; the next start goes on from there.
#[derive(Debug, clap::Args)]
pub(crate) struct DevArgs {
    /// Where everything is kept [default: gatekeeper/dev in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Throw away what earlier runs left and start anew
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Where the control plane listens [default: as last time, at first 127.0.0.1:4000]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Directory that holds `postgres` and `initdb`, where they are not found by themselves
    #[arg(long, value_name = "DIR")]
    pub(crate) pg_bin: Option<PathBuf>,
}

/// Runs until it is told to stop.
pub(crate) async fn run(args: &DevArgs, app: &App) -> Result<(), CliError> {
    let mut signals = Signals::catch().map_err(|error| shown(&error))?;
    let (mut running, ready) = tokio::select! {
        started = start(args, app) => started.map_err(|error| shown(&error))?,
        () = signals.next() => return Err(CliError::new(ErrorCode::Interrupted, "stopped before it was ready")),
    };
    // Nobody can know that it is ready if nobody can be told.
    let told = tell(app, &ready);
    let ended = match told {
        Ok(()) => running.watch(&mut signals, app).await.map_err(|error| shown(&error)),
        Err(error) => Err(error),
    };
    app.out.note("stopping …");
    let stopped = tokio::select! {
        stopped = running.stop() => stopped.map_err(|error| shown(&error)),
        () = signals.insist() => Err(CliError::new(ErrorCode::Interrupted, "stopped at once, without waiting for the parts")),
    };
    ended.and(stopped)?;
    app.out.done(&format!("stopped; the data is kept in {}", ready.data_dir.display()));
    Ok(())
}

async fn start(args: &DevArgs, app: &App) -> Result<(Running, Ready), DevError> {
    let begun = Instant::now();
    let contexts = user::contexts(&app.env)?;
    let Opened { mut dir, binaries, listener, address, last_port, resumed } = open(args, app).await?;
    let mut progress = app.out.progress("Postgres");
    let server = cluster::start(binaries.clone(), &dir, last_port).await?;
    dir.remember(&Remembered { postgres_port: Some(server.port()), address: Some(address) })?;
    progress.step("databases");
    cluster::prepare(&dir, server.port()).await?;
    progress.step(if resumed { "ledger and helpers" } else { "demo data" });
    let target = async {
        seed::fill(&dir, server.port()).await?;
        bootstrap::install(&dir, server.port()).await
    };
    tokio::try_join!(services::migrate(&dir, server.port()), target)?;
    progress.step("control plane and agent");
    let parts = Parts::start(&dir, server.port(), listener).await?;
    let user = user::introduce(&parts, &contexts)?;
    dir.announce(address)?;
    let ready = Ready {
        address: announce::url(address),
        context: user::CONTEXT,
        context_is_current: user.context_is_current,
        data_dir: dir.root().to_path_buf(),
        pid: std::process::id(),
        postgres: RunningPostgres::new(binaries.version(), server.port(), binaries.dir(), server.log_path()),
        targets: vec![ReadyTarget::local(TARGET, server.port(), cluster::APP)],
        roles: parts.roles().to_vec(),
        token_file: user.token_file,
        policy_file: dir.policy(),
        log_file: dir.log(),
        resumed,
        ready_in_ms: begun.elapsed().as_millis(),
    };
    Ok((Running::new(dir, server, parts), ready))
}

/// What is there before anything runs.
struct Opened {
    dir: DevDir,
    binaries: Binaries,
    listener: TcpListener,
    address: SocketAddr,
    last_port: Option<u16>,
    resumed: bool,
}

/// Everything that can be refused at once, before anything slow, and before `--fresh` throws anything away.
async fn open(args: &DevArgs, app: &App) -> Result<Opened, DevError> {
    let asked = args.listen.as_deref().map(port::parse).transpose()?;
    let path = app.env.os("PATH").map(ToOwned::to_owned);
    let binaries = find(&Search::system(args.pg_bin.clone(), path))?;
    let dir = DevDir::claim(&layout::choose(args.data_dir.as_deref(), &app.env)?)?;
    let last = dir.remembered();
    let listener = port::listen(asked, last.address).await?;
    if args.fresh {
        dir.clear().await?;
    }
    log::to_file(&dir, &app.env)?;
    let address = listener.local_addr().map_err(DevError::io("asking for", "the address"))?;
    if args.fresh {
        forget_head(app, address)?;
    }
    let resumed = Cluster::exists(&dir.cluster());
    Ok(Opened { dir, binaries, listener, address, last_port: last.postgres_port, resumed })
}

/// The log begins anew, so a head of the old one would only cry tampering.
fn forget_head(app: &App, address: SocketAddr) -> Result<(), DevError> {
    let (Ok(paths), Ok(url)) = (app.paths(), announce::url(address).parse()) else { return Ok(()) };
    crate::commands::audit::witness::forget(&paths, &url).map_err(DevError::io("forgetting", "the old audit head"))
}

fn tell(app: &App, ready: &Ready) -> Result<(), CliError> {
    if app.out.json() {
        return app.out.raw(format!("{}\n", with_schema("gk.dev.v1", ready)).as_bytes());
    }
    let psql = match app.env.which("psql") {
        Some(_) => "psql".to_owned(),
        None => ready.postgres.bin_dir.join("psql").display().to_string(),
    };
    app.out.done(&ready.for_person(&psql));
    Ok(())
}

fn shown(error: &DevError) -> CliError {
    let shown = CliError::new(error.code(), error.to_string()).next(error.next());
    match std::error::Error::source(error) {
        Some(cause) => shown.why(cause.to_string()),
        None => shown,
    }
}
