//! A caller of the control plane who tells the judge every answer.

use crate::evidence::{Answer, Asked, Evidence};
use crate::oracle::{Bench, Credential};
use gk_e2e::{Api, TARGET};
use gk_shared::ids::SessionId;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Longer than the control plane takes by its own time-outs.
const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(40);

/// Somebody with a token.
#[derive(Debug, Clone)]
pub struct Caller {
    api: Api,
    bench: Bench,
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The idempotency key.
    pub key: String,
    /// The pack.
    pub role: &'static str,
    /// Seconds.
    pub ttl: u32,
}

impl Wish {
    fn body(&self) -> Value {
        json!({ "target": TARGET, "role": self.role, "ttlSeconds": self.ttl, "reason": "torture" })
    }
}

/// How a session is, as its requester is told.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Its status word.
    pub status: String,
    /// Its connection string, if it has one.
    pub dsn: Option<String>,
}

impl Caller {
    /// Calls with this API.
    #[must_use]
    pub const fn new(api: Api, bench: Bench) -> Self {
        Self { api, bench }
    }

    /// The bench that it tells things.
    #[must_use]
    pub const fn bench(&self) -> &Bench {
        &self.bench
    }

    /// Asks once for a session; none if that was not answered, or with an error that passes.
    pub async fn ask(&self, wish: &Wish, query: &str) -> Option<SessionId> {
        let body = wish.body();
        let asked = self.api.create(&wish.key, query, &body);
        let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
        let given = answer.is_success().then(|| answer.text("sessionId").parse().ok()).flatten();
        self.tell(Asked::Session { key: wish.key.clone(), given }, &answer);
        given
    }

    /// Asks until it is answered, with the same key; none if that takes longer than `within`.
    pub async fn ask_until(&self, wish: &Wish, within: Duration) -> Option<SessionId> {
        let begun = Instant::now();
        loop {
            if let Some(session) = self.ask(wish, "").await {
                self.bench.tally.session();
                return Some(session);
            }
            if begun.elapsed() > within {
                return None;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Asks once for a session that a fault expects to be refused, and gives the code; none if it was given or nobody
    /// answered. Whether the code is the right one is for the fault to say, so the judge hears of a session alone.
    pub async fn refusal(&self, wish: &Wish) -> Option<String> {
        let body = wish.body();
        let answer = tokio::time::timeout(PATIENCE, self.api.create(&wish.key, "", &body)).await.ok()?.ok()?;
        if !answer.is_success() {
            return Some(answer.text("code").to_owned());
        }
        let given = answer.text("sessionId").parse().ok();
        self.tell(Asked::Session { key: wish.key.clone(), given }, &answer);
        None
    }

    /// How a session is; none if that was not answered.
    pub async fn look(&self, session: SessionId) -> Option<Told> {
        let path = format!("/v1/sessions/{session}");
        let asked = self.api.get(&path);
        let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
        self.tell(Asked::Look(session), &answer);
        let dsn = answer.body["dsn"].as_str().map(str::to_owned);
        answer.is_success().then(|| Told { status: answer.text("status").to_owned(), dsn })
    }

    /// Waits a while for the credential of a session, and keeps it where the prober finds it.
    pub async fn credential(&self, session: SessionId, within: Duration) -> Option<String> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            match self.look(session).await {
                Some(Told { dsn: Some(dsn), .. }) => {
                    let since = self.bench.now();
                    self.bench.vault.keep(Credential { session, dsn: dsn.clone(), since });
                    return Some(dsn);
                }
                Some(told) if told.status != "provisioning" => return None,
                Some(_) | None => tokio::time::sleep(AGAIN).await,
            }
        }
        None
    }

    /// Revokes until that is accepted; false if the session was over already, or nobody answered in time.
    pub async fn revoke(&self, session: SessionId, within: Duration) -> bool {
        let begun = Instant::now();
        loop {
            let empty = json!({});
            let path = format!("/v1/sessions/{session}/revoke");
            if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, self.api.post(&path, &empty)).await {
                self.tell(Asked::Revoke(session), &answer);
                if answer.is_success() {
                    self.bench.tally.revoked();
                    return true;
                }
                if answer.status == 409 {
                    return false;
                }
            }
            if begun.elapsed() > within {
                return false;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Asks once for more time.
    pub async fn extend(&self, session: SessionId, ttl: u32) {
        let body = json!({ "ttlSeconds": ttl });
        let path = format!("/v1/sessions/{session}/extend");
        if let Ok(Ok(answer)) = tokio::time::timeout(PATIENCE, self.api.post(&path, &body)).await {
            self.tell(Asked::Extend(session), &answer);
        }
    }

    fn tell(&self, asked: Asked, answer: &gk_e2e::Answer) {
        self.bench.court.hear(&Evidence::Answer(Answer {
            at: self.bench.now(),
            asked,
            status: answer.status,
            code: answer.text("code").to_owned(),
            retryable: answer.body["retryable"] == true,
        }));
    }
}
