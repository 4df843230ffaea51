//! Calls about sessions.

use std::time::Duration;

use gk_shared::idempotency::IdempotencyKey;
use gk_shared::ids::SessionId;
use gk_shared::names::TargetName;
use gk_shared::wire::session::{CreateSession, DryRun, ExtendSession, RevokeSession, SessionPage, SessionView};

use super::{Call, CallError, Client};

/// The longest that one call waits; a longer wait is made of several.
pub(super) const ONE_WAIT: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// How long to wait for a session to be ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Not at all: answer as soon as it is asked for.
    No,
    /// At most this long.
    AtMost(Duration),
}

impl Wait {
    /// As a length of time; none is zero.
    #[must_use]
    pub fn duration(self) -> Duration {
        match self {
            Self::No => Duration::ZERO,
            Self::AtMost(most) => most,
        }
    }
}

/// Which sessions to list.
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    /// Only the caller's own.
    pub mine: bool,
    /// Only those that are not over.
    pub live: bool,
    /// Only on this target.
    pub target: Option<TargetName>,
}

impl Client {
    /// Asks for a session, and waits up to `wait` (at most 30 s in one call) for it.
    ///
    /// # Errors
    /// The call failed.
    pub async fn create_session(
        &self,
        asked: &CreateSession,
        key: &IdempotencyKey,
        wait: Duration,
    ) -> Result<SessionView, CallError> {
        let call = Call::post("/v1/sessions", asked).waiting(wait.min(ONE_WAIT));
        self.call(Call { key: Some(key), ..call }).await
    }

    /// What policy would say; nothing is made.
    ///
    /// # Errors
    /// The call failed, or policy says no.
    pub async fn dry_run(&self, asked: &CreateSession, key: &IdempotencyKey) -> Result<DryRun, CallError> {
        let call = Call::post("/v1/sessions", asked).query("dryRun", true);
        self.call(Call { key: Some(key), ..call }).await
    }

    /// One session.
    ///
    /// # Errors
    /// The call failed.
    pub async fn session(&self, id: SessionId) -> Result<SessionView, CallError> {
        self.session_after(id, Duration::ZERO).await
    }

    /// One session, as soon as it is no longer being made or after `wait` (at most 30 s in one call).
    async fn session_after(&self, id: SessionId, wait: Duration) -> Result<SessionView, CallError> {
        self.call(Call::get(&format!("/v1/sessions/{id}")).waiting(wait.min(ONE_WAIT))).await
    }

    /// A page of sessions, newest first.
    ///
    /// # Errors
    /// The call failed.
    pub async fn sessions(&self, filter: &SessionFilter, cursor: Option<&str>) -> Result<SessionPage, CallError> {
        let call = Call::get("/v1/sessions")
            .query("limit", 200)
            .query_if("mine", filter.mine.then_some(true))
            .query_if("live", filter.live.then_some(true))
            .query_if("target", filter.target.as_ref())
            .query_if("cursor", cursor);
        self.call(call).await
    }

    /// All sessions that the filter lets through, newest first.
    ///
    /// # Errors
    /// A call failed.
    pub async fn all_sessions(&self, filter: &SessionFilter) -> Result<Vec<SessionView>, CallError> {
        let mut page = self.sessions(filter, None).await?;
        let mut all = std::mem::take(&mut page.sessions);
        while let Some(cursor) = page.next_cursor {
            page = self.sessions(filter, Some(&cursor)).await?;
            all.append(&mut page.sessions);
        }
        Ok(all)
    }

    /// Ends a session, and waits up to `wait` for the proof.
    ///
    /// # Errors
    /// The call failed.
    pub async fn revoke_session(
        &self,
        id: SessionId,
        why: &RevokeSession,
        wait: Duration,
    ) -> Result<SessionView, CallError> {
        let path = format!("/v1/sessions/{id}/revoke");
        self.call(Call::post(&path, why).waiting(wait.min(ONE_WAIT))).await
    }

    /// Moves the end of a session, and waits up to `wait` until its target has it.
    ///
    /// # Errors
    /// The call failed.
    pub async fn extend_session(
        &self,
        id: SessionId,
        asked: &ExtendSession,
        wait: Duration,
    ) -> Result<SessionView, CallError> {
        let path = format!("/v1/sessions/{id}/extend");
        self.call(Call::post(&path, asked).waiting(wait.min(ONE_WAIT))).await
    }

    /// Waits until the session is no longer on its way, or until `deadline`.
    ///
    /// # Errors
    /// A call failed.
    pub async fn settled(
        &self,
        mut view: SessionView,
        deadline: tokio::time::Instant,
        on_its_way: fn(&SessionView) -> bool,
    ) -> Result<SessionView, CallError> {
        let mut pause = FIRST_PAUSE;
        while on_its_way(&view) {
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                break;
            }
            // The server waits for what is being made; for what is ending we come again.
            tokio::time::sleep(pause.min(left)).await;
            view = self.session_after(view.session_id, left.saturating_sub(pause)).await?;
            pause = (pause * 2).min(LAST_PAUSE);
        }
        Ok(view)
    }
}
