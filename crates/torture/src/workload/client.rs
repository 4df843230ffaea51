//! One client: one session after the other, each used in a way that chance decides.

use super::caller::Wish;
use super::{Made, Place};
use gk_e2e::User;
use gk_shared::ids::SessionId;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Short, so that some sessions run out in the middle of it all.
const TTL_SECONDS: std::ops::Range<u32> = 5..12;
/// A fault is over by then.
const ASKS: Duration = Duration::from_secs(240);
const CREDENTIAL: Duration = Duration::from_secs(8);
/// Longer than any session lasts: what is still connected then is the judge's business.
const HOLDS: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// A client.
#[derive(Debug)]
pub struct Client {
    place: Place,
    name: String,
    random: StdRng,
}

impl Client {
    /// A client of this name. Names make keys, so no two clients of a stage share one.
    #[must_use]
    pub fn new(place: Place, name: &str, seed: u64) -> Self {
        Self { place, name: name.to_owned(), random: StdRng::seed_from_u64(seed) }
    }

    /// Works until it is told to stop, and then ends what it is at.
    pub async fn work(mut self, stop: Arc<AtomicBool>) {
        let mut number = 0_u32;
        while !stop.load(Ordering::Relaxed) {
            number += 1;
            self.one(format!("{}-request-{number:04}", self.name)).await;
        }
    }

    async fn one(&mut self, key: String) {
        let role = if self.random.random() { "app_read" } else { "app_write" };
        let wish = Wish { key, role, ttl: self.random.random_range(TTL_SECONDS) };
        let Some(session) = self.place.caller.ask_until(&wish, ASKS).await else { return };
        // Some repeat although they were answered, as a client does whose answer was lost.
        if self.random.random_ratio(1, 3) {
            let _ = self.place.caller.ask(&wish, "").await;
        }
        match self.random.random_range(0..10) {
            // At once, mostly before it is made.
            0..2 => {
                self.place.caller.revoke(session, ASKS).await;
            }
            2..5 => self.uses_and_revokes(session, role).await,
            5..7 => self.holds_on(session).await,
            7 => self.storms(session).await,
            8 => self.extends(session, wish.ttl).await,
            // Left to its end, untouched.
            _ => {}
        }
    }

    async fn login(&self, session: SessionId) -> Option<(User, String)> {
        let dsn = self.place.caller.credential(session, CREDENTIAL).await?;
        let user = self.place.bench.login(session, &dsn).await?;
        Some((user, dsn))
    }

    async fn uses_and_revokes(&mut self, session: SessionId, role: &str) {
        let user = self.login(session).await;
        if let Some((user, _)) = &user {
            drop(user.client.query("SELECT * FROM orders LIMIT 1", &[]).await);
            if role == "app_write" {
                self.makes(session, user).await;
            }
        }
        self.place.caller.revoke(session, ASKS).await;
        if let Some((user, _)) = user {
            self.waits_for_the_cut(&user).await;
        }
    }

    /// A table with rows, which are his for ever once the server has said so.
    async fn makes(&self, session: SessionId, user: &User) {
        let id = session.to_string().to_lowercase();
        let name = format!("made_{}", &id[id.len() - 12..]);
        let rows: i64 = 7;
        let sql = format!("CREATE TABLE {name} AS SELECT g AS a FROM generate_series(1, {rows}) g");
        if user.client.batch_execute(&sql).await.is_ok() {
            self.place.things.add(Made { name, rows });
        }
    }

    /// Connected until he is thrown out.
    async fn holds_on(&self, session: SessionId) {
        if let Some((user, _)) = self.login(session).await {
            self.waits_for_the_cut(&user).await;
        }
    }

    async fn waits_for_the_cut(&self, user: &User) {
        let begun = Instant::now();
        while begun.elapsed() < HOLDS {
            if user.is_cut() {
                return self.place.bench.tally.cut();
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Connects again as soon as he is thrown out, until he is refused for good.
    async fn storms(&mut self, session: SessionId) {
        let Some((user, dsn)) = self.login(session).await else { return };
        let revoked = self.place.caller.revoke(session, ASKS);
        let raging = async {
            let begun = Instant::now();
            let mut held = Some(user);
            while begun.elapsed() < Duration::from_secs(3) {
                held = match held {
                    Some(user) if user.is_cut() => {
                        self.place.bench.tally.cut();
                        None
                    }
                    Some(user) => Some(user),
                    None => self.place.bench.login(session, &dsn).await,
                };
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::join!(revoked, raging);
    }

    /// More time in the middle, and then to the end.
    async fn extends(&self, session: SessionId, ttl: u32) {
        let Some((user, _)) = self.login(session).await else { return };
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.place.caller.extend(session, ttl).await;
        self.waits_for_the_cut(&user).await;
    }
}
