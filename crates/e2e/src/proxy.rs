//! A wire between an agent and its target that a test can hold: what the agent sends then waits, and arrives late.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Forwards connections from a port of its own. It ends with the test.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    held: watch::Sender<bool>,
    kept: Arc<Mutex<Vec<u8>>>,
    accepts: JoinHandle<()>,
}

impl Proxy {
    /// Forwards to this port of this machine.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let own = listener.local_addr().expect("a listener has an address").port();
        let (held, watched) = watch::channel(false);
        let kept = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&kept);
        let accepts = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, port, watched.clone(), Arc::clone(&seen)));
            }
        });
        Self { port: own, held, kept, accepts }
    }

    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on nothing that a client sends arrives.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Everything that was held arrives now, also where the client is gone by now.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Ok once something is held that contains this text, for polling.
    ///
    /// # Errors
    /// How much is held.
    pub fn holds(&self, text: &str) -> Result<(), String> {
        let kept = lock(&self.kept);
        let found = kept.windows(text.len()).any(|window| window == text.as_bytes());
        if found { Ok(()) } else { Err(format!("{} bytes are held, none of them {text}", kept.len())) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepts.abort();
    }
}

fn lock(kept: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn forward(client: TcpStream, port: u16, held: watch::Receiver<bool>, kept: Arc<Mutex<Vec<u8>>>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    let up = upstream(from_client, to_server, held, kept);
    let down = tokio::io::copy(&mut from_server, &mut to_client);
    drop(tokio::join!(up, down));
}

/// What the client sends, with the pauses that the test wants. Its end is passed on after what was held.
async fn upstream(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut held: watch::Receiver<bool>,
    kept: Arc<Mutex<Vec<u8>>>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        if *held.borrow() {
            lock(&kept).extend_from_slice(&buffer[..length]);
            // An error means that the proxy is gone, and the test with it.
            drop(held.wait_for(|held| !held).await);
        }
        to.write_all(&buffer[..length]).await?;
    }
}
