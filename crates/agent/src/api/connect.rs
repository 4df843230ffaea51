//! The HTTP client under the calls, and what it shows of the agent.
//!
//! Always holds: with a certificate no token is sent; a new certificate is used for every connection that is opened after
//! it came, and none is kept that was opened before.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use gk_edge::client::Authorities;
use gk_shared::secret::BearerToken;

use super::ApiError;
use crate::config::{AgentConfig, Credential, Identity, IdentityFile, PlaneUrl, TokenSource};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How the control plane is reached.
#[derive(Debug, Clone)]
pub(super) struct Way {
    url: PlaneUrl,
    authorities: Option<Authorities>,
}

impl Way {
    pub(super) fn of(config: &AgentConfig) -> Self {
        Self { url: config.control_plane.clone(), authorities: config.authorities.clone() }
    }

    /// A client that shows this identity, or none.
    pub(super) fn client(&self, identity: Option<&Identity>) -> Result<reqwest::Client, ApiError> {
        gk_edge::install_tls();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("gk-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(15))
            .redirect(reqwest::redirect::Policy::none());
        if self.url.is_loopback() {
            // A proxy has no business with the loopback interface.
            builder = builder.no_proxy();
        }
        if let Some(authorities) = &self.authorities {
            builder = authorities.trusted_by(builder);
        }
        let failed = |error: reqwest::Error| ApiError::Unreachable(super::reason(&error));
        if let Some(identity) = identity {
            builder = builder.identity(reqwest::Identity::from_pem(identity.pem.as_bytes()).map_err(failed)?);
        }
        builder.build().map_err(failed)
    }
}

/// What the agent shows, and the client that shows it.
#[derive(Debug)]
pub(super) enum Shown {
    /// A token with every call.
    Token { source: TokenSource, token: RwLock<BearerToken>, http: reqwest::Client },
    /// A certificate in every handshake.
    Certificate { file: IdentityFile, http: RwLock<reqwest::Client> },
}

impl Shown {
    pub(super) fn of(config: &AgentConfig, way: &Way) -> Result<Self, ApiError> {
        Ok(match &config.credential {
            Credential::Token(source) => {
                let token = RwLock::new(source.token().clone());
                Self::Token { source: source.clone(), token, http: way.client(None)? }
            }
            Credential::Certificate(file) => {
                Self::Certificate { file: file.clone(), http: RwLock::new(way.client(Some(&file.read()?))?) }
            }
        })
    }

    /// The client, and the token that goes with each call.
    pub(super) fn now(&self) -> (reqwest::Client, Option<BearerToken>) {
        match self {
            Self::Token { token, http, .. } => {
                (http.clone(), Some(token.read().unwrap_or_else(PoisonError::into_inner).clone()))
            }
            Self::Certificate { http, .. } => (http.read().unwrap_or_else(PoisonError::into_inner).clone(), None),
        }
    }

    /// After a refusal: whether there is something newer to show.
    pub(super) fn renewed(&self) -> bool {
        match self {
            Self::Certificate { .. } => false,
            Self::Token { source, token, .. } => {
                let mut shown = token.write().unwrap_or_else(PoisonError::into_inner);
                let newer = source.renewed(&shown);
                let there_is = newer.is_some();
                if let Some(newer) = newer {
                    *shown = newer;
                }
                there_is
            }
        }
    }

    /// The file of the certificate, if one is shown.
    pub(super) const fn file(&self) -> Option<&IdentityFile> {
        match self {
            Self::Token { .. } => None,
            Self::Certificate { file, .. } => Some(file),
        }
    }

    /// Shows what is in the file from now on.
    pub(super) fn reload(&self, way: &Way) -> Result<(), ApiError> {
        match self {
            Self::Token { .. } => Ok(()),
            Self::Certificate { file, http } => {
                let client = way.client(Some(&file.read()?))?;
                *http.write().unwrap_or_else(PoisonError::into_inner) = client;
                Ok(())
            }
        }
    }
}
