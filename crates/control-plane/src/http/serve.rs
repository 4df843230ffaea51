//! The accept loop: takes connections, bounds what each may cost, and ends them in order.
//!
//! Always holds: a connection that sends nothing, or trickles its headers, is closed on time and holds up nobody else;
//! no more than the configured number are open; what is under way when the stop comes may finish for a while.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::config::Limits;

/// Most bytes of a request's head, and most headers in it.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// How long requests may go on after the stop was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: mostly there are no file descriptors left, and only time brings them back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The address at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// Serves `router` on `listener` until `stop`.
pub async fn serve(listener: TcpListener, router: Router, limits: &Limits, stop: CancellationToken) {
    let open = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let times = Times { first_byte: limits.first_byte, headers: limits.headers };
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match Arc::clone(&open).try_acquire_owned() {
                Ok(permit) => {
                    let connection = Connection { stream, peer, times, _permit: permit };
                    tokio::spawn(connection.run(router.clone(), graceful.watcher()));
                }
                // Closed at once: a caller that is told no can try again, one that hangs cannot.
                Err(_) => drop(stream),
            },
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time and are dropped");
    }
}

#[derive(Debug, Clone, Copy)]
struct Times {
    first_byte: Duration,
    headers: Duration,
}

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    times: Times,
    _permit: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, router: Router, watcher: Watcher) {
        if !self.has_begun().await {
            return;
        }
        // Small answers must not wait for more to come; a connection that cannot be told so works all the same.
        let _ = self.stream.set_nodelay(true);
        let peer = Peer(self.peer.ip().to_canonical());
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let router = router.clone();
            async move {
                Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {}))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.times.headers)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(self.stream), service);
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "connection ended");
        }
    }

    /// Waits for the first byte. hyper's own limit begins only with it.
    async fn has_begun(&self) -> bool {
        let mut byte = [0];
        matches!(tokio::time::timeout(self.times.first_byte, self.stream.peek(&mut byte)).await, Ok(Ok(1)))
    }
}
