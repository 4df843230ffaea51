//! A client that goes on while everything around it is killed: it repeats each request, with the same key, until it is
//! answered, and notes what it was told.

use gk_e2e::{Api, TARGET, User};
use gk_shared::ids::SessionId;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const AGAIN: Duration = Duration::from_millis(40);
/// Short, so that some sessions run out in the middle of it all.
const TTL_SECONDS: std::ops::Range<u32> = 5..12;

/// What came of one request.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    /// Its idempotency key.
    pub(crate) key: String,
    /// Every session that it was answered with.
    pub(crate) sessions: Vec<SessionId>,
    /// The credential, if it was handed out.
    pub(crate) dsn: Option<String>,
    /// How often that was let in.
    pub(crate) logins: usize,
    /// Whether a revocation was accepted.
    pub(crate) revoked: bool,
}

/// The notes of all clients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<Note>>>);

impl Notes {
    fn add(&self, note: Note) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    pub(crate) fn taken(&self) -> Vec<Note> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) struct Client {
    api: Api,
    name: String,
    random: StdRng,
    notes: Notes,
}

impl Client {
    pub(crate) fn new(api: Api, name: &str, seed: u64, notes: Notes) -> Self {
        Self { api, name: name.to_owned(), random: StdRng::seed_from_u64(seed), notes }
    }

    /// Asks for one session after the other, each to its end, until it is told to stop.
    pub(crate) async fn run(mut self, stop: Arc<AtomicBool>) {
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            let note = self.one(format!("{}-request-{number:04}", self.name)).await;
            self.notes.add(note);
        }
    }

    async fn one(&mut self, key: String) -> Note {
        let ttl = self.random.random_range(TTL_SECONDS);
        let role = if self.random.random() { "app_read" } else { "app_write" };
        let body = json!({ "target": TARGET, "role": role, "ttlSeconds": ttl, "reason": "chaos" });
        let mut note = Note { key, sessions: Vec::new(), dsn: None, logins: 0, revoked: false };
        // Some repeat although they were answered, as a client does whose answer was lost.
        for _ in 0..self.random.random_range(1..=2) {
            let id = self.asked(&note.key, &body).await;
            if !note.sessions.contains(&id) {
                note.sessions.push(id);
            }
        }
        let id = note.sessions[0];
        match self.random.random_range(0..10) {
            // At once, mostly before it is made.
            0..3 => note.revoked = self.revoked(id).await,
            3..7 => {
                self.uses(id, &mut note).await;
                note.revoked = self.revoked(id).await;
            }
            // Left to its end.
            _ => self.uses(id, &mut note).await,
        }
        note
    }

    /// Asks until it is answered.
    async fn asked(&self, key: &str, body: &serde_json::Value) -> SessionId {
        loop {
            match self.api.create(key, "", body).await {
                Ok(answer) if answer.is_success() => {
                    return answer
                        .text("sessionId")
                        .parse()
                        .unwrap_or_else(|_| panic!("no session in {}", answer.body));
                }
                Ok(answer) => assert_passes(answer.status, &answer.body),
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Waits a while for the credential, and logs in with it.
    async fn uses(&self, id: SessionId, note: &mut Note) {
        for _ in 0..50 {
            match self.api.get(&format!("/v1/sessions/{id}")).await {
                Ok(answer) if answer.body["dsn"].is_string() => {
                    note.dsn = Some(answer.text("dsn").to_owned());
                    break;
                }
                Ok(answer) if answer.is_success() && answer.text("status") != "provisioning" => break,
                Ok(answer) if answer.is_success() => {}
                Ok(answer) => assert_passes(answer.status, &answer.body),
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
        let Some(dsn) = &note.dsn else { return };
        if let Ok(user) = User::login(dsn).await
            && user.client.query("SELECT * FROM orders LIMIT 1", &[]).await.is_ok()
        {
            note.logins += 1;
        }
    }

    /// Revokes until that is accepted. One that is over already is no revocation.
    async fn revoked(&self, id: SessionId) -> bool {
        loop {
            match self.api.post(&format!("/v1/sessions/{id}/revoke"), &json!({})).await {
                Ok(answer) if answer.is_success() => return true,
                Ok(answer) if answer.status == 409 => return false,
                Ok(answer) => assert_passes(answer.status, &answer.body),
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// The only errors that clients may see are those that pass.
fn assert_passes(status: u16, body: &serde_json::Value) {
    assert!(body["retryable"] == true && status >= 500 || status == 429, "{status} {body}");
}
