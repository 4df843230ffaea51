//! Sweep: ends what is over by the target's clock. The target decides all of it; nobody else is asked.

use futures_util::future::join;
use tokio_postgres::types::Type;

use super::elsewhere::clean_elsewhere;
use super::end::{Reaped, reap};
use super::{PostgresTarget, others, query, session_in};
use crate::provider::error::ProviderError;
use crate::provider::{SweepOutcome, Swept};

const SQL: &str = "-- provider::sweep\nSELECT session, outcome, detail FROM gk.sweep($1)";

/// Connections of ours whose role is gone: somebody dropped it by hand, or the server lost a commit.
const ZOMBIES: &str = "-- provider::sweep zombies\nSELECT session FROM gk.zombies() WHERE signalled";

pub(super) async fn sweep(target: &PostgresTarget, limit: i32) -> Result<Vec<Swept>, ProviderError> {
    others::sweep(target, limit);
    let client = target.pools.urgent.get().await?;
    let (rows, zombies) = join(query(&client, SQL, &[(&limit, Type::INT4)]), query(&client, ZOMBIES, &[])).await;
    let (rows, zombies) = (rows?, zombies?);
    drop(client);
    let mut swept = Vec::with_capacity(rows.len());
    for row in zombies {
        let Some(session) = session_in(&row, "session")? else { continue };
        swept.push(Swept { session, outcome: SweepOutcome::Killed, detail: "its role was gone already".to_owned() });
    }
    for row in rows {
        let (outcome, detail): (String, String) = (row.try_get("outcome")?, row.try_get("detail")?);
        let Some(session) = session_in(&row, "session")? else { continue };
        let done = match outcome.as_str() {
            "elsewhere" => go_on_elsewhere(target, Swept { session, outcome: SweepOutcome::Blocked, detail }).await,
            outcome => Swept { session, outcome: read(outcome), detail },
        };
        swept.push(done);
    }
    Ok(swept)
}

/// Cleans the other databases and drops the role; if that fails it stays blocked, with the helper's own mend.
async fn go_on_elsewhere(target: &PostgresTarget, blocked: Swept) -> Swept {
    let done = async {
        clean_elsewhere(target, blocked.session, &blocked.detail).await?;
        let client = target.pools.urgent.get().await?;
        reap(&client, &blocked.session.to_string()).await
    };
    match done.await {
        Ok(Reaped::Dropped) => Swept { outcome: SweepOutcome::Dropped, detail: String::new(), ..blocked },
        Ok(reaped) => {
            tracing::debug!(session = %blocked.session, ?reaped, "still there after its other databases were cleaned");
            blocked
        }
        Err(error) => {
            tracing::debug!(session = %blocked.session, %error, "its other databases could not be cleaned");
            blocked
        }
    }
}

fn read(outcome: &str) -> SweepOutcome {
    match outcome {
        "disarmed" => SweepOutcome::Disarmed,
        "killed" => SweepOutcome::Killed,
        "dropped" => SweepOutcome::Dropped,
        // blocked, stuck, failed, and whatever a newer helper may add: not done, and looked at again.
        _ => SweepOutcome::Blocked,
    }
}
