//! TLS for calls to a control plane: an authority of one's own beside those that the system knows.

use std::net::IpAddr;

use crate::certificate::{CertificateError, read_pem};

/// Whether an address is of this very machine, so that plain HTTP to it crosses no network. `localhost` counts: it is
/// reserved for that (RFC 6761).
#[must_use]
pub fn is_loopback(url: &reqwest::Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Why an authority cannot be trusted: what its file holds is not usable.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// No certificates.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The client does not take them.
    #[error("the certificates cannot be used: {0}")]
    Unusable(#[source] reqwest::Error),
}

/// Certificates of authorities that a client trusts beside the system's own.
#[derive(Clone, Debug)]
pub struct Authorities(Vec<reqwest::Certificate>);

impl Authorities {
    /// From the bytes of a PEM file.
    ///
    /// # Errors
    /// There is no certificate in it, or one that cannot be read.
    pub fn from_pem(pem: &[u8]) -> Result<Self, AuthorityError> {
        let read = |der: &rustls::pki_types::CertificateDer<'_>| reqwest::Certificate::from_der(der);
        let all = read_pem(pem)?.iter().map(read).collect::<Result<_, _>>().map_err(AuthorityError::Unusable)?;
        Ok(Self(all))
    }

    /// Lets the client that is built trust them, too.
    pub fn trusted_by(&self, client: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        client.tls_certs_merge(self.0.iter().cloned())
    }
}
