//! Gatekeeper itself: from asking to a credential in hand, from revoke or expiry to the last connection gone.

use std::time::{Duration, Instant};

use gk_cli::client::{Client, Opened, Wait};
use gk_shared::wire::session::{CreateSession, RevokeSession};
use tokio_postgres::NoTls;

use crate::raw::join_all;

/// Longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the target is asked whether a connection is still there.
const LOOK: Duration = Duration::from_millis(1);

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

/// `each` sessions from each of `at_once` callers; they are ended between rounds, outside the time that is measured.
pub(crate) async fn create_round(clients: &[Client], target: &str, each: usize) -> (Vec<Duration>, Duration) {
    let begun = Instant::now();
    let made = join_all(clients.iter().map(async |client| {
        let mut made = Vec::with_capacity(each);
        for _ in 0..each {
            let begun = Instant::now();
            let opened = open(client, request(target, 900)).await;
            made.push((begun.elapsed(), opened.view.session_id));
        }
        made
    }))
    .await;
    let wall = begun.elapsed();
    let why = RevokeSession { reason: Some("end of round".to_owned()) };
    let theirs = clients.iter().zip(&made).flat_map(|(client, made)| made.iter().map(move |(_, id)| (client, *id)));
    join_all(theirs.map(async |(client, id)| client.revoke_session(id, &why, PATIENCE).await.expect("ends"))).await;
    (made.into_iter().flatten().map(|(duration, _)| duration).collect(), wall)
}

/// From the call to revoke until the target shows no connection of the session any more.
pub(crate) async fn revoke_to_cut(client: &Client, observer: &tokio_postgres::Client, target: &str) -> Duration {
    let opened = open(client, request(target, 900)).await;
    let _connection = connect(&opened).await;
    let why = RevokeSession { reason: Some("measured".to_owned()) };
    let begun = Instant::now();
    let revoke = client.revoke_session(opened.view.session_id, &why, PATIENCE);
    let gone = async {
        until_gone(observer, &opened.view.database_user).await;
        begun.elapsed()
    };
    let (revoked, elapsed) = tokio::join!(revoke, gone);
    revoked.expect("the session ends");
    elapsed
}

/// How long after its end, by the target's clock, the target shows a connection of the session.
pub(crate) async fn expiry_to_cut(client: &Client, observer: &tokio_postgres::Client, target: &str) -> Duration {
    let opened = open(client, request(target, 5)).await;
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
    let statement = "-- bench::backends\nSELECT count(*) FROM pg_stat_activity WHERE usename = $1 \
                     OR (usesysid IS NOT NULL AND usename IS NULL AND backend_type = 'client backend')";
    let statement = observer.prepare(statement).await.expect("a good query");
    while observer.query_one(&statement, &[&user]).await.expect("answers").get::<_, i64>(0) > 0 {
        tokio::time::sleep(LOOK).await;
    }
}
