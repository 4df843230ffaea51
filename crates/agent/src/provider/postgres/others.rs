//! What is done on the servers of a target that are not written to: proof that nobody of a session is left there, sweeps,
//! and a look at who is connected.
//!
//! Always holds: a session counts as over on a standby only if the standby has replayed its disarm, its own catalog says
//! that the role cannot log in, and nobody was connected twice, a settle time apart. A server that takes writes, though
//! another is the primary, gets the whole end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use gk_shared::ids::SessionId;
use gk_shared::wire::agent::{ObservedRole, RoleState};
use tokio_postgres::types::{PgLsn, Type};

use super::end::end_on;
use super::endpoints::{Seen, Server};
use super::{PostgresTarget, one, query, session_in};
use crate::provider::Act;
use crate::provider::error::{Failure, ProviderError};

/// Between the two looks that find nobody.
const SETTLE: Duration = Duration::from_millis(505);
const FIRST_LOOK: Duration = Duration::from_millis(5);
const LONGEST_LOOK: Duration = Duration::from_millis(100);
/// How long a standby may take to replay a disarm before the job goes back: those who have time left must not wait.
const BEHIND: Duration = Duration::from_secs(5);
/// How long connections may outlive their signal.
const STUBBORN: Duration = Duration::from_secs(20);
/// A look at who is connected must not make the whole look old.
const LOOK: Duration = Duration::from_secs(2);

const CUT: &str = "-- provider::cut\nSELECT standby, replayed, armed, backends FROM gk.cut($1)";
const CONNECTED: &str = "-- provider::connected\nSELECT session, backends FROM gk.observe() WHERE backends > 0";
const SWEEP: &str = "-- provider::sweep others\nSELECT session, outcome FROM gk.sweep($1)";

/// How one look found a session on a server.
enum Look {
    /// Nobody is there and nobody can come.
    Nobody,
    /// Connections were there.
    Connected,
    /// The disarm has not arrived.
    Behind,
    /// It takes writes.
    Writes,
}

/// Proves that nobody of the session is left on the others, all of which must have replayed up to `since`.
pub(super) async fn prove(target: &PostgresTarget, act: &Act, since: PgLsn) -> Result<(), ProviderError> {
    let servers: Vec<Arc<Server>> = target.pools.servers.others().cloned().collect();
    let proofs = servers.iter().map(|server| async move {
        prove_on(target, server, (act, since)).await.map_err(|error| unproven(server, &error))
    });
    // One that does not answer must not keep the others from being cut.
    join_all(proofs).await.into_iter().collect()
}

/// In words that somebody can act on.
fn unproven(server: &Server, error: &ProviderError) -> ProviderError {
    let since = match server.seen() {
        Seen::Down { since, .. } => format!(" for {} s", since.elapsed().as_secs()),
        Seen::Unknown | Seen::Primary { .. } | Seen::Standby { .. } => String::new(),
    };
    let text = match error.failure() {
        Failure::Unreachable => format!(
            "the login is off, but {} has not answered{since}, so nobody can say who is connected there: {error}",
            server.place()
        ),
        Failure::Busy
        | Failure::Unproven
        | Failure::Fenced
        | Failure::PastLease
        | Failure::PackRefused
        | Failure::ForeignRole
        | Failure::RoleReplaced
        | Failure::HelpersMissing
        | Failure::OverLimit(_)
        | Failure::Refused => format!("the login is off, but on {}: {error}", server.place()),
    };
    ProviderError::new(Failure::Unproven, text)
}

async fn prove_on(target: &PostgresTarget, server: &Server, (act, since): (&Act, PgLsn)) -> Result<(), ProviderError> {
    if let Seen::Down { why, .. } = server.seen() {
        return Err(ProviderError::new(Failure::Unreachable, why));
    }
    let begun = Instant::now();
    let (mut quiet_since, mut pause) = (None::<Instant>, FIRST_LOOK);
    loop {
        let wait = match cut(server, act, since).await? {
            Look::Writes => return end_on(target, server, act).await,
            Look::Nobody => match quiet_since {
                Some(quiet) if quiet.elapsed() >= SETTLE => return Ok(()),
                Some(quiet) => SETTLE.saturating_sub(quiet.elapsed()),
                None => {
                    quiet_since = Some(Instant::now());
                    SETTLE
                }
            },
            Look::Behind if begun.elapsed() > BEHIND || act.deadline.over() => {
                let text = "it has not replayed that yet, and lets its user in until it has";
                return Err(ProviderError::new(Failure::Busy, text));
            }
            Look::Connected if begun.elapsed() > STUBBORN || act.deadline.over() => {
                return Err(ProviderError::new(Failure::Busy, "connections do not end"));
            }
            Look::Behind | Look::Connected => {
                quiet_since = None;
                pause = (pause * 2).min(LONGEST_LOOK);
                pause / 2
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// One look, which ends whoever is connected.
async fn cut(server: &Server, act: &Act, since: PgLsn) -> Result<Look, ProviderError> {
    let client = server.side().await?;
    let row = one(query(&client, CUT, &[(&act.session.to_string(), Type::TEXT)]).await?)?;
    if !row.try_get::<_, bool>("standby")? {
        return Ok(Look::Writes);
    }
    let (replayed, armed): (Option<PgLsn>, bool) = (row.try_get("replayed")?, row.try_get("armed")?);
    let backends: i32 = row.try_get("backends")?;
    Ok(match backends {
        _ if armed || replayed.is_none_or(|replayed| replayed < since) => Look::Behind,
        0 => Look::Nobody,
        _ => Look::Connected,
    })
}

/// Sweeps the others, each in a task of its own, so that nobody waits for one that does not answer.
pub(super) fn sweep(target: &PostgresTarget, limit: i32) {
    for server in target.pools.servers.others() {
        let server = Arc::clone(server);
        tokio::spawn(async move {
            let swept = server.alone(sweep_one(&server, limit)).await;
            if let Some(Err(error)) = swept {
                tracing::debug!(server = %server.place(), %error, "a server of the target could not be swept");
            }
        });
    }
}

async fn sweep_one(server: &Server, limit: i32) -> Result<(), ProviderError> {
    let client = server.side().await?;
    for row in query(&client, SWEEP, &[(&limit, Type::INT4)]).await? {
        let (session, outcome): (String, String) = (row.try_get("session")?, row.try_get("outcome")?);
        tracing::info!(server = %server.place(), session, outcome, "swept");
    }
    Ok(())
}

/// Adds to what the primary shows who is connected to the others.
pub(super) async fn add_connected(target: &PostgresTarget, roles: &mut Vec<ObservedRole>) {
    let servers: Vec<Arc<Server>> = target.pools.servers.others().cloned().collect();
    let looks = servers.iter().map(|server| async move {
        let looked = tokio::time::timeout(LOOK, connected(server)).await;
        looked.ok().and_then(Result::ok).unwrap_or_default()
    });
    let mut extra: BTreeMap<SessionId, (i64, String)> = BTreeMap::new();
    for (server, found) in servers.iter().zip(join_all(looks).await) {
        for (session, backends) in found {
            let seen = extra.entry(session).or_insert((0, server.place().to_string()));
            seen.0 += backends;
        }
    }
    for role in roles.iter_mut() {
        role.backends += extra.remove(&role.session_id).map_or(0, |(backends, _)| backends);
    }
    roles.extend(extra.into_iter().map(|(session_id, (backends, place))| ObservedRole {
        session_id,
        generation: 0,
        state: RoleState::Disarmed,
        armed: false,
        backends,
        valid_until: None,
        detail: Some(format!("connected to {place}")),
    }));
}

async fn connected(server: &Server) -> Result<Vec<(SessionId, i64)>, ProviderError> {
    match server.seen() {
        Seen::Down { .. } => return Ok(Vec::new()),
        Seen::Unknown | Seen::Primary { .. } | Seen::Standby { .. } => {}
    }
    let client = server.side().await?;
    let mut found = Vec::new();
    for row in query(&client, CONNECTED, &[]).await? {
        if let Some(session) = session_in(&row, "session")? {
            found.push((session, row.try_get("backends")?));
        }
    }
    Ok(found)
}
