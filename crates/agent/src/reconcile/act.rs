//! What follows from an observation: who can log in and should not is ended, at once and without a job.

use std::sync::Arc;
use std::time::Duration;

use gk_shared::session::Desired;
use gk_shared::wire::agent::{Intents, ObservedRole, SessionIntent};

use crate::provider::{Act, Deadline, EndRequest};
use crate::target::Target;

/// No lease is held here; the generation alone says whether this is still wanted.
const TIME: Duration = Duration::from_secs(30);

/// Starts the ends that are due.
pub(super) fn act(target: &Arc<Target>, roles: &[ObservedRole], intents: &Intents) {
    for intent in unwanted(roles, intents) {
        if !target.begin_end(intent.session_id) {
            continue;
        }
        tracing::warn!(
            target_name = %target.name, session = %intent.session_id, generation = intent.generation,
            "a login is there that should not be; ending it"
        );
        tokio::spawn(end(Arc::clone(target), intent));
    }
    if !intents.unknown.is_empty() {
        tracing::warn!(
            target_name = %target.name, count = intents.unknown.len(),
            "logins that the control plane does not know; each is left until its own end"
        );
    }
}

/// Those that can log in, or are connected, and are wanted absent.
fn unwanted(roles: &[ObservedRole], intents: &Intents) -> Vec<SessionIntent> {
    let active = |intent: &&SessionIntent| {
        let role = roles.iter().find(|role| role.session_id == intent.session_id);
        role.is_some_and(|role| role.armed || role.backends > 0)
    };
    let absent = intents.intents.iter().filter(|intent| match intent.desired {
        Desired::Absent => true,
        Desired::Present => false,
    });
    absent.filter(active).copied().collect()
}

async fn end(target: Arc<Target>, intent: SessionIntent) {
    let act = Act {
        session: intent.session_id,
        generation: intent.generation,
        deadline: Deadline::after(TIME),
        correlation: format!("reconcile {}", intent.session_id),
    };
    let ended = target.provider.end(&EndRequest { act }).await;
    target.heard(&ended);
    target.finish_end(intent.session_id);
    match ended {
        Ok(ended) => {
            tracing::info!(session = %intent.session_id, ?ended, "ended by the reconcile loop");
            target.look_now.notify_one();
        }
        Err(error) => tracing::warn!(session = %intent.session_id, %error, "could not be ended; tried again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::ids::SessionId;
    use gk_shared::wire::agent::RoleState;

    fn session(n: u8) -> SessionId {
        SessionId::from_parts(1_700_000_000_000, [n; 10])
    }
    fn role(n: u8, armed: bool, backends: i64) -> ObservedRole {
        let state = if armed { RoleState::Minted } else { RoleState::Disarmed };
        ObservedRole { session_id: session(n), generation: 1, state, armed, backends, valid_until: None, detail: None }
    }

    #[test]
    fn only_what_is_wanted_absent_and_still_active_is_ended() {
        let roles = [role(1, true, 0), role(2, true, 1), role(3, false, 0), role(4, false, 2), role(5, true, 1)];
        let intent = |n, desired| SessionIntent { session_id: session(n), desired, generation: 7 };
        let intents = Intents {
            intents: vec![
                intent(1, Desired::Absent),
                intent(2, Desired::Present),
                intent(3, Desired::Absent),
                intent(4, Desired::Absent),
                intent(6, Desired::Absent),
            ],
            unknown: vec![session(5)],
        };
        let ended: Vec<_> = unwanted(&roles, &intents).into_iter().map(|intent| intent.session_id).collect();
        assert_eq!(ended, [session(1), session(4)]);
    }
}
