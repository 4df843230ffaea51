//! TLS to Postgres: libpq's modes, with rustls.
//!
//! Always holds: a mode is never weakened silently; where a certificate is checked it is checked in full, name and all;
//! and SCRAM is bound to the server's certificate wherever its signature's hash is known, so that nobody in between can
//! pass a login on.

use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use gk_shared::dsn::SslMode;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode as Wanted;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use crate::certificate::read_pem;
use crate::provider;
use crate::unchecked::{AnyCertificate, config_with};

/// Why a mode cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Half a check gives a false feeling of safety, and nothing here needs it.
    #[error("verify-ca is not offered: use verify-full, which checks the host's name, too")]
    VerifyCa,
    /// The roots cannot be read.
    #[error("{0}")]
    Roots(String),
    /// A root certificate without a mode that looks at it.
    #[error("a root certificate is looked at with sslmode = \"verify-full\" only")]
    RootsUnused,
}

/// How connections to a server are protected.
#[derive(Clone)]
pub struct Tls {
    mode: SslMode,
    connector: Connector,
}

impl fmt::Debug for Tls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Tls({})", self.mode)
    }
}

impl Tls {
    /// Plain text: for a database on this machine.
    #[must_use]
    pub fn off() -> Self {
        Self { mode: SslMode::Disable, connector: Connector::new(Arc::new(AnyCertificate::new())) }
    }

    /// As libpq understands the mode; `roots` is a PEM file of authorities, the system's own if `None`.
    ///
    /// # Errors
    /// A mode or a file of roots that cannot be used.
    pub fn new(mode: SslMode, roots: Option<&Path>) -> Result<Self, TlsError> {
        match mode {
            SslMode::VerifyCa => Err(TlsError::VerifyCa),
            SslMode::VerifyFull => Ok(Self { mode, connector: Connector::new(checked_by(roots)?) }),
            SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require if roots.is_some() => {
                Err(TlsError::RootsUnused)
            }
            SslMode::Disable | SslMode::Allow | SslMode::Prefer | SslMode::Require => Ok(Self { mode, ..Self::off() }),
        }
    }

    /// Whether a server is let in only with a certificate for its name from a known authority.
    #[must_use]
    pub fn checks_the_server(&self) -> bool {
        self.mode == SslMode::VerifyFull
    }

    /// The mode in the driver's words.
    #[must_use]
    pub fn wanted(&self) -> Wanted {
        match self.mode {
            SslMode::Disable => Wanted::Disable,
            // The driver cannot try plain text first; TLS first is no worse.
            SslMode::Allow | SslMode::Prefer => Wanted::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Wanted::Require,
        }
    }

    /// What the driver connects with.
    #[must_use]
    pub fn connector(&self) -> Connector {
        self.connector.clone()
    }
}

/// Full verification against these roots, or the system's.
fn checked_by(roots: Option<&Path>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let Some(path) = roots else {
        let system = rustls_platform_verifier::Verifier::new(provider());
        return system
            .map(|verifier| Arc::new(verifier) as _)
            .map_err(|error| TlsError::Roots(format!("the system's certificates cannot be used: {error}")));
    };
    let unreadable = |error: String| TlsError::Roots(format!("{}: {error}", path.display()));
    let mut store = RootCertStore::empty();
    let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    for root in read_pem(&pem).map_err(|error| unreadable(error.to_string()))? {
        store.add(root).map_err(|error| unreadable(error.to_string()))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map(|verifier| verifier as _)
        .map_err(|error| unreadable(error.to_string()))
}

/// Makes handshakes for the driver.
#[derive(Clone)]
pub struct Connector(Arc<ClientConfig>);

impl Connector {
    fn new(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        Self(Arc::new(config_with(verifier)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = Secured<S>;
    type TlsConnect = Handshake;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, InvalidDnsNameError> {
        // A socket of this machine has no name, and never gets as far as a handshake.
        let name = if host.is_empty() { None } else { Some(ServerName::try_from(host.to_owned())?) };
        Ok(Handshake { connector: tokio_rustls::TlsConnector::from(Arc::clone(&self.0)), name })
    }
}

/// One handshake to be made.
pub struct Handshake {
    connector: tokio_rustls::TlsConnector,
    name: Option<ServerName<'static>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Secured<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let name = self.name.ok_or_else(|| io::Error::other("a server without a name cannot be checked"))?;
            self.connector.connect(name, stream).await.map(|stream| Secured(Box::new(stream)))
        })
    }
}

/// A connection under TLS.
pub struct Secured<S>(Box<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Secured<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let certificate = self.0.get_ref().1.peer_certificates().and_then(<[_]>::first);
        certificate
            .and_then(|der| end_point(der))
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Secured<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Secured<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

/// RFC 5929's tls-server-end-point: the certificate under the hash of its own signature, SHA-256 at the least.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    /// Object identifiers in DER, with what they hash with.
    const SHA256: [&[u8]; 2] = [&[42, 134, 72, 134, 247, 13, 1, 1, 11], &[42, 134, 72, 206, 61, 4, 3, 2]];
    const SHA384: [&[u8]; 2] = [&[42, 134, 72, 134, 247, 13, 1, 1, 12], &[42, 134, 72, 206, 61, 4, 3, 3]];
    const SHA512: [&[u8]; 2] = [&[42, 134, 72, 134, 247, 13, 1, 1, 13], &[42, 134, 72, 206, 61, 4, 3, 4]];
    let (_, inside, _) = der(certificate)?;
    let (_, _, after_body) = der(inside)?;
    let (_, algorithm, _) = der(after_body)?;
    let (0x06, oid, _) = der(algorithm)? else { return None };
    if SHA256.contains(&oid) {
        Some(Sha256::digest(certificate).to_vec())
    } else if SHA384.contains(&oid) {
        Some(Sha384::digest(certificate).to_vec())
    } else if SHA512.contains(&oid) {
        Some(Sha512::digest(certificate).to_vec())
    } else {
        None
    }
}

/// One DER element: tag, content, and what follows it.
fn der(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    Some((tag, content, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_check_and_roots_that_nobody_looks_at_are_refused() {
        assert!(matches!(Tls::new(SslMode::VerifyCa, None), Err(TlsError::VerifyCa)));
        for mode in [SslMode::Disable, SslMode::Prefer, SslMode::Require] {
            assert!(matches!(Tls::new(mode, Some(Path::new("/roots"))), Err(TlsError::RootsUnused)), "{mode}");
        }
        assert!(matches!(Tls::new(SslMode::VerifyFull, Some(Path::new("/nonexistent"))), Err(TlsError::Roots(_))));
    }

    #[test]
    fn bytes_that_are_no_certificate_bind_to_nothing() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x84, 255, 255, 255, 255], &[0x30, 2, 5, 0]] {
            assert_eq!(end_point(bytes), None);
        }
    }
}
