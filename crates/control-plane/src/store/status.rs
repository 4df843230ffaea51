//! The control plane at a glance: counts for people and for metrics.

use gk_shared::session::SessionStatus;
use gk_shared::wire::recovery::LedgerMode;
use gk_shared::wire::status::Status;
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::agents::ONLINE_SECONDS;
use super::row::Reader;
use super::{Ledger, StoreError, audit};

/// Sessions that are not over by status, and jobs that are not over by kind and state.
#[derive(Debug, Clone, Default)]
pub struct Gauges {
    /// Sessions by status.
    pub sessions: Vec<(SessionStatus, i64)>,
    /// Jobs: kind (`create`, `revoke`, `extend`), state (`queued`, `leased`), how many.
    pub jobs: Vec<(String, String, i64)>,
    /// Events not linked yet.
    pub audit_unsealed: i64,
    /// How long the oldest session that should be cut has been waiting for it, in seconds.
    pub oldest_uncut_seconds: f64,
}

const SESSIONS: &str = "-- status::sessions
    SELECT session_status(s) AS status, count(*) AS count FROM sessions s WHERE s.ended_at IS NULL GROUP BY 1";
const JOBS: &str = "-- status::jobs
    SELECT kind, state, count(*) AS count FROM jobs WHERE state IN ('queued', 'leased') GROUP BY 1, 2";
/// The clocks that turn an end into a wish may be what has failed, so what is due counts whether it is wished or not.
const UNCUT: &str = "-- status::uncut
    SELECT greatest(0, coalesce(extract(epoch FROM clock_timestamp() - min(due)), 0))::float8 AS seconds FROM (
        SELECT min(least(end_wanted_at, expires_at)) AS due FROM sessions
        WHERE desired = 'absent' AND ended_at IS NULL AND cut_at IS NULL
        UNION ALL
        SELECT min(expires_at) FROM sessions WHERE desired = 'present' AND expires_at IS NOT NULL
    ) d";

/// Numbers for `/metrics`.
///
/// # Errors
/// The ledger's own trouble.
pub async fn gauges(ledger: &Ledger) -> Result<Gauges, StoreError> {
    let session = |row: &Row| -> Result<_, StoreError> {
        let row = Reader::new(row, "session count");
        Ok((row.parse("status")?, row.get("count")?))
    };
    let job = |row: &Row| -> Result<_, StoreError> {
        let row = Reader::new(row, "job count");
        Ok((row.get("kind")?, row.get("state")?, row.get("count")?))
    };
    let sessions = ledger.query(SESSIONS, &[]).await?.iter().map(session).collect::<Result<_, _>>()?;
    let jobs = ledger.query(JOBS, &[]).await?.iter().map(job).collect::<Result<_, _>>()?;
    let uncut = ledger.one(UNCUT, &[]).await?;
    Ok(Gauges {
        sessions,
        jobs,
        audit_unsealed: audit::unsealed(ledger).await?,
        oldest_uncut_seconds: Reader::new(&uncut, "session").get("seconds")?,
    })
}

const COUNTS: &str = "-- status::counts
    SELECT clock_timestamp() AS now,
        EXISTS (SELECT FROM recoveries WHERE accepted_at IS NULL) AS behind,
        (SELECT count(*) FROM targets WHERE reachable AND health_at > now() - make_interval(secs => $1)) AS reachable,
        (SELECT count(*) FROM targets) AS targets,
        (SELECT count(*) FROM agents WHERE last_seen_at > now() - make_interval(secs => $1)) AS online,
        (SELECT count(*) FROM agents) AS agents,
        (SELECT coalesce(max(seq), 0) FROM audit_links) AS audit_size";

/// Numbers for people.
///
/// # Errors
/// The ledger's own trouble.
pub async fn status(ledger: &Ledger, version: &str) -> Result<Status, StoreError> {
    let params: [&(dyn ToSql + Sync); 1] = [&f64::from(ONLINE_SECONDS)];
    let row = ledger.one(COUNTS, &params).await?;
    let row = Reader::new(&row, "status");
    let gauges = gauges(ledger).await?;
    let with = |status| gauges.sessions.iter().find(|(found, _)| *found == status).map_or(0, |(_, count)| *count);
    let ledger_time: Timestamp = row.get("now")?;
    let audit_sealed: i64 = row.get("audit_size")?;
    let behind: bool = row.get("behind")?;
    Ok(Status {
        version: version.to_owned(),
        ledger_time,
        mode: if behind { LedgerMode::Observe } else { LedgerMode::Normal },
        targets_reachable: row.get("reachable")?,
        targets_total: row.get("targets")?,
        agents_online: row.get("online")?,
        agents_total: row.get("agents")?,
        sessions_ready: with(SessionStatus::Ready),
        sessions_provisioning: with(SessionStatus::Provisioning),
        sessions_revoking: with(SessionStatus::Revoking),
        sessions_quarantined: with(SessionStatus::Quarantined),
        jobs_queued: gauges.jobs.iter().filter(|(_, state, _)| state == "queued").map(|(.., count)| count).sum(),
        audit_size: audit_sealed + gauges.audit_unsealed,
        audit_unsealed: gauges.audit_unsealed,
        audit_sinks: Vec::new(),
    })
}
