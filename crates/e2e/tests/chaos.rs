//! Kill -9 of agent, control plane and ledger at random moments, a hundred times, while clients create and revoke.
//!
//! The seed is printed; `GK_CHAOS_SEED` runs it again. Afterwards everything is as it should be: each accepted request is
//! one session, every session is over, no role is left, nobody gets in, and the audit log verifies. A run that killed less
//! often, or in which no login was ever let in, has proven nothing and fails.

#![expect(clippy::print_stdout, reason = "what a test measured or chose is for its reader")]

mod chaos_client;

use chaos_client::{Client, Note, Notes};
use gk_e2e::{Books, Catalog, Stack, TestPg, User, Version, eventually};
use gk_shared::ids::SessionId;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::{JoinHandle, JoinSet};

/// Kills in each burst; after each burst all has to come to rest, which takes as long as a lease of a killed agent.
const BURSTS: [u32; 1] = [104];
const LEAST_KILLS: u32 = 100;
const CLIENTS: u64 = 6;
/// Longer than a lease: what a killed agent held is free again by then.
const REST: Duration = Duration::from_secs(60);

/// Exit code of what could not reach its ledger.
const NO_LEDGER: i32 = 9;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Victim {
    Agent,
    Plane,
    Ledger,
}

impl Victim {
    fn pick(random: &mut StdRng) -> Self {
        match random.random_range(0..100) {
            0..40 => Self::Agent,
            40..80 => Self::Plane,
            _ => Self::Ledger,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_kills_at_random_lose_no_session_and_leave_no_login() {
    let seed = seed();
    println!("GK_CHAOS_SEED={seed}");
    // What a killed server has written is with the system, so nothing is lost without fsync: only a power cut would.
    let mut stack = Stack::with(Version::From16).start().await;
    let (mut random, notes) = (StdRng::seed_from_u64(seed), Notes::default());
    let mut killed: BTreeMap<Victim, u32> = BTreeMap::new();
    let witness = Witness::watch(stack.catalog().await);
    for (burst, kills) in BURSTS.iter().enumerate() {
        let begun = Instant::now();
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for number in 0..CLIENTS {
            let api = stack.plane.as_person(&stack.dana);
            let client = Client::new(api, &format!("burst-{burst}-client-{number}"), random.random(), notes.clone());
            clients.spawn(client.run(Arc::clone(&stop)));
        }
        for _ in 0..*kills {
            tokio::time::sleep(calm(&mut random)).await;
            let victim = Victim::pick(&mut random);
            kill(&mut stack, victim).await;
            *killed.entry(victim).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..120))).await;
            restart(&mut stack, victim).await;
        }
        let storm = begun.elapsed();
        stop.store(true, Ordering::Relaxed);
        while let Some(client) = clients.join_next().await {
            client.expect("no client panics");
        }
        let books = stack.books().await;
        eventually(REST, "every session is over", async || {
            supervise(&mut stack);
            books.all_over().await
        })
        .await;
        println!(
            "burst {burst}: {kills} kills in {storm:.1?}, at rest {:.1?} later",
            begun.elapsed().saturating_sub(storm)
        );
        assert_nothing_is_left(&stack.catalog().await, &books).await;
    }
    println!("killed: {killed:?}");
    assert!(killed.values().sum::<u32>() >= LEAST_KILLS && killed.len() == 3, "{killed:?}");
    judge(&stack, &notes).await;
    witness.saw_only(&stack.books().await).await;
}

/// Looks at the target all the while: what was there for a moment only counts, too.
struct Witness {
    stop: Arc<AtomicBool>,
    seen: JoinHandle<BTreeSet<SessionId>>,
}

impl Witness {
    fn watch(catalog: Catalog) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let seen = tokio::spawn(async move {
            let mut seen = BTreeSet::new();
            while !told.load(Ordering::Relaxed) {
                seen.extend(catalog.roles().await.iter().map(|role| role.session));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            seen
        });
        Self { stop, seen }
    }

    /// No role was ever there without a session in the ledger.
    async fn saw_only(self, books: &Books) {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.seen.await.expect("the witness does not panic");
        let known: BTreeSet<_> = books.sessions().await.iter().map(|session| session.id).collect();
        println!("{} roles seen", seen.len());
        assert!(!seen.is_empty(), "no role was ever seen");
        assert!(seen.is_subset(&known), "roles without a session: {:?}", seen.difference(&known));
    }
}

/// Until the next kill: mostly in the middle of starting up again, sometimes long enough to get something done.
fn calm(random: &mut StdRng) -> Duration {
    let range = if random.random_ratio(1, 5) { 500..1500 } else { 20..300 };
    Duration::from_millis(random.random_range(range))
}

fn seed() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the one switch of this test: a run that failed is run again")]
    let given = std::env::var("GK_CHAOS_SEED").ok();
    given.map_or_else(|| rand::rng().random(), |text| text.parse().expect("GK_CHAOS_SEED is a whole number"))
}

async fn kill(stack: &mut Stack, victim: Victim) {
    match victim {
        Victim::Agent => stack.agent().kill9(),
        Victim::Plane => stack.plane.process.kill9(),
        Victim::Ledger => stack.plane.ledger.kill9(),
    }
}

/// Only the victim is started again: the others have to live through it.
async fn restart(stack: &mut Stack, victim: Victim) {
    match victim {
        Victim::Agent => stack.agent().start(),
        Victim::Plane => stack.plane.process.start(),
        Victim::Ledger => stack.plane.ledger.start_again().await,
    }
    supervise(stack);
}

/// What every supervisor does. A control plane that finds no ledger when it starts says so and ends; nothing else may.
fn supervise(stack: &mut Stack) {
    assert_eq!(stack.agent().ended(), None, "the agent ended by itself");
    if let Some(status) = stack.plane.process.ended() {
        assert_eq!(status.code(), Some(NO_LEDGER), "the control plane ended by itself");
        stack.plane.process.start();
    }
}

async fn assert_nothing_is_left(catalog: &Catalog, books: &Books) {
    let (roles, sessions) = (catalog.roles().await, books.sessions().await);
    let known: BTreeSet<_> = sessions.iter().map(|session| session.id).collect();
    for role in &roles {
        assert!(known.contains(&role.session), "a role without a session: {role:?}");
        assert!(!role.can_login && role.backends == 0, "a role of an ended session can still be used: {role:?}");
    }
    assert_eq!(roles, [], "every session is over, so no role is left");
}

/// What clients were told, against what is.
async fn judge(stack: &Stack, notes: &Notes) {
    let notes = notes.taken();
    let books = stack.books().await;
    let (keys, sessions): (BTreeMap<_, _>, _) = (books.keys().await.into_iter().collect(), books.sessions().await);
    let logins: usize = notes.iter().map(|note| note.logins).sum();
    let revoked = notes.iter().filter(|note| note.revoked).count();
    println!("{} requests accepted, {} sessions, {revoked} revoked, {logins} logins", notes.len(), sessions.len());
    assert!(logins > 0, "no login was ever let in, so nothing was proven");
    assert!(revoked > 0 && revoked < notes.len(), "some are revoked, some run out");
    for note in &notes {
        assert_eq!(note.sessions.len(), 1, "one request was given more than one session: {note:?}");
        assert_eq!(keys.get(&note.key), note.sessions.first(), "an accepted request was lost: {note:?}");
    }
    assert_eq!(keys.len(), sessions.len(), "each session was asked for once");
    let accepted: BTreeSet<_> = notes.iter().map(|note| &note.key).collect();
    assert!(keys.keys().all(|key| accepted.contains(key)), "every client repeats until it is answered");
    assert_statuses_fit(&books, &notes).await;
    nobody_gets_in(&notes, &stack.target).await;
    for session in &sessions {
        assert_eq!(books.audited(session.id, "session.requested").await, 1, "{session:?}");
        assert_eq!(books.audited(session.id, "session.cleaned").await, 1, "{session:?}");
    }
    stack.gk_admin(&["audit", "verify"]).await.ok();
}

async fn assert_statuses_fit(books: &Books, notes: &[Note]) {
    let mut count: BTreeMap<String, u32> = BTreeMap::new();
    for session in books.sessions().await {
        assert!(["revoked", "expired", "failed"].contains(&session.status.as_str()), "{session:?}");
        *count.entry(session.status).or_default() += 1;
    }
    println!("ended as {count:?}, of {} requests", notes.len());
}

/// Every credential that was ever handed out is refused.
async fn nobody_gets_in(notes: &[Note], target: &TestPg) {
    let dsns: Vec<&String> = notes.iter().filter_map(|note| note.dsn.as_ref()).collect();
    assert!(!dsns.is_empty(), "nobody ever got a credential");
    for dsn in dsns {
        let refused = User::login(dsn).await.expect_err("an ended session's login");
        assert!(refused.as_db_error().is_some(), "the target on port {} does not answer: {refused}", target.port());
    }
}
