//! Looks after a session while its child runs, so that a cut is not a riddle to whoever sits at the terminal.

use std::time::Duration;

use gk_shared::session::{EndReason, SessionStatus};
use gk_shared::wire::session::SessionView;

use tokio::time::Instant;

use crate::client::Client;

const PAUSE: Duration = Duration::from_secs(2);

/// Waits until the session is no longer ready, and says why. A control plane that does not answer says nothing about
/// the session, so that is waited out.
pub(super) async fn until_it_ends(client: Client, view: &SessionView) -> String {
    let id = view.session_id;
    loop {
        tokio::time::sleep(PAUSE).await;
        if let Ok(seen) = client.session(id).await
            && seen.status != SessionStatus::Ready
        {
            return explain(&seen);
        }
    }
}

/// Whether the session had ended before its command failed: then that is why it failed. Asked of the control plane, and
/// of the time, because the target cuts on its own and the control plane hears of it later.
pub(super) async fn ended_under(client: &Client, view: &SessionView, begun: Instant) -> Option<String> {
    let asked = tokio::time::timeout(PAUSE, client.session(view.session_id)).await;
    if let Ok(Ok(seen)) = asked
        && seen.status != SessionStatus::Ready
    {
        return Some(explain(&seen));
    }
    let left = u64::try_from(view.expires_in_seconds?).unwrap_or_default();
    (begun.elapsed() >= Duration::from_secs(left)).then(|| expired(view))
}

fn expired(view: &SessionView) -> String {
    let id = view.session_id;
    format!("session {id} has expired: its connections are cut and its login is off (ask for more with --ttl)")
}

fn explain(seen: &SessionView) -> String {
    let id = seen.session_id;
    let by =
        seen.ended_by.as_deref().filter(|who| *who != "system").map(|who| format!(" by {who}")).unwrap_or_default();
    match seen.end_reason {
        Some(EndReason::Expired) => expired(seen),
        Some(EndReason::Revoked) => {
            format!("session {id} was revoked{by}: its connections are cut and its login is off")
        }
        Some(EndReason::Failed) => format!("session {id} was lost on its target: its role is gone"),
        Some(EndReason::Denied | EndReason::Cancelled) | None => format!("session {id} is {}{by}", seen.status),
    }
}
