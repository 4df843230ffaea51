//! `gk-agent run`.

use gk_shared::exit::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{Failed, Outcome};
use crate::AgentError;
use crate::config::AgentConfig;

pub(super) async fn run(config: AgentConfig) -> Outcome {
    let stop = CancellationToken::new();
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let told = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => tracing::info!("told to stop (TERM)"),
            _ = int.recv() => tracing::info!("told to stop (INT)"),
        }
        told.cancel();
    });
    crate::run(config, stop).await.map(|()| ExitCode::Ok).map_err(|error| {
        let exit = match error {
            AgentError::NoTarget => ExitCode::Usage,
            AgentError::Listen { .. } | AgentError::Client(_) => ExitCode::Failure,
        };
        Failed::new(exit, error)
    })
}
