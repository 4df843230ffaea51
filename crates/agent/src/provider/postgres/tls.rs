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
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode as Wanted;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

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

/// How connections to a target are protected.
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
        Self { mode: SslMode::Disable, connector: Connector::new(Arc::new(AnyCertificate(provider()))) }
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

    /// The mode in the driver's words.
    pub(crate) fn wanted(&self) -> Wanted {
        match self.mode {
            SslMode::Disable => Wanted::Disable,
            // The driver cannot try plain text first; TLS first is no worse.
            SslMode::Allow | SslMode::Prefer => Wanted::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Wanted::Require,
        }
    }

    pub(crate) fn connector(&self) -> Connector {
        self.connector.clone()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
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
    for root in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))? {
        let root = root.map_err(|error| unreadable(error.to_string()))?;
        store.add(root).map_err(|error| unreadable(error.to_string()))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
        .build()
        .map(|verifier| verifier as _)
        .map_err(|error| unreadable(error.to_string()))
}

/// Takes every certificate, as libpq's `prefer` and `require` do; the handshake itself is still checked.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Makes handshakes for the driver.
#[derive(Clone)]
pub(crate) struct Connector(Arc<ClientConfig>);

impl Connector {
    fn new(verifier: Arc<dyn ServerCertVerifier>) -> Self {
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Self(Arc::new(config))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = Secured<S>;
    type TlsConnect = Handshake;
    type Error = InvalidDnsNameError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, InvalidDnsNameError> {
        let name = ServerName::try_from(host.to_owned())?;
        Ok(Handshake { connector: tokio_rustls::TlsConnector::from(Arc::clone(&self.0)), name })
    }
}

/// One handshake to be made.
pub(crate) struct Handshake {
    connector: tokio_rustls::TlsConnector,
    name: ServerName<'static>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Secured<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Secured<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move { self.connector.connect(self.name, stream).await.map(|stream| Secured(Box::new(stream))) })
    }
}

/// A connection under TLS.
pub(crate) struct Secured<S>(Box<tokio_rustls::client::TlsStream<S>>);

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
