//! End: disarm, kill until nobody is left, look again, drop. The order is what makes it a proof.
//!
//! Always holds: disarm is committed before anything else is tried, because NOLOGIN stops nobody until then; the calls
//! are sent together, each a transaction of its own, so the usual end costs two round trips and the target's settle
//! time; no connection is held while waiting; and where a target has several servers, the role is dropped only after all
//! of them have shown that nobody is left.

use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use futures_util::future::{join, join4};
use tokio_postgres::types::{PgLsn, Type};
use tokio_postgres::{Client, Row};

use super::elsewhere::clean_elsewhere;
use super::endpoints::Server;
use super::retry::{Budget, retrying};
use super::{NAME, PostgresTarget, name_of, not_about_packs, one, others, query, ready, run};
use crate::provider::error::{Failure, ProviderError};
use crate::provider::{Act, EndRequest, Ended};

/// How long a target that does not answer is tried before the job goes back to the queue.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long connections may outlive their signal, and a locked role its disarm, before the job goes back.
const STUBBORN: Duration = Duration::from_secs(20);
/// The helpers' settle time, and a little: then the second look is due.
const SETTLE: Duration = Duration::from_millis(505);
const AGAIN_SETTLING: Duration = Duration::from_millis(25);
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(100);

const DISARM: &str = "-- provider::end disarm\nSELECT gk.disarm($1, $2)";
const KILL: &str = "-- provider::end kill\nSELECT gk.kill($1)";
const REAP: &str = "-- provider::end reap\nSELECT outcome, detail FROM gk.reap($1)";
const QUIET: &str = "-- provider::end quiet\nSELECT outcome, detail FROM gk.quiet($1)";
const POSITION: &str = "-- provider::end position\nSELECT pg_current_wal_flush_lsn()";

/// What the target says of a role that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reaped {
    /// It is gone.
    Dropped,
    /// Nobody was connected twice; it may be dropped.
    Quiet,
    /// Connections of it are still there.
    Busy(String),
    /// The second look is not due yet.
    Settling,
    /// It owns things in other databases.
    Elsewhere(String),
    /// Something keeps it.
    Stuck(String),
}

/// What the target says of a login that is to be taken away.
enum Disarmed {
    /// It is: now it is to be emptied and dropped.
    Yes(Reaped),
    /// There is nothing (any more).
    Gone,
    /// Its user keeps the role's own row locked.
    Locked,
}

/// Where it is ended: on the server that is written to, whichever that is by now, or on one that only believes it is.
#[derive(Debug, Clone, Copy)]
enum Site<'a> {
    Written(&'a PostgresTarget),
    Other(&'a Server),
}

impl Site<'_> {
    async fn client(self) -> Result<Object, ProviderError> {
        match self {
            Self::Written(target) => target.pools.urgent.get().await,
            Self::Other(server) => server.side().await,
        }
    }
}

pub(super) async fn end(target: &PostgresTarget, request: &EndRequest) -> Result<Ended, ProviderError> {
    let act = &request.act;
    let done = match target.pools.servers.are_several() {
        false => end_at((target, Site::Written(target)), act).await,
        true => end_everywhere(target, act).await,
    };
    done.map_err(not_about_packs)
}

/// The whole end on a server that takes writes although another is the primary.
pub(super) async fn end_on(target: &PostgresTarget, server: &Server, act: &Act) -> Result<(), ProviderError> {
    match end_at((target, Site::Other(server)), act).await? {
        Ended::Dropped => Ok(()),
        Ended::Blocked(detail) => Err(ProviderError::new(Failure::Busy, format!("it is cut off there, but {detail}"))),
    }
}

async fn end_at((target, site): (&PostgresTarget, Site<'_>), act: &Act) -> Result<Ended, ProviderError> {
    match begin(site, act, REAP).await? {
        None => Ok(Ended::Dropped),
        Some(first) => finish((target, site), act, REAP, first).await,
    }
}

/// The cut comes first everywhere; the drop comes last, when every server has shown that nobody is left.
async fn end_everywhere(target: &PostgresTarget, act: &Act) -> Result<Ended, ProviderError> {
    let site = Site::Written(target);
    let begun = begin(site, act, QUIET).await?;
    let row = one(query(&*site.client().await?, POSITION, &[]).await?)?;
    let since: PgLsn = row.try_get(0)?;
    let Some(first) = begun else {
        return others::prove(target, act, since).await.map(|()| Ended::Dropped);
    };
    let (here, there) = join(finish((target, site), act, QUIET, first), others::prove(target, act, since)).await;
    here?;
    there?;
    let first = kill_and_look(site, act, REAP).await?;
    finish((target, site), act, REAP, first).await
}

/// Until the login is off; nothing is given if there is none (any more).
async fn begin(site: Site<'_>, act: &Act, step: &str) -> Result<Option<Reaped>, ProviderError> {
    let begun = Instant::now();
    loop {
        let budget = Budget { time: PATIENCE, deadline: act.deadline.clone() };
        match retrying(budget, || disarm(site, act, step)).await? {
            Disarmed::Gone => return Ok(None),
            Disarmed::Yes(reaped) => return Ok(Some(reaped)),
            Disarmed::Locked if begun.elapsed() > STUBBORN / 4 => return Err(locked(site, act).await),
            Disarmed::Locked => tokio::time::sleep(LONGEST_LOOK).await,
        }
    }
}

/// Disarm, kill and a first look in one round trip.
async fn disarm(site: Site<'_>, act: &Act, step: &str) -> Result<Disarmed, ProviderError> {
    let client = site.client().await?;
    let session = act.session.to_string();
    let name = ready(&client, NAME, &[Type::TEXT]).await?;
    let disarm = ready(&client, DISARM, &[Type::TEXT, Type::INT8]).await?;
    let (kill, step) = (ready(&client, KILL, &[Type::TEXT]).await?, ready(&client, step, &[Type::TEXT]).await?);
    let (named, disarmed, killed, reaped) = join4(
        run(&client, &name, &[&name_of(&act.correlation)]),
        run(&client, &disarm, &[&session, &act.generation]),
        run(&client, &kill, &[&session]),
        run(&client, &step, &[&session]),
    )
    .await;
    // In this order: what kill and reap said counts only if the login is off.
    let outcome: String = one(disarmed?)?.try_get(0)?;
    named?;
    match outcome.as_str() {
        "absent" | "dropped" => Ok(Disarmed::Gone),
        "blocked" => Ok(Disarmed::Locked),
        "disarmed" => both(killed, reaped).map(Disarmed::Yes),
        other => Err(ProviderError::new(Failure::HelpersMissing, format!("gk.disarm gave `{other}`"))),
    }
}

/// Kill and look once more, in one round trip.
async fn kill_and_look(site: Site<'_>, act: &Act, step: &str) -> Result<Reaped, ProviderError> {
    let client = site.client().await?;
    let session = act.session.to_string();
    let (kill, step) = (ready(&client, KILL, &[Type::TEXT]).await?, ready(&client, step, &[Type::TEXT]).await?);
    let (killed, reaped) = join(run(&client, &kill, &[&session]), run(&client, &step, &[&session])).await;
    both(killed, reaped)
}

fn both(
    killed: Result<Vec<Row>, ProviderError>,
    reaped: Result<Vec<Row>, ProviderError>,
) -> Result<Reaped, ProviderError> {
    let signalled: i32 = one(killed?)?.try_get(0)?;
    let reaped = read_reap(&one(reaped?)?)?;
    tracing::debug!(signalled, ?reaped, "the login is off");
    Ok(reaped)
}

pub(super) async fn reap(client: &Client, session: &str) -> Result<Reaped, ProviderError> {
    read_reap(&one(query(client, REAP, &[(&session, Type::TEXT)]).await?)?)
}

fn read_reap(row: &Row) -> Result<Reaped, ProviderError> {
    let (outcome, detail): (String, String) = (row.try_get("outcome")?, row.try_get("detail")?);
    match outcome.as_str() {
        "dropped" => Ok(Reaped::Dropped),
        "quiet" => Ok(Reaped::Quiet),
        "busy" => Ok(Reaped::Busy(detail)),
        "settling" => Ok(Reaped::Settling),
        "elsewhere" => Ok(Reaped::Elsewhere(detail)),
        "stuck" => Ok(Reaped::Stuck(detail)),
        other => Err(ProviderError::new(Failure::HelpersMissing, format!("gk.reap gave `{other}`"))),
    }
}

/// From the first look to the last, which drops it or, if that is not asked for yet, finds it quiet.
async fn finish(
    (target, site): (&PostgresTarget, Site<'_>),
    act: &Act,
    step: &str,
    first: Reaped,
) -> Result<Ended, ProviderError> {
    let begun = Instant::now();
    let (mut pause, mut settled, mut cleaned) = (FIRST_LOOK, false, false);
    let mut reaped = first;
    loop {
        let wait = match reaped {
            Reaped::Dropped | Reaped::Quiet => return Ok(Ended::Dropped),
            Reaped::Stuck(detail) => return Ok(Ended::Blocked(detail)),
            Reaped::Elsewhere(detail) if cleaned => return Ok(Ended::Blocked(detail)),
            Reaped::Elsewhere(detail) => {
                cleaned = true;
                if let Err(error) = clean_elsewhere(target, act.session, &detail).await {
                    return Ok(Ended::Blocked(format!("{detail} ({error})")));
                }
                Duration::ZERO
            }
            Reaped::Settling if settled => AGAIN_SETTLING,
            Reaped::Settling => {
                settled = true;
                SETTLE
            }
            Reaped::Busy(detail) if begun.elapsed() > STUBBORN => {
                return Err(ProviderError::new(Failure::Busy, format!("the login is off, but {detail}")));
            }
            Reaped::Busy(_) => {
                settled = false;
                pause = (pause * 2).min(LONGEST_LOOK);
                pause / 2
            }
        };
        tokio::time::sleep(wait).await;
        let budget = Budget { time: PATIENCE, deadline: act.deadline.clone() };
        reaped = retrying(budget, || kill_and_look(site, act, step)).await?;
    }
}

/// The error for a role whose own row its user keeps locked: no rights and no connections, but a login until its end.
async fn locked(site: Site<'_>, act: &Act) -> ProviderError {
    let sql = "-- provider::end locked\nSELECT detail FROM gk.observe() WHERE session = $1";
    let session = act.session.to_string();
    let told = async {
        let client = site.client().await?;
        let row = one(query(&client, sql, &[(&session, Type::TEXT)]).await?)?;
        Ok::<Option<String>, ProviderError>(row.try_get(0)?)
    };
    let detail = told.await.ok().flatten().unwrap_or_else(|| "the role's own row is locked".to_owned());
    ProviderError::new(Failure::Busy, detail)
}
