//! Gatekeeper itself: from asking to a credential in hand, from revoke or expiry to the last connection gone.

use std::time::{Duration, Instant};

use gk_cli::client::{Client, Opened, Wait};
use gk_e2e::TARGET;
use gk_shared::ids::SessionId;
use gk_shared::wire::session::{CreateSession, RevokeSession};
use tokio_postgres::NoTls;

use crate::lab::Lab;
use crate::raw::join_all;
use crate::stats::Turn;

/// Longest that anything here is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How often the target is asked whether a connection is still there.
const LOOK: Duration = Duration::from_millis(1);
/// Longest that the sessions of a turn take to end.
const TIDY: Duration = Duration::from_secs(120);

/// What every session of the run asks for.
pub(crate) fn request(target: &str, ttl_seconds: u32) -> CreateSession {
    CreateSession {
        target: target.parse().expect("the stack's target is well named"),
        role: "app_read".parse().expect("a pack's name"),
        ttl_seconds: Some(ttl_seconds),
        ttl_minutes: None,
        reason: Some("benchmark".to_owned()),
        ticket: None,
        max_connections: None,
        recipient_public_key: None,
    }
}

/// One session, ready and opened.
pub(crate) async fn open(client: &Client, asked: CreateSession) -> Opened {
    client.open_session(asked, Wait::AtMost(PATIENCE)).await.expect("the stack grants the session")
}

/// `each` sessions from each of these callers; they stay.
pub(crate) async fn create_round(clients: &[Client], target: &str, each: usize) -> Turn {
    let begun = Instant::now();
    let made = join_all(clients.iter().map(async |client| {
        let mut made = Vec::with_capacity(each);
        for _ in 0..each {
            let begun = Instant::now();
            open(client, request(target, 3600)).await;
            made.push(begun.elapsed());
        }
        made
    }))
    .await;
    let wall = begun.elapsed();
    Turn { durations: made.into_iter().flatten().collect(), wall }
}

/// Ends every session of the lab's ledger that is alive, and waits until their roles are gone.
pub(crate) async fn end_all(lab: &Lab) {
    let books = lab.stack.books().await;
    let live = "-- bench::live\nSELECT s.id FROM sessions s JOIN targets t ON t.id = s.target_id \
                WHERE t.name = $1 AND s.ended_at IS NULL AND s.desired = 'present'";
    let rows = books.superuser().query(live, &[&TARGET]).await.expect("the ledger answers");
    let ids: Vec<SessionId> = rows.iter().map(|row| SessionId::from_uuid(row.get(0))).collect();
    let admin = crate::lab::caller(&lab.stack.plane.url(), &lab.stack.plane.admin.token);
    for some in ids.chunks(16) {
        join_all(some.iter().map(async |id| revoke(&admin, *id).await)).await;
    }
    let left = "-- bench::left\nSELECT count(*) FROM gk.fence WHERE state <> 'closed'";
    gk_e2e::eventually(TIDY, "the roles of the turn are gone", async || {
        match lab.observer.query_one(left, &[]).await.map(|row| row.get::<_, i64>(0)) {
            Ok(0) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

/// Ends one session and waits until its connections are cut.
pub(crate) async fn revoke(client: &Client, id: SessionId) {
    let why = RevokeSession { reason: Some("end of turn".to_owned()) };
    client.revoke_session(id, &why, PATIENCE).await.expect("the session ends");
}

/// From the call to revoke until the target shows no connection of the session any more.
pub(crate) async fn revoke_to_cut(client: &Client, observer: &tokio_postgres::Client) -> Duration {
    let opened = open(client, request(TARGET, 900)).await;
    let _connection = connect(&opened).await;
    revoke_until_gone(client, observer, &opened).await
}

async fn revoke_until_gone(client: &Client, observer: &tokio_postgres::Client, opened: &Opened) -> Duration {
    let begun = Instant::now();
    let gone = async {
        until_gone(observer, &opened.view.database_user).await;
        begun.elapsed()
    };
    let ((), elapsed) = tokio::join!(revoke(client, opened.view.session_id), gone);
    elapsed
}

/// How long after its end, by the target's clock, the target shows a connection of the session.
pub(crate) async fn expiry_to_cut(client: &Client, observer: &tokio_postgres::Client) -> Duration {
    let opened = open(client, request(TARGET, 5)).await;
    let _connection = connect(&opened).await;
    until_gone(observer, &opened.view.database_user).await;
    let now: jiff::Timestamp =
        observer.query_one("-- bench::clock\nSELECT clock_timestamp()", &[]).await.expect("answers").get(0);
    let end = opened.view.expires_at.expect("a session that is ready has an end");
    Duration::try_from(now.duration_since(end)).unwrap_or_default()
}

/// A connection as the session's user holds it.
async fn connect(opened: &Opened) -> tokio_postgres::Client {
    let uri = opened.dsn.to_uri();
    let (client, connection) = tokio_postgres::connect(uri.expose(), NoTls).await.expect("the credential works");
    tokio::spawn(connection);
    client.simple_query("-- bench::hello\nSELECT 1").await.expect("answers");
    client
}

async fn until_gone(observer: &tokio_postgres::Client, user: &str) {
    while backends(observer, user).await > 0 {
        tokio::time::sleep(LOOK).await;
    }
}

/// Connections of the user. The name of a dropped role is null, so such a connection counts too.
pub(crate) async fn backends(observer: &tokio_postgres::Client, user: &str) -> i64 {
    let sql = "-- bench::backends\nSELECT count(*) FROM pg_stat_activity WHERE usename = $1 \
               OR (usesysid IS NOT NULL AND usename IS NULL AND backend_type = 'client backend')";
    observer.query_one(sql, &[&user]).await.expect("the target answers").get(0)
}
