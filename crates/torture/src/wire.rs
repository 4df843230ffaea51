//! A wire between two programs with weather of its own: it can be held one way or both, slowed down, cut, half closed, and
//! it can lose the answer to a request that it has delivered.
//!
//! Always holds: what it did to the traffic is counted, so that a fault that met nothing cannot be taken for one that was
//! survived. TLS is not spoken on these wires, so a request is known by its bytes.

mod pump;

use pump::{Link, carry};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens to bytes on their way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Weather {
    /// They arrive.
    #[default]
    Clear,
    /// They wait, in one direction or in both; nobody is told.
    Held {
        /// From who connected.
        up: bool,
        /// To who connected.
        down: bool,
    },
    /// Each piece is late by this much.
    Slow(Duration),
    /// One byte at a time, with this pause after each.
    Trickle(Duration),
    /// All connections share so many bytes a second, each way.
    Narrow(u32),
    /// Nobody can connect, and who was connected is cut off.
    Refused,
    /// Every new connection is given these bytes, whatever it asks, and nothing arrives: a liar in the middle.
    Answers(&'static str),
    /// A request that contains one of these words is delivered and its answer is lost.
    LosesAnswersTo(&'static [&'static str]),
}

/// What the wire did so far.
#[derive(Debug, Default)]
pub struct Counted {
    /// Pieces that had to wait.
    pub held: AtomicU64,
    /// Pieces that were slowed down, squeezed or trickled.
    pub slowed: AtomicU64,
    /// Connections that were let through.
    pub carried: AtomicU64,
    /// Connections that were refused.
    pub refused: AtomicU64,
    /// Connections that were reset.
    pub reset: AtomicU64,
    /// Connections of which one half was closed.
    pub half_closed: AtomicU64,
    /// Answers that were lost, or made up.
    pub lost: AtomicU64,
}

impl Counted {
    /// All that was done to the traffic.
    #[must_use]
    pub fn sum(&self) -> u64 {
        let all = [&self.held, &self.slowed, &self.refused, &self.reset, &self.half_closed, &self.lost];
        all.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
}

/// What every connection watches.
#[derive(Debug, Clone, Default)]
pub(crate) struct Orders {
    weather: Weather,
    /// Grows with each reset: connections of an older number are reset.
    resets: u64,
    /// Grows with each half close.
    half_closes: u64,
}

/// Forwards connections from a port of its own. It ends with its owner.
#[derive(Debug)]
pub struct Wire {
    port: u16,
    orders: watch::Sender<Orders>,
    counted: Arc<Counted>,
    accepts: JoinHandle<()>,
}

impl Wire {
    /// Forwards to this port of this machine.
    ///
    /// # Panics
    /// No port is free.
    pub async fn to(port: u16) -> Self {
        Self::from(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0), port).await
    }

    /// Forwards from this address to this port of this machine.
    ///
    /// # Panics
    /// The address is taken, or none of this machine.
    pub async fn from(address: SocketAddr, port: u16) -> Self {
        let listener = TcpListener::bind(address).await.expect("the address is free");
        let own = listener.local_addr().expect("a listener has an address").port();
        let (orders, watched) = watch::channel(Orders::default());
        let counted = Arc::new(Counted::default());
        let (counts, lanes) = (Arc::clone(&counted), Arc::default());
        let accepts = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let link = Link::new(watched.clone(), &counts, &lanes);
                tokio::spawn(carry(client, port, link));
            }
        });
        Self { port: own, orders, counted, accepts }
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes the weather until the guard is dropped.
    #[must_use]
    pub fn weather(&self, weather: Weather) -> Spell {
        if matches!(weather, Weather::Refused | Weather::Answers(_)) {
            self.reset();
        }
        self.orders.send_modify(|orders| orders.weather = weather);
        Spell(self.orders.clone())
    }

    /// Resets every connection.
    pub fn reset(&self) {
        self.orders.send_modify(|orders| orders.resets += 1);
    }

    /// Closes, on every connection, the half towards who connected.
    pub fn half_close(&self) {
        self.orders.send_modify(|orders| orders.half_closes += 1);
    }

    /// What it did so far.
    #[must_use]
    pub fn counted(&self) -> &Counted {
        &self.counted
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

/// Weather that clears up when this is dropped.
#[derive(Debug)]
pub struct Spell(watch::Sender<Orders>);

impl Drop for Spell {
    fn drop(&mut self) {
        self.0.send_modify(|orders| orders.weather = Weather::Clear);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    /// A server that answers each piece with the same, and the port of a wire to it.
    async fn echo() -> Wire {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        Wire::to(port).await
    }

    async fn said(stream: &mut TcpStream, text: &str, within: Duration) -> Option<String> {
        stream.write_all(text.as_bytes()).await.ok()?;
        let mut buffer = vec![0; text.len()];
        let read = tokio::time::timeout(within, stream.read_exact(&mut buffer)).await;
        read.ok()?.ok().map(|_| String::from_utf8_lossy(&buffer).into_owned())
    }

    const SOON: Duration = Duration::from_secs(5);
    const SHORT: Duration = Duration::from_millis(100);

    #[tokio::test]
    async fn what_is_held_arrives_when_it_clears_up() {
        let wire = echo().await;
        let mut client = TcpStream::connect(("127.0.0.1", wire.port())).await.unwrap();
        assert_eq!(said(&mut client, "one", SOON).await.as_deref(), Some("one"));
        let spell = wire.weather(Weather::Held { up: false, down: true });
        assert_eq!(said(&mut client, "two", SHORT).await, None);
        assert!(wire.counted().held.load(Ordering::Relaxed) > 0);
        drop(spell);
        let mut buffer = [0; 3];
        tokio::time::timeout(SOON, client.read_exact(&mut buffer)).await.unwrap().unwrap();
        assert_eq!(&buffer, b"two");
    }

    #[tokio::test]
    async fn a_reset_and_a_refusal_are_felt_and_counted() {
        let wire = echo().await;
        let mut client = TcpStream::connect(("127.0.0.1", wire.port())).await.unwrap();
        assert_eq!(said(&mut client, "one", SOON).await.as_deref(), Some("one"));
        wire.reset();
        let mut buffer = [0; 1];
        let felt = tokio::time::timeout(SOON, client.read(&mut buffer)).await.unwrap();
        assert!(felt.is_err(), "{felt:?}");
        let spell = wire.weather(Weather::Refused);
        let mut other = TcpStream::connect(("127.0.0.1", wire.port())).await.unwrap();
        assert_eq!(said(&mut other, "two", SOON).await, None);
        assert!(
            wire.counted().reset.load(Ordering::Relaxed) == 1 && wire.counted().refused.load(Ordering::Relaxed) == 1
        );
        drop(spell);
        let mut third = TcpStream::connect(("127.0.0.1", wire.port())).await.unwrap();
        assert_eq!(said(&mut third, "three", SOON).await.as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn an_answer_is_lost_after_its_request_has_arrived() {
        let wire = echo().await;
        let _spell = wire.weather(Weather::LosesAnswersTo(&["COMMIT"]));
        let mut client = TcpStream::connect(("127.0.0.1", wire.port())).await.unwrap();
        assert_eq!(said(&mut client, "BEGIN", SOON).await.as_deref(), Some("BEGIN"));
        assert_eq!(said(&mut client, "COMMIT", SOON).await, None, "the answer is lost and the connection reset");
        assert_eq!(wire.counted().lost.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_trickle_takes_its_time() {
        let wire = echo().await;
        let _spell = wire.weather(Weather::Trickle(Duration::from_millis(5)));
        let mut client = TcpStream::connect(("127.0.0.1", wire.port())).await.unwrap();
        let begun = Instant::now();
        assert_eq!(said(&mut client, "0123456789", SOON).await.as_deref(), Some("0123456789"));
        assert!(begun.elapsed() >= Duration::from_millis(50));
        assert!(wire.counted().slowed.load(Ordering::Relaxed) > 0);
    }

    #[tokio::test]
    async fn a_narrow_wire_is_shared_by_its_connections() {
        let wire = echo().await;
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(TcpStream::connect(("127.0.0.1", wire.port())).await.unwrap());
        }
        let _spell = wire.weather(Weather::Narrow(1000));
        let begun = Instant::now();
        for one in &mut all {
            assert!(said(one, &"x".repeat(100), SOON).await.is_some());
        }
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
        assert_eq!(wire.counted().carried.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn a_half_that_was_closed_ends_the_answers_alone() {
        let wire = echo().await;
        let mut client = TcpStream::connect(("127.0.0.1", wire.port())).await.unwrap();
        assert_eq!(said(&mut client, "one", SOON).await.as_deref(), Some("one"));
        wire.half_close();
        let mut buffer = [0; 1];
        assert_eq!(tokio::time::timeout(SOON, client.read(&mut buffer)).await.unwrap().unwrap(), 0);
        assert!(client.write_all(b"still there").await.is_ok());
        assert_eq!(wire.counted().half_closed.load(Ordering::Relaxed), 1);
    }
}
