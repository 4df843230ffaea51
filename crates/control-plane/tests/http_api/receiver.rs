//! A receiver of deliveries that answers as a test wants: it takes them, refuses, hangs, sends elsewhere, hangs up.
//!
//! It checks signatures by itself, with SHA-256 alone: it shares no code with what signs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the receiver does with a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Takes it.
    Take,
    /// Answers with this status.
    Refuse(u16),
    /// Says nothing, ever.
    Hang,
    /// Sends the caller to itself, with what would be taken there.
    Redirect,
    /// Hangs up in the middle of its answer, having kept what came.
    HangUp,
    /// Hangs up before the whole body is there.
    Cut,
}

/// A delivery as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) act: Act,
    pub(crate) path: String,
    pub(crate) id: String,
    pub(crate) at: i64,
    pub(crate) signature: String,
    pub(crate) body: String,
}

#[derive(Default)]
struct Book {
    acts: VecDeque<Act>,
    /// What is done when there is nothing else to do.
    after: Option<Act>,
    got: Vec<Got>,
}

/// The receiver. It goes when it is dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    key: Vec<u8>,
    book: Arc<Mutex<Book>>,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    /// A receiver that does these things in turn, and takes whatever comes after.
    pub(crate) async fn start(acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/audit?tenant=1", listener.local_addr().unwrap());
        let book = Arc::new(Mutex::new(Book { acts: acts.iter().copied().collect(), ..Book::default() }));
        let theirs = Arc::clone(&book);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&theirs)));
            }
        });
        Self { url, key: vec![7; 32], book, serving }
    }

    /// What it shares with the sender, as a file holds it.
    pub(crate) fn secret(&self) -> String {
        format!("whsec_{}", STANDARD.encode(&self.key))
    }

    /// What it does from now on.
    pub(crate) fn always(&self, act: Act) {
        self.book.lock().unwrap().after = Some(act);
    }

    /// All that came, in order.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.book.lock().unwrap().got.clone()
    }

    /// The lines of what it took, in order, each delivery once.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let mut lines = Vec::new();
        for got in self.got().into_iter().filter(|got| matches!(got.act, Act::Take | Act::HangUp)) {
            if !seen.contains(&got.id) {
                lines.extend(got.body.lines().map(ToOwned::to_owned));
                seen.push(got.id);
            }
        }
        lines
    }

    /// Whether the signature holds for these bytes.
    pub(crate) fn verifies(&self, got: &Got) -> bool {
        let signed = format!("{}.{}.{}", got.id, got.at, got.body);
        let wanted = format!("v1,{}", STANDARD.encode(hmac(&self.key, signed.as_bytes())));
        got.signature.split(' ').any(|one| one == wanted)
    }
}

/// RFC 2104, by hand.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let with = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new().chain_update(with(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(with(0x5c)).chain_update(inner).finalize().to_vec()
}

async fn serve(mut stream: TcpStream, book: Arc<Mutex<Book>>) {
    while let Some((head, rest)) = head(&mut stream).await {
        let act = {
            let mut book = book.lock().unwrap();
            let after = book.after.unwrap_or(Act::Take);
            book.acts.pop_front().unwrap_or(after)
        };
        let length: usize = header(&head, "content-length").parse().unwrap();
        if act == Act::Cut {
            return;
        }
        let mut body = rest;
        while body.len() < length {
            if stream.read_buf(&mut body).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let got = Got {
            act,
            path: head.split(' ').nth(1).unwrap().to_owned(),
            id: header(&head, "webhook-id"),
            at: header(&head, "webhook-timestamp").parse().unwrap(),
            signature: header(&head, "webhook-signature"),
            body: String::from_utf8(body).unwrap(),
        };
        assert_eq!(header(&head, "content-type"), "application/x-ndjson");
        book.lock().unwrap().got.push(got);
        let answer = match act {
            Act::Take => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
            Act::Refuse(status) => format!("HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n"),
            Act::Redirect => "HTTP/1.1 307 Elsewhere\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".to_owned(),
            Act::HangUp => "HTTP/1.1 20".to_owned(),
            Act::Hang => return std::future::pending().await,
            Act::Cut => return,
        };
        let written = stream.write_all(answer.as_bytes()).await;
        if written.is_err() || act == Act::HangUp {
            return;
        }
    }
}

/// The head of the next request, and what came behind it already.
async fn head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Some((String::from_utf8(bytes).unwrap(), rest));
        }
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

fn header(head: &str, name: &str) -> String {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned());
    let all: Vec<String> = found.collect();
    assert_eq!(all.len(), 1, "{name} in {head}");
    all.into_iter().next().unwrap()
}
