//! `run`: the control plane in the foreground, until SIGTERM or Ctrl-C.

use std::io::ErrorKind;

use gk_control_plane::config::PlaneConfig;
use gk_control_plane::logging;
use gk_shared::problem::ErrorCode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// `run`
pub(crate) async fn run(config: PlaneConfig) -> Result<(), Failure> {
    logging::start(&config.log).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
    gk_edge::harden::raise_file_limit();
    let listener = TcpListener::bind(config.listen).await.map_err(|error| cannot_listen(&config, &error))?;
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    tracing::info!(address = %config.listen, scheme, "listening");
    let stop = CancellationToken::new();
    stop_on_signals(&stop)?;
    Ok(gk_control_plane::serve(config, listener, stop).await?)
}

fn cannot_listen(config: &PlaneConfig, error: &std::io::Error) -> Failure {
    let fix = match error.kind() {
        ErrorKind::AddrInUse => "stop the process that has it, or choose another port (listen or CONTROL_PLANE_PORT)",
        ErrorKind::PermissionDenied => {
            "ports below 1024 need a right of their own: choose another, or grant CAP_NET_BIND_SERVICE"
        }
        ErrorKind::AddrNotAvailable => "this machine has no such address: choose one that it has",
        _ => "choose another address",
    };
    Failure::config(format!("cannot listen on {}: {error}: {fix}", config.listen))
}

fn stop_on_signals(stop: &CancellationToken) -> Result<(), Failure> {
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(|error| Failure::system("cannot listen for signals", &error))?;
        let stop = stop.clone();
        tokio::spawn(async move {
            signals.recv().await;
            tracing::info!("asked to stop");
            stop.cancel();
        });
    }
    Ok(())
}
