//! One connection on a wire: two pumps, and the orders they obey.

use super::{Counted, Orders, Weather};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

/// How long a connection goes on in silence after it has lost an answer.
const SILENCE: Duration = Duration::from_millis(700);

/// What a connection has of its wire.
#[derive(Debug, Clone)]
pub(super) struct Link {
    orders: watch::Receiver<Orders>,
    counted: Arc<Counted>,
    lanes: Arc<Lanes>,
}

impl Link {
    pub(super) fn new(orders: watch::Receiver<Orders>, counted: &Arc<Counted>, lanes: &Arc<Lanes>) -> Self {
        Self { orders, counted: Arc::clone(counted), lanes: Arc::clone(lanes) }
    }
}

/// Since when each direction of a narrow wire is free, for all its connections.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    up: Mutex<Option<Instant>>,
    down: Mutex<Option<Instant>>,
}

impl Lanes {
    /// When so many bytes are through that come now.
    fn passes(&self, way: Way, length: usize, rate: u32) -> Instant {
        let lane = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        let mut free = lane.lock().unwrap_or_else(PoisonError::into_inner);
        let takes = Duration::from_secs(1) * u32::try_from(length).unwrap_or(u32::MAX) / rate.max(1);
        let through = free.map_or_else(Instant::now, |free| free.max(Instant::now())) + takes;
        *free = Some(through);
        through
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Why a pump stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// Its source has nothing more to say.
    End,
    /// It was told to reset the connection.
    Reset,
    /// It was told to close its half.
    HalfClose,
}

/// Forwards one connection to this port until it ends.
pub(super) async fn carry(mut client: TcpStream, port: u16, link: Link) {
    if link.orders.borrow().weather == Weather::Refused {
        count(&link.counted.refused);
        return abort(&client);
    }
    let lie = if let Weather::Answers(lie) = link.orders.borrow().weather { Some(lie) } else { None };
    if let Some(lie) = lie {
        count(&link.counted.lost);
        return tell(client, lie).await;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    count(&link.counted.carried);
    if talk(&mut client, &mut server, &link).await {
        count(&link.counted.reset);
        abort(&client);
        abort(&server);
    }
}

/// Reads what is asked and answers with a lie.
async fn tell(mut client: TcpStream, lie: &str) {
    let mut buffer = vec![0; 64 * 1024];
    // Whoever goes away before the answer needs none.
    if client.read(&mut buffer).await.is_ok_and(|length| length > 0) {
        drop(client.write_all(lie.as_bytes()).await);
        drop(client.shutdown().await);
    }
}

/// Until both have said all, or a reset comes, which is told. The halves are borrowed: one that is owned would close in order.
async fn talk(client: &mut TcpStream, server: &mut TcpStream, link: &Link) -> bool {
    let orders = link.orders.borrow().clone();
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let lost = Arc::new(AtomicBool::new(false));
    let pump = |way| Pump { way, link: link.clone(), begun: orders.clone(), lost: Arc::clone(&lost) };
    let up = pump(Way::Up).run(from_client, to_server);
    let down = pump(Way::Down).run(from_server, to_client);
    tokio::pin!(up, down);
    // A reset ends both at once; an end is passed on, and the other half goes on.
    tokio::select! {
        stop = &mut up => stop == Stop::Reset || down.await == Stop::Reset,
        stop = &mut down => stop == Stop::Reset || (stop == Stop::HalfClose && up.await == Stop::Reset),
    }
}

struct Pump {
    way: Way,
    link: Link,
    begun: Orders,
    lost: Arc<AtomicBool>,
}

impl Pump {
    async fn run(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>) -> Stop {
        let stop = self.pass(&mut from, &mut to).await;
        match stop {
            Stop::End => drop(to.shutdown().await),
            Stop::HalfClose => {
                count(&self.link.counted.half_closed);
                drop(to.shutdown().await);
            }
            Stop::Reset => {}
        }
        stop
    }

    async fn pass(&mut self, from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>) -> Stop {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = tokio::select! {
                read = from.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return Stop::End,
                    Ok(length) => length,
                },
                stop = self.told_to_stop() => return stop,
            };
            if let Err(stop) = self.forward(&buffer[..length], to).await {
                return stop;
            }
        }
    }

    /// Waits for an order to stop.
    async fn told_to_stop(&mut self) -> Stop {
        let (resets, halves, way) = (self.begun.resets, self.begun.half_closes, self.way);
        let told =
            self.link.orders.wait_for(|now| now.resets > resets || (way == Way::Down && now.half_closes > halves));
        match told.await {
            Ok(now) if now.resets > resets => Stop::Reset,
            Ok(_) => Stop::HalfClose,
            Err(_) => Stop::End,
        }
    }

    async fn forward(&mut self, bytes: &[u8], to: &mut WriteHalf<'_>) -> Result<(), Stop> {
        if self.way == Way::Down && self.lost.load(Ordering::SeqCst) {
            count(&self.link.counted.lost);
            tokio::time::sleep(SILENCE).await;
            return Err(Stop::Reset);
        }
        let weather = self.link.orders.borrow().weather.clone();
        match weather {
            Weather::Clear | Weather::Refused | Weather::Answers(_) => {}
            Weather::Held { up, down } => {
                if (self.way == Way::Up && up) || (self.way == Way::Down && down) {
                    self.hold().await?;
                }
            }
            Weather::Slow(late) => {
                count(&self.link.counted.slowed);
                tokio::time::sleep(late).await;
            }
            Weather::Trickle(pause) => return self.trickle(bytes, pause, to).await,
            Weather::Narrow(rate) => self.squeeze(bytes.len(), rate).await?,
            Weather::LosesAnswersTo(words) => {
                if self.way == Way::Up && words.iter().any(|word| contains(bytes, word)) {
                    self.lost.store(true, Ordering::SeqCst);
                }
            }
        }
        to.write_all(bytes).await.map_err(|_| Stop::End)
    }

    /// Until it clears up.
    async fn hold(&mut self) -> Result<(), Stop> {
        count(&self.link.counted.held);
        let mut orders = self.link.orders.clone();
        let held = |now: &Orders| matches!(now.weather, Weather::Held { .. });
        tokio::select! {
            _ = orders.wait_for(|now| !held(now)) => Ok(()),
            stop = self.told_to_stop() => Err(stop),
        }
    }

    /// Until those before it are through, and it is itself.
    async fn squeeze(&mut self, length: usize, rate: u32) -> Result<(), Stop> {
        count(&self.link.counted.slowed);
        let through = self.link.lanes.passes(self.way, length, rate);
        let mut orders = self.link.orders.clone();
        tokio::select! {
            () = tokio::time::sleep_until(through.into()) => Ok(()),
            _ = orders.wait_for(|now| !matches!(now.weather, Weather::Narrow(_))) => Ok(()),
            stop = self.told_to_stop() => Err(stop),
        }
    }

    /// Byte by byte for as long as the weather lasts, and then the rest.
    async fn trickle(&mut self, bytes: &[u8], pause: Duration, to: &mut WriteHalf<'_>) -> Result<(), Stop> {
        count(&self.link.counted.slowed);
        for (index, byte) in bytes.iter().enumerate() {
            if !matches!(self.link.orders.borrow().weather, Weather::Trickle(_)) {
                return to.write_all(&bytes[index..]).await.map_err(|_| Stop::End);
            }
            to.write_all(&[*byte]).await.map_err(|_| Stop::End)?;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                stop = self.told_to_stop() => return Err(stop),
            }
        }
        Ok(())
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

/// The next close of it is a reset, as of a host that has forgotten the connection.
fn abort(stream: &TcpStream) {
    // It fails on a connection that is gone already, and then there is nothing to reset.
    drop(stream.set_zero_linger());
}
