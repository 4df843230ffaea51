//! The oracle: looks at ledger and target ten times a second, tries credentials, and tells the judge.

use crate::evidence::{Evidence, Login, Sight};
use crate::judge::Court;
use crate::part::Outages;
use crate::sight::{Eye, TargetEye, ledger_sight};
use crate::tally::Tally;
use gk_e2e::User;
use gk_shared::ids::SessionId;
use jiff::Timestamp;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

const EVERY: Duration = Duration::from_millis(100);
/// Between two tries of the prober: each costs the server some milliseconds of its processor.
const PROBE_EVERY: Duration = Duration::from_millis(60);
/// How long after it was handed out a credential is tried all the time. Sessions of the workload last seconds.
const PROBED: Duration = Duration::from_secs(45);
const LOGIN_PATIENCE: Duration = Duration::from_secs(6);

/// What everybody who works on a stage holds: where to tell things, and what time it is.
#[derive(Debug, Clone)]
pub struct Bench {
    /// The judge.
    pub court: Court,
    /// What was seen.
    pub tally: Tally,
    /// What is out of action.
    pub outages: Outages,
    /// Every credential that was handed out.
    pub vault: Vault,
    begun: Instant,
}

impl Bench {
    /// A bench for a new stage.
    #[must_use]
    pub fn new(court: Court) -> Self {
        let (tally, outages, vault) = (Tally::default(), Outages::default(), Vault::default());
        Self { court, tally, outages, vault, begun: Instant::now() }
    }

    /// Time since the stage was set.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Tries a credential, and tells what came of it.
    pub async fn login(&self, session: SessionId, dsn: &str) -> Option<User> {
        let tried = tokio::time::timeout(LOGIN_PATIENCE, User::login(dsn)).await.ok()?;
        match tried {
            Ok(user) => {
                let sql = "-- oracle::began\nSELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
                let row = tokio::time::timeout(LOGIN_PATIENCE, user.client.query_one(sql, &[])).await.ok()?.ok()?;
                let began: Timestamp = row.get(0);
                self.tally.let_in();
                self.tell_login(session, Some(began), None);
                Some(user)
            }
            Err(error) => {
                let code = error.as_db_error().map(|refusal| refusal.code().code().to_owned());
                // Anything else says nothing about the credential: too many connections, a server that starts up.
                if let Some(code) = code.filter(|code| code.starts_with("28")) {
                    self.tally.refused();
                    self.tell_login(session, None, Some(code));
                }
                None
            }
        }
    }

    fn tell_login(&self, session: SessionId, let_in: Option<Timestamp>, refusal: Option<String>) {
        self.court.hear(&Evidence::Login(Login { at: self.now(), session, let_in, refusal }));
    }
}

/// A credential.
#[derive(Clone)]
pub struct Credential {
    /// Whose.
    pub session: SessionId,
    /// The connection string.
    pub dsn: String,
    /// When it was handed out.
    pub since: Duration,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credential").field("session", &self.session).finish_non_exhaustive()
    }
}

/// All credentials that were handed out.
#[derive(Debug, Clone, Default)]
pub struct Vault(Arc<Mutex<Vec<Credential>>>);

impl Vault {
    /// Keeps one more.
    pub fn keep(&self, credential: Credential) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(credential);
    }

    /// All of them, the oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Credential> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn newest_since(&self, since: Duration) -> Vec<Credential> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = all.partition_point(|credential| credential.since < since);
        all[from..].to_vec()
    }
}

/// Tasks that watch until this is dropped.
#[derive(Debug)]
pub struct Oracle(Vec<JoinHandle<()>>);

impl Oracle {
    /// Begins to watch.
    #[must_use]
    pub fn watch(bench: &Bench, ledger: Eye, target: TargetEye) -> Self {
        Self(vec![tokio::spawn(look(bench.clone(), ledger, target)), tokio::spawn(probe(bench.clone()))])
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn look(bench: Bench, mut ledger: Eye, mut target: TargetEye) {
    loop {
        let before = bench.outages.now();
        let (ledger, target) = (ledger_sight(&mut ledger).await, target.look().await);
        let out = before.or(bench.outages.now());
        bench.tally.looked();
        bench.court.hear(&Evidence::Sight(Box::new(Sight { at: bench.now(), out, ledger, target })));
        tokio::time::sleep(EVERY).await;
    }
}

/// Tries what was handed out lately, one after the other, for ever.
async fn probe(bench: Bench) {
    let mut next = 0_usize;
    loop {
        let lately = bench.vault.newest_since(bench.now().saturating_sub(PROBED));
        if !lately.is_empty() {
            next = (next + 1) % lately.len();
            let credential = &lately[next];
            drop(bench.login(credential.session, &credential.dsn).await);
        }
        tokio::time::sleep(PROBE_EVERY).await;
    }
}
