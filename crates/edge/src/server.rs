//! TLS for those who call: a certificate that may change while the program runs, and client certificates where an
//! authority for them is named.
//!
//! Always holds: TLS 1.2 or 1.3 and HTTP/1.1; new files are used as a whole or not at all, and a connection never waits
//! for them; a client may come without a certificate, but never with one that does not hold.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::certificate::{CertificateError, Fingerprint, Validity, read_pem, validity};
use crate::provider;

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(2);

/// The bytes of the files.
#[derive(PartialEq, Eq)]
pub struct Material {
    /// The certificate and those that lead to its authority, as PEM.
    pub chain: Vec<u8>,
    /// The certificate's key, as PEM.
    pub key: Zeroizing<Vec<u8>>,
    /// Authorities of clients, as PEM. Without any no client is asked for a certificate.
    pub client_authorities: Option<Vec<u8>>,
}

/// Reads the files anew, by the rules of the program that has them.
pub type Source = Box<dyn Fn() -> Result<Material, String> + Send + Sync>;

/// Why files give no TLS.
#[derive(Debug, thiserror::Error)]
pub enum ServerTlsError {
    /// The files themselves.
    #[error("{0}")]
    Unreadable(String),
    /// The certificate.
    #[error("the certificate: {0}")]
    Certificate(#[source] CertificateError),
    /// The key.
    #[error("the key: there is no private key in it (PEM: PKCS#8, PKCS#1 or SEC1)")]
    Key,
    /// They do not belong together, or the kind is unknown.
    #[error("certificate and key cannot be used together: {0}")]
    Pair(#[source] rustls::Error),
    /// The authorities of clients.
    #[error("the authorities of clients: {0}")]
    ClientAuthorities(String),
}

/// TLS as it is now, and where it comes from.
pub struct ServerTls {
    source: Source,
    now: RwLock<Now>,
}

struct Now {
    config: Arc<ServerConfig>,
    validity: Validity,
    material: Arc<Material>,
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ServerTls(until {})", self.validity().until)
    }
}

/// What a look at the files gave.
#[derive(Debug)]
pub enum Look {
    /// They are as they were.
    Same,
    /// They are others, and used from now on.
    Changed(Validity),
    /// They cannot be used; those that were read before still are.
    Refused(ServerTlsError),
}

impl ServerTls {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// They cannot be used.
    pub fn new(source: Source) -> Result<Self, ServerTlsError> {
        let now = Now::of(source().map_err(ServerTlsError::Unreadable)?)?;
        Ok(Self { source, now: RwLock::new(now) })
    }

    /// When the certificate that is used now holds.
    #[must_use]
    pub fn validity(&self) -> Validity {
        self.now.read().unwrap_or_else(PoisonError::into_inner).validity
    }

    /// Looks at the files, and uses what is new in them.
    pub fn look(&self) -> Look {
        let material = match (self.source)() {
            Ok(material) => material,
            Err(error) => return Look::Refused(ServerTlsError::Unreadable(error)),
        };
        if material == *self.now.read().unwrap_or_else(PoisonError::into_inner).material {
            return Look::Same;
        }
        match Now::of(material) {
            Ok(now) => {
                let validity = now.validity;
                *self.now.write().unwrap_or_else(PoisonError::into_inner) = now;
                Look::Changed(validity)
            }
            Err(error) => Look::Refused(error),
        }
    }

    /// Looks at the files again and again until `stop`, and says what it finds once.
    pub async fn watch(self: Arc<Self>, clock: fn() -> Timestamp, stop: CancellationToken) {
        let mut said = String::new();
        loop {
            let now = match self.look() {
                Look::Refused(error) => format!("new certificate files are not used, the old ones still are: {error}"),
                Look::Changed(validity) => {
                    tracing::info!(until = %validity.until, "a new certificate is used");
                    of_age(self.validity(), clock())
                }
                Look::Same => of_age(self.validity(), clock()),
            };
            if now != said && !now.is_empty() {
                tracing::warn!("{now}");
            }
            said = now;
            if stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
                return;
            }
        }
    }

    /// Makes the handshake; gives the stream, and the certificate that the client showed.
    pub(crate) async fn handshake(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Option<Fingerprint>)> {
        let config = Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).config);
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let shown = shown.map(|certificate| Fingerprint::of(certificate));
        Ok((stream, shown))
    }
}

/// What is to be said of a certificate's age: nothing while it is well.
#[must_use]
pub fn of_age(validity: Validity, now: Timestamp) -> String {
    const SOON_SECONDS: i64 = 7 * 24 * 3600;
    let Validity { from, until } = validity;
    if until <= now {
        format!("the certificate expired at {until:.0}: put a new one into its files, it is used without a restart")
    } else if now < from {
        format!("the certificate holds only from {from:.0}: is this machine's clock right?")
    } else if until.as_second() - now.as_second() < SOON_SECONDS && until.as_second() - from.as_second() > SOON_SECONDS
    {
        format!("the certificate ends at {until:.0}: put a new one into its files in time")
    } else {
        String::new()
    }
}

impl Now {
    fn of(material: Material) -> Result<Self, ServerTlsError> {
        let chain = read_pem(&material.chain).map_err(ServerTlsError::Certificate)?;
        let validity = validity(&chain[0]).map_err(ServerTlsError::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&material.key).map_err(|_| ServerTlsError::Key)?;
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3");
        let builder = match &material.client_authorities {
            None => builder.with_no_client_auth(),
            Some(pem) => builder.with_client_cert_verifier(client_verifier(pem)?),
        };
        let mut config = builder.with_single_cert(chain, key).map_err(ServerTlsError::Pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: Arc::new(config), validity, material: Arc::new(material) })
    }
}

/// People come with a token and no certificate, so none is demanded here; one that is shown has to hold.
fn client_verifier(pem: &[u8]) -> Result<Arc<dyn rustls::server::danger::ClientCertVerifier>, ServerTlsError> {
    let failed = |error: &dyn fmt::Display| ServerTlsError::ClientAuthorities(error.to_string());
    let mut roots = RootCertStore::empty();
    for root in read_pem(pem).map_err(|error| failed(&error))? {
        roots.add(root).map_err(|error| failed(&error))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn material() -> Material {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = made.signing_key.serialize_pem().into_bytes();
        Material { chain: made.cert.pem().into_bytes(), key: key.into(), client_authorities: None }
    }

    fn copy(of: &Material) -> Material {
        let client_authorities = of.client_authorities.clone();
        Material { chain: of.chain.clone(), key: of.key.clone(), client_authorities }
    }

    #[test]
    fn new_files_are_used_as_a_whole_and_broken_ones_never() {
        let files = Arc::new(Mutex::new(Ok(material())));
        let read = Arc::clone(&files);
        let source = move || read.lock().unwrap().as_ref().map(copy).map_err(String::clone);
        let tls = ServerTls::new(Box::new(source)).unwrap();
        assert!(matches!(tls.look(), Look::Same));
        let config = || Arc::clone(&tls.now.read().unwrap().config);
        let (first, other) = (config(), material());
        for broken in [
            Err("gone".to_owned()),
            Ok(Material { chain: b"nothing".to_vec(), ..copy(&other) }),
            Ok(Material { key: Zeroizing::new(b"nothing".to_vec()), ..copy(&other) }),
            Ok(Material { key: material().key, ..copy(&other) }),
            Ok(Material { client_authorities: Some(Vec::new()), ..copy(&other) }),
        ] {
            *files.lock().unwrap() = broken;
            assert!(matches!(tls.look(), Look::Refused(_)), "half of a pair is no pair");
            assert!(Arc::ptr_eq(&first, &config()), "the old ones are still used");
        }
        *files.lock().unwrap() = Ok(other);
        assert!(matches!(tls.look(), Look::Changed(_)));
        assert!(!Arc::ptr_eq(&first, &config()));
    }

    #[test]
    fn a_certificate_near_its_end_is_told_and_one_made_for_days_is_not_always() {
        let at = |day: i64| Timestamp::from_second(day * 24 * 3600).unwrap();
        let year = Validity { from: at(100), until: at(465) };
        assert_eq!(of_age(year, at(300)), "");
        for (day, says) in [(99, "holds only from"), (460, "in time"), (466, "expired at")] {
            assert!(of_age(year, at(day)).contains(says), "{day}");
        }
        assert_eq!(of_age(Validity { from: at(100), until: at(107) }, at(106)), "");
    }
}
