//! Who may call what: every route stands under one of these, and the refusal test walks the same table.

use gk_shared::problem::ErrorCode;
use gk_shared::wire::token::Scope;

use super::problem::ApiError;

/// What a caller needs to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Nobody in particular: health and the like.
    Anyone,
    /// A person or a service, whatever their token is for.
    User,
    /// One who may ask for sessions.
    Requester,
    /// One who may read what others did.
    Auditor,
    /// One who may run the place.
    Admin,
    /// An agent.
    Agent,
    /// A machine that becomes an agent, with the one-time token for it.
    Enrolment,
}

impl Access {
    /// The scopes of which one is needed.
    #[must_use]
    pub const fn scopes(self) -> &'static [Scope] {
        match self {
            Self::Anyone => &[],
            Self::User => &[Scope::Requester, Scope::Auditor, Scope::Admin],
            Self::Requester => &[Scope::Requester, Scope::Admin],
            Self::Auditor => &[Scope::Auditor, Scope::Admin],
            Self::Admin => &[Scope::Admin],
            Self::Agent | Self::Enrolment => &[Scope::Agent],
        }
    }

    /// Checks the scopes of a token.
    ///
    /// # Errors
    /// An agent where people belong, or the reverse, or a scope that is missing.
    pub fn check(self, scopes: &[Scope]) -> Result<(), ApiError> {
        let is_agent = scopes.contains(&Scope::Agent);
        match self {
            Self::Anyone => return Ok(()),
            Self::Agent | Self::Enrolment if !is_agent => {
                return Err(wrong_kind("this is for agents; the token is not an agent's"));
            }
            Self::User | Self::Requester | Self::Auditor | Self::Admin if is_agent => {
                return Err(wrong_kind("this is for people and services; the token is an agent's"));
            }
            Self::User | Self::Requester | Self::Auditor | Self::Admin | Self::Agent | Self::Enrolment => {}
        }
        if scopes.iter().any(|scope| self.scopes().contains(scope)) {
            return Ok(());
        }
        let needed: Vec<_> = self.scopes().iter().map(|scope| format!("`{scope}`")).collect();
        let detail = format!("the token needs the scope {}", needed.join(" or "));
        Err(ApiError::new(ErrorCode::ScopeMissing, detail))
    }
}

fn wrong_kind(detail: &str) -> ApiError {
    ApiError::new(ErrorCode::WrongPrincipalKind, detail)
}
