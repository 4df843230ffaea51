//! Four things end a session, each without the next: here they are taken away one by one.

#![expect(clippy::print_stdout, reason = "what a test measured or chose is for its reader")]

use gk_e2e::{Catalog, SOON, Stack, User, Version, eventually, on_both_lines};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

on_both_lines!(
    with_the_control_plane_gone_the_agent_alone_cuts_and_drops,
    with_the_agent_killed_the_deadman_cuts_and_the_login_is_refused_on_time,
    with_everything_killed_postgres_itself_refuses_the_login_on_time,
);

const TTL: &str = "6s";
/// How late a cut may come.
const LATE: SignedDuration = SignedDuration::from_secs(4);
/// How late a refusal may come: Postgres compares whole times, a login takes some.
const REFUSED_BY: SignedDuration = SignedDuration::from_millis(1500);
const POLL: Duration = Duration::from_millis(50);

async fn with_the_control_plane_gone_the_agent_alone_cuts_and_drops(version: Version) {
    let mut stack = Stack::start(version).await;
    let catalog = stack.catalog().await;
    let (id, dsn) = stack.session("app_read", TTL).await;
    let user = User::login(&dsn).await.expect("the session is ready");
    stack.plane.process.kill9();
    let end = catalog.role(id).await.and_then(|role| role.valid_until).expect("a role has an end");
    is_cut_on_time(&catalog, &user, end, "agent").await;
    assert_eq!(catalog.backends(user.role_oid).await, 0);
    assert!(User::login(&dsn).await.is_err());
    eventually(SOON, "the role is gone", async || catalog.gone(id).await).await;

    stack.plane.process.start();
    stack.plane.answers().await;
    let books = stack.books().await;
    eventually(SOON, "the ledger learns of it", async || books.has_status(id, "expired").await).await;
}

async fn with_the_agent_killed_the_deadman_cuts_and_the_login_is_refused_on_time(version: Version) {
    let mut stack = Stack::start(version).await;
    let catalog = stack.catalog().await;
    let (id, dsn) = stack.session("app_read", TTL).await;
    let runs = async || if catalog.deadman_runs().await { Ok(()) } else { Err("it does not") };
    eventually(SOON, "the deadman is at work", runs).await;
    let user = User::login(&dsn).await.expect("the session is ready");
    stack.agent().kill9();
    let end = catalog.role(id).await.and_then(|role| role.valid_until).expect("a role has an end");
    let (cut, refused) =
        tokio::join!(is_cut_on_time(&catalog, &user, end, "deadman"), is_refused_on_time(&catalog, &dsn, end));
    let ((), ()) = (cut, refused);
    eventually(SOON, "the role is gone", async || catalog.gone(id).await).await;
}

async fn with_everything_killed_postgres_itself_refuses_the_login_on_time(version: Version) {
    let mut stack = Stack::start(version).await;
    let (_, dsn) = stack.session("app_read", TTL).await;
    let end = stack.catalog().await.roles().await.first().and_then(|role| role.valid_until).expect("a role has an end");
    stack.agent().kill9();
    stack.plane.process.kill9();
    stack.plane.ledger.kill9();
    // The deadman lives inside the server, so that goes, too, and comes back without it.
    stack.target.kill9();
    stack.target.start_again().await;
    let catalog = stack.catalog().await;
    assert!(!catalog.deadman_runs().await);
    is_refused_on_time(&catalog, &dsn, end).await;
    let roles = catalog.roles().await;
    assert!(roles.len() == 1 && roles[0].can_login && !roles[0].armed, "nobody was there to do more: {roles:?}");
}

/// Waits for the cut, which comes after the end and soon after it.
async fn is_cut_on_time(catalog: &Catalog, user: &User, end: Timestamp, by: &str) {
    eventually(SOON, "the connection is cut", async || user.cut()).await;
    let late = catalog.now().await.duration_since(end);
    println!("cut by the {by} {} ms after the end", late.as_millis());
    assert!(!late.is_negative(), "cut {late:#} before its time");
    assert!(late < LATE, "cut {late:#} late");
}

/// Tries to log in again and again: it works before the end and never after it.
async fn is_refused_on_time(catalog: &Catalog, dsn: &str, end: Timestamp) {
    let mut accepted = 0;
    loop {
        match User::login(dsn).await {
            Ok(user) => {
                let sql = "SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()";
                if let Ok(row) = user.client.query_one(sql, &[]).await {
                    let began: Timestamp = row.get(0);
                    assert!(
                        began <= end,
                        "a login that began {:#} after the end was let in",
                        began.duration_since(end)
                    );
                    accepted += 1;
                }
            }
            Err(error) if error.as_db_error().is_some_and(|refusal| refusal.code().code().starts_with("28")) => break,
            // Cut on the way in, or more connections than the role may have.
            Err(_) => {}
        }
        tokio::time::sleep(POLL).await;
    }
    let late = catalog.now().await.duration_since(end);
    println!("{accepted} logins before the end, the first refusal {} ms after it", late.as_millis());
    assert!(accepted > 0, "no login was ever let in, so a refusal proves nothing");
    assert!(!late.is_negative() && late < REFUSED_BY, "first refused {late:#} after the end");
}
