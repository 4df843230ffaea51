//! Guard: keeps a deadman running inside each server of the target, on a connection of its own, and looks how those servers
//! are.
//!
//! Always holds: when this process dies, the socket dies with it and nothing else: a backend inside `CALL` does not
//! notice, and goes on ending sessions on time. At most one deadman works per database; a second one returns at once.

use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use tokio_util::sync::CancellationToken;

use super::PostgresTarget;
use super::connect::{Purpose, open};
use super::endpoints::{Server, Servers};
use crate::provider::error::ProviderError;

/// On a standby nobody else acts at the moment when a session's time is up, and a tick writes nothing.
const CALL: &str = "CALL gk.deadman(CASE WHEN pg_is_in_recovery() THEN interval '250 milliseconds' \
                    ELSE interval '1 second' END, '10 minutes')";
/// A call that came back sooner than this did no work: another deadman has the watch.
const AT_ONCE: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Between two looks at a server of several.
const SURVEY: Duration = Duration::from_secs(2);

pub(super) async fn guard(target: &PostgresTarget, stop: CancellationToken) {
    let servers = &target.pools.servers;
    let kept = servers.all().iter().map(|server| join(keep(target, server, &stop), watch(servers, server, &stop)));
    join_all(kept).await;
}

/// Looks again and again how a server is, where there is another that it may change places with.
async fn watch(servers: &Servers, server: &Server, stop: &CancellationToken) {
    while servers.are_several() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = servers.look(server) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SURVEY) => {}
        }
    }
}

/// Keeps the deadman of one server running.
async fn keep(target: &PostgresTarget, server: &Server, stop: &CancellationToken) {
    loop {
        let begun = Instant::now();
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = call(target, server) => ended,
        };
        match ended {
            Ok(()) => tracing::debug!(server = %server.place(), "the deadman returned"),
            Err(error) => {
                tracing::warn!(server = %server.place(), %error, "the deadman does not run; it is started again");
            }
        }
        let pause = if begun.elapsed() < AT_ONCE { LOOK_AGAIN } else { AT_ONCE };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn call(target: &PostgresTarget, server: &Server) -> Result<(), ProviderError> {
    let client = open(&target.config, server.place(), (&target.config.database, Purpose::Deadman)).await?;
    client.batch_execute(CALL).await?;
    Ok(())
}
