//! The session: what is wanted held against what is seen.
//!
//! The ledger keeps the facts below; the status word is a pure function of them and is never set by hand. Intent moves
//! in one direction only: once a session is wanted absent it is never wanted present again.

use serde::{Deserialize, Serialize};

// A word is a `tt`: as a `literal` it would reach the derives wrapped up, and the OpenAPI document would show the variant.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:tt,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $word)] $variant,)* }
        impl $name {
            /// All of them, in the order of the life of a session.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];
            /// The word used in the ledger, the API and the CLI.
            #[must_use]
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)* } }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { out.write_str(self.as_str()) }
        }
        impl std::str::FromStr for $name {
            type Err = UnknownWord;
            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word { $($word => Ok(Self::$variant),)* other => Err(UnknownWord(other.to_owned())) }
            }
        }
    };
}

/// A word that stands for no state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a known state")]
pub struct UnknownWord(pub String);

words! {
    /// What the ledger wants.
    Desired {
        /// A role that can log in.
        Present = "present",
        /// No role, no connection.
        Absent = "absent",
    }
}
words! {
    /// What was last seen of the role on its target.
    Observed {
        /// Nothing has been reported yet.
        Unknown = "unknown",
        /// The role can log in.
        Armed = "armed",
        /// The role exists and cannot log in.
        Disarmed = "disarmed",
        /// There is no such role.
        Absent = "absent",
    }
}
words! {
    /// Why a session is over.
    EndReason {
        /// Somebody ended it.
        Revoked = "revoked",
        /// Its time was up.
        Expired = "expired",
        /// It could not be provided.
        Failed = "failed",
        /// A reviewer or policy said no.
        Denied = "denied",
        /// The requester withdrew before it was provided.
        Cancelled = "cancelled",
    }
}
words! {
    /// The one word that a person reads.
    SessionStatus {
        /// Waits for people (no policy asks for them yet).
        PendingApproval = "pending_approval",
        /// An agent is making the role.
        Provisioning = "provisioning",
        /// The credential works.
        Ready = "ready",
        /// Being cut off: disarm, terminate, verify, drop.
        Revoking = "revoking",
        /// Harmless (no login, no connection) but the role could not be dropped yet.
        Quarantined = "quarantined",
        /// Ended by somebody, proven.
        Revoked = "revoked",
        /// Ended by time, proven.
        Expired = "expired",
        /// Never came to be, and nothing is left of it.
        Failed = "failed",
        /// Denied.
        Denied = "denied",
        /// Withdrawn before it was provided.
        Cancelled = "cancelled",
    }
}

impl SessionStatus {
    /// Whether nothing will change any more.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Revoked | Self::Expired | Self::Failed | Self::Denied | Self::Cancelled => true,
            Self::PendingApproval | Self::Provisioning | Self::Ready | Self::Revoking | Self::Quarantined => false,
        }
    }
}

impl From<EndReason> for SessionStatus {
    fn from(reason: EndReason) -> Self {
        match reason {
            EndReason::Revoked => Self::Revoked,
            EndReason::Expired => Self::Expired,
            EndReason::Failed => Self::Failed,
            EndReason::Denied => Self::Denied,
            EndReason::Cancelled => Self::Cancelled,
        }
    }
}

/// What is wanted of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// The role should exist.
    Present,
    /// The role should be gone, for this reason.
    Absent(EndReason),
}

/// What is known of the end of a session on its target.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EndProof {
    /// The login was off and zero connections were seen twice on every endpoint.
    pub cut: bool,
    /// The role was seen to be absent.
    pub dropped: bool,
    /// What keeps the role from being dropped, with the way to mend it.
    pub blocked: Option<String>,
}

/// The facts that a status is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// What is wanted.
    pub intent: Intent,
    /// Counts changes of intent and new leases; every act on the target carries it.
    pub generation: i64,
    /// What was last seen.
    pub observed: Observed,
    /// Proof of the end, as far as it goes.
    pub end: EndProof,
}

/// A session that is already on its way out cannot be changed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the session is already ending ({0})")]
pub struct AlreadyEnding(pub EndReason);

impl SessionFacts {
    /// A session that was just asked for.
    #[must_use]
    pub const fn requested() -> Self {
        Self {
            intent: Intent::Present,
            generation: 1,
            observed: Observed::Unknown,
            end: EndProof { cut: false, dropped: false, blocked: None },
        }
    }

    /// The word for these facts.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        match self.intent {
            Intent::Present => match self.observed {
                Observed::Armed => SessionStatus::Ready,
                Observed::Unknown | Observed::Disarmed | Observed::Absent => SessionStatus::Provisioning,
            },
            Intent::Absent(reason) if self.end.dropped => reason.into(),
            Intent::Absent(_) if self.end.cut && self.end.blocked.is_some() => SessionStatus::Quarantined,
            Intent::Absent(_) => SessionStatus::Revoking,
        }
    }

    /// Wants the session gone. The new generation fences every act that was begun before.
    ///
    /// # Errors
    /// It is already wanted gone; the first reason stands.
    pub fn want_absent(self, reason: EndReason) -> Result<Self, AlreadyEnding> {
        match self.intent {
            Intent::Present => Ok(Self { intent: Intent::Absent(reason), generation: self.generation + 1, ..self }),
            Intent::Absent(first) => Err(AlreadyEnding(first)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(intent: Intent, observed: Observed, end: EndProof) -> SessionFacts {
        SessionFacts { intent, generation: 1, observed, end }
    }

    #[test]
    fn ready_is_said_only_of_an_armed_role_that_is_wanted() {
        for seen in Observed::ALL {
            let present = facts(Intent::Present, *seen, EndProof::default()).status();
            let absent = facts(Intent::Absent(EndReason::Revoked), *seen, EndProof::default()).status();
            assert_eq!(present == SessionStatus::Ready, *seen == Observed::Armed);
            assert_eq!(absent, SessionStatus::Revoking);
        }
    }

    #[test]
    fn an_end_is_said_only_with_proof() {
        let ending = |end| facts(Intent::Absent(EndReason::Expired), Observed::Disarmed, end).status();
        let blocked = Some("owns a prepared transaction".to_owned());
        assert_eq!(ending(EndProof { cut: true, dropped: false, blocked: None }), SessionStatus::Revoking);
        assert_eq!(ending(EndProof { cut: false, dropped: false, blocked: blocked.clone() }), SessionStatus::Revoking);
        assert_eq!(ending(EndProof { cut: true, dropped: false, blocked }), SessionStatus::Quarantined);
        assert_eq!(ending(EndProof { cut: true, dropped: true, blocked: None }), SessionStatus::Expired);
    }

    #[test]
    fn the_first_reason_to_end_stands_and_raises_the_generation_once() {
        let once = SessionFacts::requested().want_absent(EndReason::Expired).expect("was wanted");
        assert_eq!(once.generation, 2);
        assert_eq!(once.want_absent(EndReason::Revoked).unwrap_err(), AlreadyEnding(EndReason::Expired));
    }

    #[test]
    fn every_word_reads_back() {
        for status in SessionStatus::ALL {
            assert_eq!(status.as_str().parse::<SessionStatus>().as_ref(), Ok(status));
        }
        assert_eq!("gone".parse::<Desired>().unwrap_err(), UnknownWord("gone".into()));
    }
}
