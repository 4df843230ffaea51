//! The accept loop: takes connections, bounds what each may cost, and ends them in order.
//!
//! Always holds: a connection that sends nothing, takes too long over its handshake, or trickles its headers, is closed
//! on time and holds up nobody else; no more than the configured number are open, and where they are all taken one that
//! has asked nothing yet makes room for the next; what is under way when the stop comes may finish for a while; a port
//! that speaks TLS answers nobody in plain text but to say so.

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
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::certificate::Fingerprint;
use crate::room::{Place, Room};
use crate::server::ServerTls;

/// Most bytes of a request's head, and most headers in it.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 100;
/// How long requests may go on after the stop was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// Pause after a failed accept: mostly there are no file descriptors left, and only time brings them back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What a client of TLS sends first (a handshake record); HTTP begins with a letter.
const HANDSHAKE: u8 = 0x16;
/// What a client that speaks plain HTTP to a port of TLS is told.
const PLAIN_TEXT: &str = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
     Content-Length: 56\r\n\r\nThis port speaks TLS only: use https:// in the address.\n";

/// The address at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub IpAddr);

/// The certificate with which the caller proved who it is: one of an authority that the listener trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientCertificate(pub Fingerprint);

/// What connections may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Connections at once.
    pub connections: usize,
    /// Time until a new connection has sent its first byte.
    pub first_byte: Duration,
    /// Time for the handshake, then from the first byte of a request to the end of its headers; also how long a
    /// connection may idle.
    pub headers: Duration,
}

/// Where connections come in, and how they are protected.
#[derive(Debug)]
pub struct Entrance {
    /// The port.
    pub listener: TcpListener,
    /// TLS; without it the port speaks plain HTTP.
    pub tls: Option<Arc<ServerTls>>,
}

/// Serves `router` at `entrance` until `stop`.
pub async fn serve(entrance: Entrance, router: Router, bounds: Bounds, stop: CancellationToken) {
    let Entrance { listener, tls } = entrance;
    let room = Room::new(bounds.connections);
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => match room.enter() {
                Some(place) => {
                    let connection = Connection { stream, peer, bounds, place };
                    tokio::spawn(connection.run(tls.clone(), router.clone(), graceful.watcher()));
                }
                // Closed at once: a caller that is told no can try again, one that hangs cannot.
                None => drop(stream),
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

struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    bounds: Bounds,
    place: Place,
}

impl Connection {
    async fn run(self, tls: Option<Arc<ServerTls>>, router: Router, watcher: Watcher) {
        let Self { stream, peer, bounds, place } = self;
        let talk = Talk { peer, bounds, router, watcher, place: place.clone() };
        tokio::select! {
            () = place.wanted_by_another() => tracing::debug!(%peer, "a silent connection made room for another"),
            () = talk.begin(stream, tls) => {}
        }
    }
}

/// What happens on one connection.
struct Talk {
    peer: SocketAddr,
    bounds: Bounds,
    router: Router,
    watcher: Watcher,
    place: Place,
}

impl Talk {
    async fn begin(self, stream: TcpStream, tls: Option<Arc<ServerTls>>) {
        let Some(first) = self.first_byte(&stream).await else { return };
        // Small answers must not wait for more to come; a connection that cannot be told so works all the same.
        let _ = stream.set_nodelay(true);
        let patience = self.bounds.headers;
        match tls {
            None => self.over(stream, None).await,
            Some(_) if first != HANDSHAKE => refuse_plain_text(stream, patience).await,
            Some(tls) => match tokio::time::timeout(patience, tls.handshake(stream)).await {
                Ok(Ok((stream, shown))) => self.over(stream, shown.map(ClientCertificate)).await,
                Ok(Err(error)) => tracing::debug!(%error, peer = %self.peer, "a handshake failed"),
                Err(_) => tracing::debug!(peer = %self.peer, "a handshake took too long"),
            },
        }
    }

    /// Waits for the first byte. hyper's own limit begins only with it.
    async fn first_byte(&self, stream: &TcpStream) -> Option<u8> {
        let mut byte = [0];
        match tokio::time::timeout(self.bounds.first_byte, stream.peek(&mut byte)).await {
            Ok(Ok(1)) => Some(byte[0]),
            Ok(Ok(_) | Err(_)) | Err(_) => None,
        }
    }

    async fn over<S>(self, stream: S, shown: Option<ClientCertificate>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (peer, router, place) = (Peer(self.peer.ip().to_canonical()), self.router, self.place);
        let service = hyper::service::service_fn(move |mut request: hyper::Request<Incoming>| {
            place.is_used();
            request.extensions_mut().insert(peer);
            if let Some(shown) = shown {
                request.extensions_mut().insert(shown);
            }
            let router = router.clone();
            async move {
                Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_else(|never| match never {}))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.bounds.headers)
            .max_headers(MAX_HEADERS)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), service);
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(%error, "connection ended");
        }
    }
}

/// Tells why, and reads what was sent meanwhile: a connection that is closed on unread bytes is reset, and the answer lost.
async fn refuse_plain_text(mut stream: TcpStream, patience: Duration) {
    let told = async {
        stream.write_all(PLAIN_TEXT.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(MAX_HEAD as u64), &mut tokio::io::sink()).await
    };
    // Whoever left before the end of it needs no telling.
    let _ = tokio::time::timeout(patience, told).await;
}
