//! A target database with the helpers' rules and nothing else: a fence, a role, and what may happen to both.

use std::fmt;

use base64::Engine as _;
use gk_shared::ids::SessionId;
use gk_shared::wire::agent::{Observation, ObservedRole, RoleState};
use gk_shared::wire::job::JobOutcome;
use jiff::Timestamp;

use super::failure;

/// A role as the target has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Role {
    generation: i64,
    armed: bool,
}

/// A target that knows one session.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    session: SessionId,
    now: Timestamp,
    /// The highest generation that did anything here.
    fence: i64,
    /// An end was the last that did.
    closed: bool,
    role: Option<Role>,
    pub(crate) blocked: bool,
    /// Ended by the agent's own clock, and not told yet.
    untold: bool,
    /// What a backup would bring back.
    backup: Option<(i64, Role)>,
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Some(Role { armed: true, generation }) => format!("armed {generation}"),
            Some(Role { armed: false, generation }) => format!("disarmed {generation}"),
            None => "no role".to_owned(),
        };
        write!(out, "{role}, fence {}{}", self.fence, if self.blocked { ", blocked" } else { "" })
    }
}

/// What an agent reports when it could not.
pub(crate) fn refused(code: &str, retryable: bool) -> JobOutcome {
    JobOutcome::Refused { error: failure(code, retryable) }
}

impl Target {
    pub(crate) fn new(session: SessionId, now: Timestamp) -> Self {
        Self { session, now, fence: 0, closed: false, role: None, blocked: false, untold: false, backup: None }
    }

    /// The generation with which somebody could log in now.
    pub(crate) fn armed(&self) -> Option<i64> {
        self.role.filter(|role| role.armed).map(|role| role.generation)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.role.is_none()
    }

    pub(crate) fn mint(&mut self, generation: i64) -> JobOutcome {
        if generation < self.fence || self.closed && generation <= self.fence {
            return refused("stale_generation", true);
        }
        let role = Role { generation, armed: true };
        (self.fence, self.closed, self.role) = (generation, false, Some(role));
        self.backup.get_or_insert((generation, role));
        let encode = |length: usize| base64::engine::general_purpose::STANDARD.encode(vec![7; length]);
        JobOutcome::Minted {
            role_name: self.session.role_name().to_string(),
            expires_at: self.now,
            sealed_credential: format!("v1.{generation}.{}.{}", encode(32), encode(64)),
        }
    }

    pub(crate) fn end(&mut self, generation: i64) -> JobOutcome {
        if generation < self.fence {
            return refused("stale_generation", true);
        }
        (self.fence, self.closed) = (generation, true);
        match &mut self.role {
            Some(role) if self.blocked => {
                role.armed = false;
                JobOutcome::Ended { dropped: false, blocked: Some("owns a prepared transaction".into()) }
            }
            Some(_) | None => {
                self.role = None;
                JobOutcome::Ended { dropped: true, blocked: None }
            }
        }
    }

    pub(crate) fn extend(&mut self, generation: i64) -> JobOutcome {
        match self.role {
            Some(role) if role.armed && generation >= self.fence => JobOutcome::Extended { expires_at: self.now },
            Some(_) | None => refused("stale_generation", false),
        }
    }

    /// Its time is up by the target's clock.
    pub(crate) fn end_by_itself(&mut self) -> bool {
        if self.role.is_none() {
            return false;
        }
        let fence = self.fence;
        self.end(fence);
        self.untold = self.role.is_none();
        true
    }

    pub(crate) fn restore(&mut self) -> bool {
        let Some((fence, role)) = self.backup else { return false };
        (self.fence, self.closed, self.role, self.untold) = (fence, false, Some(role), false);
        true
    }

    pub(crate) fn vanish(&mut self) -> bool {
        self.role.take().is_some()
    }

    /// What an agent sees here.
    pub(crate) fn look(&mut self) -> Observation {
        let role = self.role.map(|role| ObservedRole {
            session_id: self.session,
            generation: role.generation,
            state: match (role.armed, self.blocked) {
                (true, _) => RoleState::Minted,
                (false, true) => RoleState::Stuck,
                (false, false) => RoleState::Disarmed,
            },
            armed: role.armed,
            backends: 0,
            valid_until: None,
            detail: None,
        });
        let dropped = std::mem::take(&mut self.untold).then_some(self.session);
        Observation {
            target: "pg-local".parse().expect("is a name"),
            target_time: self.now,
            complete: true,
            roles: role.into_iter().collect(),
            dropped: dropped.into_iter().collect(),
            clock_jump_ms: 0,
        }
    }
}
