//! How a call can fail, and what kind of failure the network reported.

use gk_shared::problem::Problem;

use super::address::Address;

/// Which check a server's certificate failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Past its end.
    #[error("its certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("its certificate is not valid yet")]
    NotYet,
    /// For somebody else.
    #[error("its certificate is for another name")]
    Name,
    /// Signed by nobody we know.
    #[error("its certificate was issued by an unknown authority")]
    Authority,
    /// Anything else that TLS does not take.
    #[error("TLS failed: {0}")]
    Other(String),
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The control plane refused, and said why.
    #[error("the control plane refused: {}", .problem.detail)]
    Refused {
        /// What it said.
        problem: Box<Problem>,
        /// Seconds after which a repeat makes sense.
        retry_after: Option<u64>,
    },
    /// Nobody answers there.
    #[error("{address} does not answer")]
    Unreachable {
        /// Where.
        address: String,
        /// In the words of the system.
        cause: String,
    },
    /// The answer did not come in time.
    #[error("{address} did not answer in time")]
    Timeout {
        /// Where.
        address: String,
    },
    /// The server is not who it should be.
    #[error("{address}: {fault}")]
    Untrusted {
        /// Where.
        address: String,
        /// Which check failed.
        fault: CertificateFault,
    },
    /// The server sends us elsewhere.
    #[error("{address} redirects to {to}")]
    Redirect {
        /// Where.
        address: String,
        /// Where to.
        to: String,
    },
    /// Somebody answers who does not speak our language.
    #[error("{address} answered with status {status}, which gk does not understand")]
    NotOurs {
        /// Where.
        address: String,
        /// The status.
        status: u16,
        /// The server's version, where it said one.
        server: Option<String>,
    },
    /// The client could not be set up.
    #[error("the HTTP client cannot start: {0}")]
    Setup(String),
    /// A sealed credential that does not open.
    #[error(transparent)]
    Sealed(#[from] gk_shared::seal::SealError),
    /// The session ended instead of getting ready.
    #[error("session {} did not get ready: {}", .0.session_id, .0.status)]
    NotProvided(Box<gk_shared::wire::session::SessionView>),
    /// The session is not ready at the end of the wait.
    #[error("session {} is not ready yet", .0.session_id)]
    NotReady(Box<gk_shared::wire::session::SessionView>),
}

/// A failed call with the id under which the server logged it.
#[derive(Debug)]
pub struct CallError {
    /// What failed.
    pub error: ClientError,
    /// The request's id.
    pub request: String,
}

impl std::fmt::Display for CallError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} (request {})", self.error, self.request)
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Sorts what reqwest reports.
pub(super) fn sort(address: &Address, error: &reqwest::Error) -> ClientError {
    let address = address.to_string();
    if let Some(fault) = certificate_fault(error) {
        return ClientError::Untrusted { address, fault };
    }
    if error.is_timeout() && !error.is_connect() {
        return ClientError::Timeout { address };
    }
    ClientError::Unreachable { address, cause: innermost(error) }
}

/// The last error of the chain says it best: "Connection refused (os error 111)".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// Looks for what TLS said. An I/O error hides what it carries from the chain of sources, so that is opened, too.
fn certificate_fault(error: &(dyn std::error::Error + 'static)) -> Option<CertificateFault> {
    if let Some(tls) = error.downcast_ref::<rustls::Error>() {
        return Some(fault_of(tls));
    }
    let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match carried {
        Some(carried) => certificate_fault(carried),
        None => certificate_fault(error.source()?),
    }
}

fn fault_of(error: &rustls::Error) -> CertificateFault {
    use rustls::CertificateError as Bad;
    let rustls::Error::InvalidCertificate(bad) = error else { return CertificateFault::Other(error.to_string()) };
    // Not our enum, and open at its end: the rest keeps its own words.
    match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => CertificateFault::Expired,
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => CertificateFault::NotYet,
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => CertificateFault::Name,
        Bad::UnknownIssuer => CertificateFault::Authority,
        other => CertificateFault::Other(other.to_string()),
    }
}
