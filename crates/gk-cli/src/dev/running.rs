//! Everything that runs, watched until it is told to stop, and then stopped in order.

use super::cluster;
use super::error::DevError;
use super::layout::DevDir;
use super::services::Parts;
use super::signals::Signals;
use crate::app::App;
use gk_local_postgres::{ClusterError, Server};
use std::time::{Duration, Instant};

/// A server that ends more often than this within [`RESTART_WINDOW`] is left alone: something else is wrong.
const RESTARTS: usize = 5;
const RESTART_WINDOW: Duration = Duration::from_secs(60);

/// What has to be stopped, the last first.
pub(crate) struct Running {
    parts: Parts,
    /// `None` only while it is being started again.
    server: Option<Server>,
    // Held to the end: nobody else works in the directory while anything of ours is alive.
    _dir: DevDir,
}

impl Running {
    pub(crate) fn new(dir: DevDir, server: Server, parts: Parts) -> Self {
        Self { parts, server: Some(server), _dir: dir }
    }

    /// Waits until a signal asks for the stop. A part that ends by itself is an error; a Postgres that does is started
    /// again where it was, and the parts find their way back to it.
    pub(crate) async fn watch(&mut self, signals: &mut Signals, app: &App) -> Result<(), DevError> {
        let mut restarts: Vec<Instant> = Vec::new();
        loop {
            let server = self.server.as_mut().expect("only taken below, where it is put back or the watch ends");
            let status = tokio::select! {
                () = signals.next() => return Ok(()),
                ended = self.parts.ended() => return Err(ended),
                status = server.wait() => status,
            };
            restarts.retain(|at| at.elapsed() < RESTART_WINDOW);
            restarts.push(Instant::now());
            if restarts.len() > RESTARTS {
                let log = server.log_path().to_path_buf();
                let log_tail = String::from("(it ended and was started again several times)");
                return Err(ClusterError::StartFailed { status: status.to_string(), log, log_tail }.into());
            }
            app.out.warn(&format!("Postgres ended ({status}); starting it again"));
            if let Some(server) = self.server.take() {
                let port = server.port();
                let (at_rest, _) = server.stop().await?;
                self.server = Some(cluster::start_again(at_rest, Some(port)).await?);
            }
        }
    }

    /// Stops agent, control plane and Postgres, in this order.
    pub(crate) async fn stop(&mut self) -> Result<(), DevError> {
        let parts = self.parts.stop().await;
        if let Some(server) = self.server.take() {
            server.stop().await?;
        }
        parts
    }
}
