//! Servers that go back: restored from a backup, or replaced by a standby that was behind. Nobody is let back in, and
//! nobody who is there by right is thrown out.

use gk_e2e::{AgentOptions, Answer, SOON, Stack, TARGET, User, Version, eventually, is_refused, on_both_lines};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

on_both_lines!(
    a_target_restored_from_a_backup_lets_nobody_back_in,
    a_standby_that_is_promoted_without_the_last_ends_lets_nobody_back_in,
    a_ledger_restored_from_a_backup_observes_until_it_is_accepted,
);

/// What is missing on a target is believed once the look is surely younger than its making.
const SETTLED: Duration = Duration::from_secs(60);

async fn create(stack: &Stack, key: &str) -> Answer {
    ask(stack, key, "?wait=20s").await
}

async fn ask(stack: &Stack, key: &str, wait: &str) -> Answer {
    let wanted = json!({ "target": TARGET, "role": "app_read", "ttlSeconds": 600, "reason": "test" });
    stack.plane.as_person(&stack.dana).create(key, wait, &wanted).await.expect("it answers")
}

async fn revoke(stack: &Stack, id: &str) {
    stack.gk(&["session", "revoke", id]).await.ok();
}

async fn a_target_restored_from_a_backup_lets_nobody_back_in(version: Version) {
    let mut stack = Stack::start(version).await;
    let (ended, ended_dsn) = stack.session("app_read", "15m").await;
    let (kept, kept_dsn) = stack.session("app_read", "15m").await;
    let backup = stack.target.backup().await;
    revoke(&stack, &ended.to_string()).await;
    let (late, late_dsn) = stack.session("app_read", "15m").await;

    stack.target.restore(&backup).await;
    let catalog = stack.catalog().await;
    eventually(SOON, "who was ended cannot come back", async || is_refused(&ended_dsn).await).await;
    eventually(SOON, "the role that came back is gone", async || catalog.gone(ended).await).await;
    User::login(&kept_dsn).await.expect("who was there before and after is not touched");
    let books = stack.books().await;
    eventually(SETTLED, "what the backup did not have is lost, and said to be", async || {
        books.has_status(late, "failed").await
    })
    .await;
    assert_eq!((books.audited(late, "session.lost").await, catalog.role(late).await), (1, None), "it is not made anew");
    assert!(is_refused(&late_dsn).await.is_ok());
    assert_eq!(books.session(kept).await.status, "ready");
    assert_eq!(create(&stack, "after-the-restore").await.is(201)["status"], "ready");
}

async fn a_standby_that_is_promoted_without_the_last_ends_lets_nobody_back_in(version: Version) {
    let mut stack = Stack::with(version).without_agent().await;
    stack.target.superuser("app").await.batch_execute("GRANT pg_signal_backend TO gk_owner").await.expect("may");
    stack.add_standby().await;
    stack.add_agent("agent-a", AgentOptions::default()).await;
    let (ended, dsn) = stack.session("app_read", "15m").await;
    stack.target.followed_by(&stack.standbys[0]).await;
    let there = User::login(&stack.on_standby(&dsn)).await.expect("a session works on a standby, too");
    stack.standbys[0].stop_following().await;
    let asked = stack.plane.as_person(&stack.dana);
    asked.post(&format!("/v1/sessions/{ended}/revoke"), &json!({})).await.expect("it answers").is(200);
    eventually(SOON, "it is off where it is written", async || is_refused(&dsn).await).await;
    eventually(SOON, "its connection on the standby is cut", async || there.cut()).await;
    let books = stack.books().await;
    eventually(SOON, "the session waits for the standby, and says so", async || {
        let sql = "SELECT count(*) FROM sessions WHERE error ->> 'code' = 'end_unproven'";
        if books.count(sql).await == 1 { Ok(()) } else { Err(books.session(ended).await.status) }
    })
    .await;
    assert_eq!(books.session(ended).await.status, "revoking", "it is not called over");

    stack.target.kill9();
    stack.standbys[0].promote().await;
    let back = stack.on_standby(&dsn);
    eventually(SOON, "who was ended cannot come back", async || is_refused(&back).await).await;
    let fresh = eventually(SOON, "sessions are made on the new primary", async || {
        let made = create(&stack, "after-the-failover").await;
        if made.body["status"] == "ready" { Ok(made.body) } else { Err(made.body.to_string()) }
    });
    let dsn = fresh.await["dsn"].as_str().expect("it has one").to_owned();
    User::login(&stack.on_standby(&dsn)).await.expect("it works there");
    assert_eq!(books.session(ended).await.status, "revoking", "the old primary has not shown that nobody is left");
    stack.target.start_again().await;
    eventually(SETTLED, "both have shown it", async || books.has_status(ended, "revoked").await).await;
}

async fn a_ledger_restored_from_a_backup_observes_until_it_is_accepted(version: Version) {
    let mut stack = Stack::start(version).await;
    let (known, known_dsn) = stack.session("app_read", "15m").await;
    let backup = stack.plane.ledger.backup().await;
    let (forgotten, forgotten_dsn) = stack.session("app_read", "15m").await;
    stack.plane.ledger.restore(&backup).await;

    let admin = stack.plane.as_admin();
    let recovery = async || admin.get("/v1/recovery").await.map_or(Value::Null, |answer| answer.body);
    eventually(SETTLED, "the target's agent shows that the ledger went back", async || {
        let seen = recovery().await;
        if seen["mode"] == "observe" { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;
    // A key of its own for each try: a request that was taken in the moment before is answered with what it got then, and
    // waits for its job.
    let tries = AtomicU32::new(0);
    eventually(SOON, "nothing is granted", async || {
        let refused = ask(&stack, &format!("while-observing-{}", tries.fetch_add(1, Ordering::Relaxed)), "").await;
        if refused.text("code") == "ledger_restored" { Ok(()) } else { Err(refused.body.to_string()) }
    })
    .await;
    let listed = stack.gk_admin(&["recover", "show"]).await.exits(10).stdout;
    assert!(listed.contains(forgotten.role_name().as_str()) && listed.contains("unknown to the ledger"), "{listed}");
    stack.gk_admin(&["doctor"]).await.exits(10);
    eventually(SOON, "each process knows", async || {
        let ready = admin.get("/readyz").await.expect("it answers").is(200);
        if ready["mode"] == "observe" { Ok(()) } else { Err(ready.to_string()) }
    })
    .await;
    User::login(&forgotten_dsn).await.expect("who is unknown is left until his own end");
    User::login(&known_dsn).await.expect("who is known stays");
    revoke(&stack, &known.to_string()).await;
    assert!(is_refused(&known_dsn).await.is_ok(), "a known session still ends");

    stack.gk_admin(&["recover", "accept", "--reason", "restored from the backup of noon"]).await.ok();
    stack.gk_admin(&["recover", "show"]).await.ok();
    assert_eq!(create(&stack, "after-accepting").await.is(201)["status"], "ready");
    User::login(&forgotten_dsn).await.expect("accepting ends nobody");
    stack.gk_admin(&["recover", "accept", "--strict", "--reason", "they come in again by the front door"]).await.ok();
    eventually(SETTLED, "who is unknown is ended", async || is_refused(&forgotten_dsn).await).await;
    let catalog = stack.catalog().await;
    eventually(SOON, "his role is gone", async || catalog.gone(forgotten).await).await;
    let books = stack.books().await;
    assert_eq!(books.count("SELECT count(*) FROM audit_events WHERE action LIKE 'ledger.%'").await, 3);
    stack.gk_admin(&["audit", "verify"]).await.ok();
}

/// Nothing in a ledger and a target of one moment contradicts the other: what somebody outside has seen of the log does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ledger_and_target_restored_together_grant_nothing_until_it_is_accepted() {
    let mut stack = Stack::with(Version::From16).signing([7; 32]).start().await;
    let (ended, dsn) = stack.session("app_read", "15m").await;
    let (ledger, target) = (stack.plane.ledger.backup().await, stack.target.backup().await);
    revoke(&stack, &ended.to_string()).await;
    // The order of an update: the last checkpoint is signed and kept.
    stack.plane.process.stop().await;
    stack.plane.ledger.restore(&ledger).await;
    stack.target.restore(&target).await;
    stack.plane.process.start();
    stack.plane.answers().await;
    let refused = create(&stack, "after-both").await;
    assert_eq!(refused.text("code"), "audit_regression", "{}", refused.body);
    // Both have forgotten that it ended: it works until its own end, or until somebody ends it again.
    User::login(&dsn).await.expect("nobody knows better");
    revoke(&stack, &ended.to_string()).await;
    assert!(is_refused(&dsn).await.is_ok());
    stack.gk_admin(&["recover", "accept", "--reason", "both were restored"]).await.ok();
    assert_eq!(create(&stack, "after-accepting").await.is(201)["status"], "ready");
    // It is the checkpoint that was accepted, not the ledger for good: a new process does not fall back.
    stack.plane.process.stop().await;
    stack.plane.process.start();
    stack.plane.answers().await;
    assert_eq!(create(&stack, "after-a-restart").await.is(201)["status"], "ready");
}
