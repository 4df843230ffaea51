//! Somebody who is connected with a session of their own while a fault is on, so that the fault can say what became of them.

use crate::stage::Stage;
use crate::workload::{Caller, Wish};
use gk_e2e::User;
use gk_shared::ids::SessionId;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A session, and a connection with it. It holds a secret, so it is never printed.
pub(super) struct Held {
    pub(super) session: SessionId,
    pub(super) dsn: String,
    pub(super) user: User,
    pub(super) caller: Caller,
}

impl Held {
    /// Asks for a session of so many seconds and logs in; none if that does not work within half a minute.
    pub(super) async fn take(stage: &Stage, ttl: u32) -> Option<Self> {
        let caller = stage.caller();
        let wish = Wish { key: format!("held-{}", rand::random::<u64>()), role: "app_read", ttl };
        let session = caller.ask_until(&wish, PATIENCE).await?;
        let dsn = caller.credential(session, PATIENCE).await?;
        let user = stage.bench.login(session, &dsn).await?;
        Some(Self { session, dsn, user, caller })
    }

    /// Whether the connection is cut within this time.
    pub(super) async fn is_cut_within(&self, patience: Duration) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < patience {
            if self.user.is_cut() {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// Revokes, and whether that was accepted and the connection cut, each within this time.
    pub(super) async fn is_revoked_and_cut(&self, patience: Duration) -> bool {
        self.caller.revoke(self.session, patience).await && self.is_cut_within(patience).await
    }
}
