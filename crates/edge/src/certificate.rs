//! Certificates, as far as Gatekeeper looks into them: which one it is, and until when it holds.

use std::fmt;

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a whole certificate: there are no two with the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Self {
        Self(Sha256::digest(certificate).into())
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Fingerprint({self})")
    }
}

/// Why a file of certificates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Nothing of the kind in it.
    #[error("there is no certificate in it (PEM, beginning with -----BEGIN CERTIFICATE-----)")]
    None,
    /// Something that is none.
    #[error("a certificate in it cannot be read: {0}")]
    Malformed(String),
}

/// When a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From.
    pub from: Timestamp,
    /// Until.
    pub until: Timestamp,
}

/// All certificates of a PEM file, in their order: never none.
///
/// # Errors
/// There is none, or one that cannot be read.
pub fn read_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let malformed = |error: rustls::pki_types::pem::Error| CertificateError::Malformed(error.to_string());
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(malformed)?;
    if all.is_empty() { Err(CertificateError::None) } else { Ok(all) }
}

/// When this certificate holds.
///
/// # Errors
/// It is no certificate.
pub fn validity(certificate: &[u8]) -> Result<Validity, CertificateError> {
    let malformed = |error: &dyn fmt::Display| CertificateError::Malformed(error.to_string());
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|error| malformed(&error))?;
    let at = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp());
    let validity = parsed.validity();
    let from = at(validity.not_before).map_err(|error| malformed(&error))?;
    let until = at(validity.not_after).map_err(|error| malformed(&error))?;
    Ok(Validity { from, until })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_until_when_it_holds() {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let read = read_pem(made.cert.pem().as_bytes()).unwrap();
        assert_eq!(read, [made.cert.der().clone()]);
        let validity = validity(&read[0]).unwrap();
        assert!(validity.from < validity.until, "{validity:?}");
        assert_eq!(Fingerprint::of(&read[0]).to_string().len(), 64);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert_eq!(read_pem(b"hello"), Err(CertificateError::None));
        let broken = b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(read_pem(broken), Err(CertificateError::Malformed(_))));
        assert!(matches!(validity(b"hello"), Err(CertificateError::Malformed(_))));
    }
}
