//! Wake-ups between processes: LISTEN and NOTIFY on one connection of their own, which comes back when it breaks.
//!
//! A NOTIFY is a statement of its own, sent after the commit that it tells of: inside the transaction it would make
//! commits wait for each other. Nothing depends on its arrival.

use std::collections::HashSet;
use std::future::poll_fn;
use std::time::Duration;

use gk_shared::ids::{SessionId, TargetId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_postgres::{AsyncMessage, Client, Notification, Statement};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Trouble, pause};
use crate::config::LedgerConfig;
use crate::store::StoreError;
use crate::wakeups::{Wake, Wakeups};

const ENDS: &str = "gk_ends";
const BEGINNINGS: &str = "gk_beginnings";
const SESSIONS: &str = "gk_sessions";
const AUDIT: &str = "gk_audit";
/// Wake-ups that one statement sends at most.
const TOGETHER: usize = 256;
/// Between two statements that send: a busy minute's wake-ups travel together, one after a pause at once.
const APART: Duration = Duration::from_millis(10);
/// Between two proofs that the connection still lives.
const PROBE: Duration = Duration::from_secs(10);
/// How long the server may take to answer one statement.
const ANSWER: Duration = Duration::from_secs(5);
/// Before the next try to connect.
const RETRY: Duration = Duration::from_millis(500);

/// A hint need not be on disk.
const LISTEN: &str = "-- notify::listen\nSET synchronous_commit = off; LISTEN gk_ends; LISTEN gk_beginnings; LISTEN gk_sessions; LISTEN gk_audit";
const SEND: &str = "-- notify::send
    SELECT pg_notify(n.channel, n.payload) FROM unnest($1::text[], $2::text[]) AS n (channel, payload)";

pub(super) async fn run(
    config: LedgerConfig,
    wakeups: Wakeups,
    mut outbox: mpsc::Receiver<Wake>,
    stop: CancellationToken,
) {
    let mut trouble = Trouble::default();
    loop {
        let ended = stop.run_until_cancelled(listen(&config, &wakeups, &mut outbox, &mut trouble)).await;
        let Some(broken) = ended else { return };
        trouble.note("wake-ups between processes", Err::<(), _>(broken));
        // Whatever was sent meanwhile is lost; those who wait look again.
        wakeups.wake_all();
        if !pause(&stop, RETRY).await {
            return;
        }
    }
}

/// Serves one connection until it breaks.
async fn listen(
    config: &LedgerConfig,
    wakeups: &Wakeups,
    outbox: &mut mpsc::Receiver<Wake>,
    trouble: &mut Trouble,
) -> StoreError {
    let Connected { client, mut heard, own, send } = match connect(config).await {
        Ok(connected) => connected,
        Err(error) => return error,
    };
    trouble.note("wake-ups between processes", Ok::<_, StoreError>(()));
    wakeups.wake_all();
    let mut batch = Vec::with_capacity(TOGETHER);
    let mut next = Instant::now();
    loop {
        let filled = async {
            tokio::time::sleep_until(next).await;
            outbox.recv_many(&mut batch, TOGETHER).await
        };
        let sent = tokio::select! {
            note = heard.recv() => match note {
                Some(note) => {
                    hear(&note, own, wakeups);
                    Ok(())
                }
                None => Err(StoreError::Unavailable("the connection was closed".into())),
            },
            count = filled => match count {
                // The switchboard is gone, and the process with it.
                0 => std::future::pending().await,
                _ => {
                    next = Instant::now() + APART;
                    tell(&client, &send, std::mem::take(&mut batch)).await
                }
            },
            () = tokio::time::sleep(PROBE) => answer(client.batch_execute("-- notify::probe\nSELECT 1")).await,
        };
        if let Err(error) = sent {
            return error;
        }
    }
}

type Heard = mpsc::UnboundedReceiver<Notification>;

struct Connected {
    client: Client,
    heard: Heard,
    /// This connection's process at the server.
    own: i32,
    send: Statement,
}

async fn connect(config: &LedgerConfig) -> Result<Connected, StoreError> {
    let (client, mut connection) = answer(config.pg().connect(config.tls().connector())).await?;
    let (hear, heard) = mpsc::unbounded_channel();
    // Ends when the client is dropped or the connection breaks; either closes the channel.
    tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(note) = message
                && hear.send(note).is_err()
            {
                return;
            }
        }
    });
    answer(client.batch_execute(LISTEN)).await?;
    let row = answer(client.query_one("-- notify::own\nSELECT pg_backend_pid()", &[])).await?;
    let send = answer(client.prepare(SEND)).await?;
    Ok(Connected { client, heard, own: row.try_get(0)?, send })
}

async fn answer<T>(statement: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER, statement).await {
        Ok(answered) => Ok(answered?),
        Err(late) => Err(StoreError::Unavailable(Box::new(late))),
    }
}

async fn tell(client: &Client, send: &Statement, batch: Vec<Wake>) -> Result<(), StoreError> {
    let once: HashSet<Wake> = batch.into_iter().collect();
    let (channels, payloads): (Vec<&str>, Vec<String>) = once.into_iter().map(written).unzip();
    answer(client.query(send, &[&channels, &payloads])).await.map(drop)
}

fn written(wake: Wake) -> (&'static str, String) {
    match wake {
        Wake::Ends(target) => (ENDS, target.uuid().to_string()),
        Wake::Beginnings(target) => (BEGINNINGS, target.uuid().to_string()),
        Wake::Session(session) => (SESSIONS, session.uuid().to_string()),
        Wake::Audit => (AUDIT, String::new()),
    }
}

/// Passes on what others sent; one's own was heard before it was sent.
fn hear(note: &Notification, own: i32, wakeups: &Wakeups) {
    if note.process_id() == own {
        return;
    }
    if let Some(wake) = read(note.channel(), note.payload()) {
        wakeups.wake_here(wake);
    }
}

fn read(channel: &str, payload: &str) -> Option<Wake> {
    let id = || Uuid::parse_str(payload).ok();
    match channel {
        ENDS => id().map(|id| Wake::Ends(TargetId::from_uuid(id))),
        BEGINNINGS => id().map(|id| Wake::Beginnings(TargetId::from_uuid(id))),
        SESSIONS => id().map(|id| Wake::Session(SessionId::from_uuid(id))),
        AUDIT => Some(Wake::Audit),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wake_up_reads_back_and_nonsense_wakes_nobody() {
        let wakes = [
            Wake::Ends(TargetId::from_parts(1, [1; 10])),
            Wake::Beginnings(TargetId::from_parts(1, [1; 10])),
            Wake::Session(SessionId::from_parts(2, [2; 10])),
            Wake::Audit,
        ];
        for wake in wakes {
            let (channel, payload) = written(wake);
            assert_eq!(read(channel, &payload), Some(wake));
        }
        assert_eq!(read(ENDS, "1; DROP TABLE jobs"), None);
        assert_eq!(read("other", ""), None);
    }
}
