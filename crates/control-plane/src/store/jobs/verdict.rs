//! What a reported result means: a pure decision over the lease, the session and the report.

use std::time::Duration;

use gk_shared::names::RoleName;
use gk_shared::problem::ErrorCode;
use gk_shared::seal::SealedCredential;
use gk_shared::session::Desired;
use gk_shared::wire::job::JobOutcome;
use gk_shared::wire::session::SessionFailure;
use jiff::Timestamp;

/// What a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum JobKind {
    Create,
    Revoke,
    Extend,
}

impl std::str::FromStr for JobKind {
    type Err = gk_shared::session::UnknownWord;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "create" => Ok(Self::Create),
            "revoke" => Ok(Self::Revoke),
            "extend" => Ok(Self::Extend),
            other => Err(gk_shared::session::UnknownWord(other.to_owned())),
        }
    }
}

/// The session and the job whose lease the report holds, as they are now.
#[derive(Debug, Clone)]
pub(in crate::store) struct Held {
    pub(in crate::store) kind: JobKind,
    pub(in crate::store) role: RoleName,
    pub(in crate::store) desired: Desired,
    pub(in crate::store) generation: i64,
    pub(in crate::store) lease_generation: i64,
    pub(in crate::store) attempt: i32,
    pub(in crate::store) cut: bool,
    pub(in crate::store) ended: bool,
    pub(in crate::store) blocked: Option<String>,
    /// The time in which the session had to become ready is over.
    pub(in crate::store) late: bool,
}

/// What to do with a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Verdict {
    /// The credential works.
    Ready { expires_at: Timestamp, sealed: String },
    /// The end was moved.
    Extended { expires_at: Timestamp },
    /// The extension is given up; the session goes on as it was.
    NotExtended(SessionFailure),
    /// Cut, and perhaps gone.
    Cut { dropped: bool, blocked: Option<String>, retry_in: Duration },
    /// Nothing new, but the job has to come again.
    Again { error: Option<SessionFailure>, retry_in: Duration },
    /// Already known to be over: the job is done.
    Done,
    /// It cannot be provided: clean up whatever there is.
    Failed(SessionFailure),
    /// The agent broke a rule: clean up, and refuse the report with this code.
    Refused(ErrorCode),
    /// The intent has changed since: nothing happens.
    Stale,
    /// This kind of job has no such result.
    WrongOutcome,
}

/// Longest pause between two tries to make or extend.
const CREATE_CAP: Duration = Duration::from_secs(30);
/// Longest pause between two tries to end: for ever, but never hidden and never in the way.
const END_CAP: Duration = Duration::from_secs(60);
/// An extension that was refused so often is given up.
const EXTEND_ATTEMPTS: i32 = 5;

/// The pause after the `attempt`-th try: half a second, doubling up to `cap`.
pub(in crate::store) fn backoff(attempt: i32, cap: Duration) -> Duration {
    let doublings = u32::try_from(attempt - 1).unwrap_or(0).min(16);
    (Duration::from_millis(500) * 2_u32.pow(doublings)).min(cap)
}

/// What this report means.
pub(in crate::store) fn decide(held: &Held, outcome: &JobOutcome) -> Verdict {
    match held.kind {
        JobKind::Create => created(held, outcome),
        JobKind::Revoke => revoked(held, outcome),
        JobKind::Extend => extended(held, outcome),
    }
}

fn overtaken(held: &Held) -> bool {
    held.desired == Desired::Absent || held.generation != held.lease_generation
}

fn created(held: &Held, outcome: &JobOutcome) -> Verdict {
    match outcome {
        JobOutcome::Extended { .. } | JobOutcome::Ended { .. } => Verdict::WrongOutcome,
        JobOutcome::Minted { .. } | JobOutcome::Refused { .. } if overtaken(held) => Verdict::Stale,
        JobOutcome::Minted { role_name, .. } if role_name != held.role.as_str() => {
            Verdict::Refused(ErrorCode::RoleMismatch)
        }
        JobOutcome::Minted { sealed_credential, expires_at, .. } => {
            match sealed_credential.parse::<SealedCredential>() {
                Ok(sealed) if sealed.generation() == held.lease_generation => {
                    Verdict::Ready { expires_at: *expires_at, sealed: sealed_credential.clone() }
                }
                Ok(_) | Err(_) => Verdict::Refused(ErrorCode::BadSealedBlob),
            }
        }
        JobOutcome::Refused { error } if error.retryable && !held.late => {
            Verdict::Again { error: Some(error.clone()), retry_in: backoff(held.attempt, CREATE_CAP) }
        }
        JobOutcome::Refused { error } => Verdict::Failed(error.clone()),
    }
}

fn revoked(held: &Held, outcome: &JobOutcome) -> Verdict {
    let retry_in = backoff(held.attempt, END_CAP);
    match outcome {
        JobOutcome::Minted { .. } | JobOutcome::Extended { .. } => Verdict::WrongOutcome,
        JobOutcome::Ended { .. } | JobOutcome::Refused { .. } if held.ended => Verdict::Done,
        // The role has come back since, and what was seen then proves nothing of now.
        JobOutcome::Ended { .. } | JobOutcome::Refused { .. } if held.generation != held.lease_generation => {
            Verdict::Stale
        }
        JobOutcome::Ended { dropped: true, .. } => Verdict::Cut { dropped: true, blocked: None, retry_in },
        JobOutcome::Ended { dropped: false, blocked } if held.cut && *blocked == held.blocked => {
            Verdict::Again { error: None, retry_in }
        }
        JobOutcome::Ended { dropped: false, blocked } => {
            Verdict::Cut { dropped: false, blocked: blocked.clone(), retry_in }
        }
        JobOutcome::Refused { error } => Verdict::Again { error: Some(error.clone()), retry_in },
    }
}

fn extended(held: &Held, outcome: &JobOutcome) -> Verdict {
    match outcome {
        JobOutcome::Minted { .. } | JobOutcome::Ended { .. } => Verdict::WrongOutcome,
        JobOutcome::Extended { .. } | JobOutcome::Refused { .. } if overtaken(held) => Verdict::Stale,
        JobOutcome::Extended { expires_at } => Verdict::Extended { expires_at: *expires_at },
        JobOutcome::Refused { error } if error.retryable && held.attempt < EXTEND_ATTEMPTS => {
            Verdict::Again { error: None, retry_in: backoff(held.attempt, CREATE_CAP) }
        }
        JobOutcome::Refused { error } => Verdict::NotExtended(error.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::ids::SessionId;

    fn held(kind: JobKind, desired: Desired) -> Held {
        let role = SessionId::from_parts(1, [1; 10]).role_name();
        let (generation, lease_generation) = (2, 2);
        Held {
            kind,
            role,
            desired,
            generation,
            lease_generation,
            attempt: 1,
            cut: false,
            ended: false,
            blocked: None,
            late: false,
        }
    }
    fn minted(role: &str, sealed: &str) -> JobOutcome {
        JobOutcome::Minted {
            role_name: role.into(),
            expires_at: Timestamp::UNIX_EPOCH,
            sealed_credential: sealed.into(),
        }
    }
    fn refused(retryable: bool) -> JobOutcome {
        JobOutcome::Refused { error: SessionFailure { code: "target_busy".into(), message: "no".into(), retryable } }
    }
    fn blob(generation: i64) -> String {
        use base64::Engine as _;
        let encode = |len: usize| base64::engine::general_purpose::STANDARD.encode(vec![7; len]);
        format!("v1.{generation}.{}.{}", encode(32), encode(40))
    }

    #[test]
    fn a_mint_counts_only_for_its_role_its_generation_and_an_intent_that_still_holds() {
        let now = held(JobKind::Create, Desired::Present);
        let role = now.role.to_string();
        assert!(matches!(decide(&now, &minted(&role, &blob(2))), Verdict::Ready { .. }));
        assert_eq!(decide(&now, &minted("gk_other", &blob(2))), Verdict::Refused(ErrorCode::RoleMismatch));
        for bad in [blob(1), String::new(), "v1.2.x.y".to_owned()] {
            assert_eq!(decide(&now, &minted(&role, &bad)), Verdict::Refused(ErrorCode::BadSealedBlob));
        }
        let gone = held(JobKind::Create, Desired::Absent);
        assert_eq!(decide(&gone, &minted(&role, &blob(2))), Verdict::Stale);
        let releasd = Held { generation: 3, ..now };
        assert_eq!(decide(&releasd, &minted(&role, &blob(2))), Verdict::Stale);
    }

    #[test]
    fn a_retryable_refusal_comes_again_until_the_session_is_late_and_another_fails_at_once() {
        let now = held(JobKind::Create, Desired::Present);
        assert!(matches!(decide(&now, &refused(true)), Verdict::Again { .. }));
        assert!(matches!(decide(&Held { late: true, ..now.clone() }, &refused(true)), Verdict::Failed(_)));
        assert!(matches!(decide(&now, &refused(false)), Verdict::Failed(_)));
    }

    #[test]
    fn an_end_is_tried_for_ever_whatever_the_agent_says() {
        let now = Held { attempt: 10_000, late: true, ..held(JobKind::Revoke, Desired::Absent) };
        for retryable in [true, false] {
            let Verdict::Again { retry_in, .. } = decide(&now, &refused(retryable)) else { panic!("gave up") };
            assert_eq!(retry_in, END_CAP);
        }
        let stuck = |blocked: &str| JobOutcome::Ended { dropped: false, blocked: Some(blocked.into()) };
        assert!(matches!(decide(&now, &stuck("a")), Verdict::Cut { dropped: false, .. }));
        let known = Held { cut: true, blocked: Some("a".into()), ..now };
        assert!(matches!(decide(&known, &stuck("a")), Verdict::Again { .. }));
        assert!(matches!(decide(&known, &stuck("b")), Verdict::Cut { .. }));
    }

    #[test]
    fn an_end_of_an_older_generation_proves_nothing_of_a_role_that_came_back() {
        let now = Held { generation: 3, ..held(JobKind::Revoke, Desired::Absent) };
        for dropped in [true, false] {
            assert_eq!(decide(&now, &JobOutcome::Ended { dropped, blocked: None }), Verdict::Stale);
        }
        assert_eq!(decide(&now, &refused(true)), Verdict::Stale);
        let over = Held { ended: true, ..now };
        assert_eq!(decide(&over, &JobOutcome::Ended { dropped: true, blocked: None }), Verdict::Done);
    }

    #[test]
    fn a_result_of_another_kind_of_job_is_refused() {
        let end = JobOutcome::Ended { dropped: true, blocked: None };
        assert_eq!(decide(&held(JobKind::Create, Desired::Present), &end), Verdict::WrongOutcome);
        assert_eq!(decide(&held(JobKind::Extend, Desired::Present), &end), Verdict::WrongOutcome);
        assert_eq!(decide(&held(JobKind::Revoke, Desired::Absent), &minted("x", "y")), Verdict::WrongOutcome);
    }

    #[test]
    fn pauses_double_from_half_a_second_to_their_cap() {
        let millis = |attempt| backoff(attempt, CREATE_CAP).as_millis();
        assert_eq!([millis(0), millis(1), millis(2), millis(6), millis(7)], [500, 500, 1000, 16_000, 30_000]);
        assert_eq!(backoff(i32::MAX, END_CAP), END_CAP);
    }
}
