//! Why no session was made: the statement that makes one says only that it made none.

use super::create::NewSession;
use crate::store::row::Reader;
use crate::store::{Ledger, StoreError};
use tokio_postgres::types::ToSql;

/// An agent that was not heard of for this long does not count as serving its targets.
pub(super) const AGENT_SILENCE_SECONDS: i32 = 5 * 60;

/// A target whose clock differs by more than this from the ledger's gets no new sessions: their ends would be a guess.
pub(super) const MOST_SKEW_MS: i64 = 30_000;

/// Why no session was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateRefused {
    /// There is no such target.
    #[error("there is no such target")]
    UnknownTarget,
    /// The caller's token stopped working while the request was under way.
    #[error("the token stopped working while the request was under way")]
    TokenEnded,
    /// The ledger is older than what was seen outside of it, which this process may not know yet.
    #[error("{0}")]
    LedgerBehind(String),
    /// The target's clock differs too much from the ledger's.
    #[error("the target's clock differs by {0} s from the ledger's; sessions are granted again once it is set right")]
    ClockSkew(i64),
    /// No agent that is alive serves the target.
    #[error("no agent serves this target at the moment")]
    NoAgent,
    /// The target has no such pack, or cannot use it.
    #[error("{0}")]
    PackRefused(String),
    /// The key was used with another body.
    #[error("this Idempotency-Key was used with another body")]
    IdempotencyMismatch,
    /// The ledger's own trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

const WHY_NOT: &str = "-- sessions::create_why_not
    SELECT p.version, p.fault, EXISTS (
        SELECT FROM agent_targets x JOIN agents g ON g.id = x.agent_id JOIN actors o ON o.id = g.actor_id
        WHERE x.target_id = t.id AND o.disabled_at IS NULL AND g.draining_at IS NULL
          AND g.last_seen_at > now() - make_interval(secs => $4)
    ) AS served, t.health_at IS NOT NULL AS seen, coalesce(t.clock_skew_ms, 0) AS skew_ms, EXISTS (
        SELECT FROM tokens k JOIN actors a ON a.id = k.actor_id
        WHERE k.id = $5 AND k.revoked_at IS NULL AND k.expires_at > now() AND a.disabled_at IS NULL
    ) AS works, (
        SELECT r.detail FROM recoveries r WHERE r.tenant_id = $1 AND r.accepted_at IS NULL ORDER BY r.id LIMIT 1
    ) AS behind
    FROM targets t LEFT JOIN target_packs p ON p.target_id = t.id AND p.name = $3
    WHERE t.tenant_id = $1 AND t.name = $2";

/// Nothing was made and nothing was there before: finds the reason.
pub(super) async fn why_not(ledger: &Ledger, new: &NewSession) -> Result<CreateRefused, StoreError> {
    let silence = f64::from(AGENT_SILENCE_SECONDS);
    let token = new.requester.token.uuid();
    let params: [&(dyn ToSql + Sync); 5] =
        [&Ledger::tenant().uuid(), &new.target.as_str(), &new.role.as_str(), &silence, &token];
    let Some(row) = ledger.opt(WHY_NOT, &params).await? else { return Ok(CreateRefused::UnknownTarget) };
    let row = Reader::new(&row, "target");
    let (served, seen, works): (bool, bool, bool) = (row.get("served")?, row.get("seen")?, row.get("works")?);
    let skew_ms: i64 = row.get("skew_ms")?;
    if !works {
        return Ok(CreateRefused::TokenEnded);
    }
    if let Some(behind) = row.get("behind")? {
        return Ok(CreateRefused::LedgerBehind(behind));
    }
    if skew_ms.abs() > MOST_SKEW_MS {
        return Ok(CreateRefused::ClockSkew(skew_ms / 1000));
    }
    if !served || !seen {
        return Ok(CreateRefused::NoAgent);
    }
    let (version, fault): (Option<&str>, Option<String>) = (row.get("version")?, row.get("fault")?);
    let (role, target) = (&new.role, &new.target);
    Ok(match (version, fault) {
        (_, Some(fault)) => CreateRefused::PackRefused(format!("role {role} cannot be used on {target}: {fault}")),
        (None, None) => CreateRefused::PackRefused(format!("role {role} is not registered on {target}")),
        // What was missing a moment ago is there by now: asking again will do.
        (Some(_), None) => CreateRefused::NoAgent,
    })
}
