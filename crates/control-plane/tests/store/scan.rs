//! The clocks: what is over ends, what was lost comes back, what is old goes.

use std::time::Duration;

use gk_control_plane::clock;
use gk_control_plane::notary::{AuditConfig, Notary};
use gk_control_plane::store::{Origin, cleanup, jobs, scan, sessions, status};
use gk_shared::session::{EndReason, Intent, SessionStatus};
use gk_shared::wire::cleanup::RunCleanup;
use gk_testkit::eventually;
use tokio_util::sync::CancellationToken;

use crate::support::{Books, TAKEN, connect, ended, request, slots, stuck};

const EXPIRE: &str = "UPDATE sessions SET expires_at = now() - interval '1 second' WHERE expires_at IS NOT NULL";

fn notary() -> Notary {
    Notary::new(&AuditConfig::default())
}

#[tokio::test]
async fn an_expired_session_ends_even_when_the_jobs_table_was_emptied() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let making = books.create(&ada).await;
    books.force(EXPIRE).await;
    let done = scan::run(&books.ledger).await.expect("scans");
    assert_eq!((done.expired, done.timed_out), (1, 0));
    assert_eq!(books.find(session.id).await.facts.intent, Intent::Absent(EndReason::Expired));
    books.force("TRUNCATE jobs").await;
    assert!(books.claim(&agent).await.is_empty());
    assert_eq!(scan::run(&books.ledger).await.expect("scans").requeued, 2);
    assert_eq!(scan::run(&books.ledger).await.expect("scans"), scan::Scanned::default());
    let leases = books.claim(&agent).await;
    assert_eq!(leases.iter().map(|lease| lease.job.session()).collect::<Vec<_>>(), [session.id, making.id]);
    assert_eq!(books.result(&agent, &leases[0], ended()).await, TAKEN);
    assert_eq!(books.status(session.id).await, SessionStatus::Expired);
    assert_eq!(books.find(session.id).await.ended_by.as_deref(), Some("system"));
}

#[tokio::test]
async fn a_revoke_waits_behind_no_expiry_even_when_the_jobs_table_was_emptied() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let mut expired = Vec::new();
    for _ in 0..3 {
        expired.push(books.ready(&ada, &agent).await.0);
    }
    books.force(EXPIRE).await;
    assert_eq!(scan::run(&books.ledger).await.expect("scans").expired, 3);
    let (session, _) = books.ready(&ada, &agent).await;
    books.revoke(&ada, session.id).await;
    let first = async || {
        let leases = jobs::claim(&books.ledger, &agent, &slots(0, 1, 0)).await.expect("claims");
        leases.first().map(|lease| lease.job.session())
    };
    assert_eq!(first().await, Some(session.id), "the youngest of four ends");
    books.force("TRUNCATE jobs").await;
    assert_eq!(scan::run(&books.ledger).await.expect("scans").requeued, 4);
    assert_eq!(first().await, Some(session.id));
    let stuck = expired[0].id;
    let fails = format!(
        "UPDATE jobs SET lane = 2, run_at = now() - interval '1 hour' WHERE session_id = '{}' AND state = 'queued'",
        stuck.uuid()
    );
    books.force(&fails).await;
    assert_eq!(books.claim(&agent).await.last().map(|lease| lease.job.session()), Some(stuck), "what keeps failing");
}

#[tokio::test]
async fn the_oldest_uncut_end_counts_whether_the_clocks_acted_on_it_or_not() {
    let books = Books::open().await;
    let uncut = async || status::gauges(&books.ledger).await.expect("counts").oldest_uncut_seconds;
    assert!(uncut().await < 0.001, "there is no session");
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    assert!(uncut().await < 0.001, "it is not over");
    books.force("UPDATE sessions SET expires_at = now() - interval '200 seconds'").await;
    assert!(uncut().await >= 200.0, "nobody has ended it");
    scan::run(&books.ledger).await.expect("scans");
    assert!(uncut().await >= 200.0, "it is wished for, and not done");
    let lease = books.claim_one(&agent).await;
    assert_eq!(books.result(&agent, &lease, ended()).await, TAKEN);
    assert_eq!(books.status(session.id).await, SessionStatus::Expired);
    assert!(uncut().await < 0.001, "it is over");
}

#[tokio::test]
async fn a_session_that_is_not_ready_in_time_has_failed_and_is_cleaned_up() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let claimed = books.create(&ada).await;
    books.claim_one(&agent).await;
    let untouched = books.create(&ada).await;
    books.force("UPDATE sessions SET provision_deadline = now() - interval '1 second'").await;
    assert_eq!(scan::run(&books.ledger).await.expect("scans").timed_out, 2);
    assert_eq!(books.status(untouched.id).await, SessionStatus::Failed, "nobody had it, so nothing is left of it");
    assert_eq!(books.status(claimed.id).await, SessionStatus::Revoking, "an agent may be making it right now");
    assert_eq!(books.find(claimed.id).await.error.expect("says why").code, "provision_timeout");
    let lease = books.claim_one(&agent).await;
    assert_eq!(books.result(&agent, &lease, ended()).await, TAKEN);
    assert_eq!(books.status(claimed.id).await, SessionStatus::Failed);
}

#[tokio::test]
async fn the_clocks_end_a_session_within_a_moment_of_its_end_and_link_the_log() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let stop = CancellationToken::new();
    let Books { pg, config, ledger, sent } = books;
    let clocks = clock::start(&ledger, &config, &notary(), sent, &stop);
    let (other, sent) = connect(&config);
    let books = Books { pg, config, ledger: other, sent };
    // Another process waits: it hears of the end by NOTIFY, and of the job.
    let theirs = clock::start(&books.ledger, &books.config, &notary(), connect(&books.config).1, &stop);
    let ask = slots(0, 1, 20_000);
    let waiting = jobs::claim(&books.ledger, &agent, &ask);
    let expire = async {
        books.force("UPDATE sessions SET expires_at = clock_timestamp() + interval '300 ms'").await;
    };
    let (leases, ()) = tokio::join!(waiting, expire);
    let lease = leases.expect("claims").pop().expect("got the job");
    assert_eq!(lease.job.session(), session.id);
    let found = books.find(session.id).await;
    let late = "SELECT (extract(epoch FROM end_wanted_at - expires_at) * 1000)::bigint FROM sessions";
    let late = books.count(late).await;
    assert!((0..400).contains(&late), "{late} ms after its end");
    assert_eq!(found.status(), SessionStatus::Revoking);
    eventually(Duration::from_secs(5), "every event is linked", async || {
        match books.count("SELECT count(*) FROM audit_events e WHERE NOT EXISTS (SELECT FROM audit_links l WHERE l.event_id = e.id)").await {
            0 => Ok(()),
            open => Err(format!("{open} are not")),
        }
    })
    .await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), async { (clocks.join().await, theirs.join().await) })
        .await
        .expect("stop");
}

#[tokio::test]
async fn the_clocks_come_back_after_the_ledger_was_away() {
    let mut books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let stop = CancellationToken::new();
    let sent = std::mem::replace(&mut books.sent, tokio::sync::mpsc::channel(1).1);
    let clocks = clock::start(&books.ledger, &books.config, &notary(), sent, &stop);
    books.pg.kill9();
    // A backend may still answer in the moment before it learns that its server is gone.
    eventually(Duration::from_secs(10), "the ledger is away", async || {
        match sessions::find(&books.ledger, session.id, sessions::Viewer::All).await {
            Err(error) if error.code() == gk_shared::problem::ErrorCode::LedgerUnavailable => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    books.pg.start_again().await;
    books.force(EXPIRE).await;
    eventually(Duration::from_secs(10), "the session ends", async || match books.status(session.id).await {
        SessionStatus::Revoking => Ok(()),
        other => Err(other),
    })
    .await;
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), clocks.join()).await.expect("stops");
}

#[tokio::test]
async fn overtaken_jobs_old_jobs_and_old_keys_are_removed_and_nothing_else() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let overtaken = books.create(&ada).await;
    books.revoke(&ada, overtaken.id).await;
    let (live, _) = books.ready(&ada, &agent).await;
    scan::tidy(&books.ledger).await.expect("tidies");
    let state = |state| format!("SELECT count(*) FROM jobs WHERE state = '{state}'");
    assert_eq!((books.count(&state("dead")).await, books.count(&state("done")).await), (1, 1));
    books.force("UPDATE jobs SET finished_at = now() - interval '2 days'").await;
    books.force("UPDATE idempotency_keys SET expires_at = now() - interval '1 s'").await;
    scan::tidy(&books.ledger).await.expect("tidies");
    assert_eq!(books.count("SELECT count(*) FROM jobs").await, 0);
    assert_eq!(books.count("SELECT count(*) FROM idempotency_keys").await, 0);
    assert_eq!(books.status(live.id).await, SessionStatus::Ready);
}

#[tokio::test]
async fn clean_up_names_what_is_left_says_what_is_dangerous_and_tries_again_at_once() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let check = async |lag| cleanup::check(&books.ledger, None, lag).await.expect("checks");
    assert!(check(Duration::ZERO).await.findings.is_empty());
    let (harmless, _) = books.ready(&ada, &agent).await;
    books.revoke(&ada, harmless.id).await;
    let lease = books.claim_one(&agent).await;
    books.result(&agent, &lease, stuck("owns a table in database x")).await;
    books.force("UPDATE jobs SET run_at = now() + interval '1 hour' WHERE state = 'queued'").await;
    let (dangerous, _) = books.ready(&ada, &agent).await;
    books.revoke(&ada, dangerous.id).await;
    assert!(check(Duration::from_secs(60)).await.findings.is_empty(), "not for so long yet");
    let report = check(Duration::ZERO).await;
    assert!(!report.targets[0].looked, "no observation yet");
    let found: Vec<_> = report.findings.iter().map(|one| (one.session_id, one.dangerous)).collect();
    assert_eq!(found, [(dangerous.id, true), (harmless.id, false)]);
    assert_eq!(report.findings[1].detail, "owns a table in database x");
    let run = async |dry_run| {
        let ask = RunCleanup { target: None, dry_run };
        cleanup::run(&books.ledger, Origin::actor("root", request()), &ask).await.expect("runs")
    };
    assert_eq!(run(true).await.sessions.len(), 2);
    let pausing = "SELECT count(*) FROM jobs WHERE state = 'queued' AND run_at > now()";
    assert_eq!(books.count(pausing).await, 1);
    assert_eq!(run(false).await.sessions.len(), 2);
    assert_eq!(books.count(pausing).await, 0);
    assert_eq!(books.events("cleanup.run", "all").await, 1);
}
