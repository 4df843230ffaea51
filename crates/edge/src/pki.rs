//! Certificates of agents: the authority that signs them, and the request that an agent makes.
//!
//! Always holds: of a request only its key is believed; who the agent is, what the certificate is good for and until
//! when say those who sign. A private key never leaves the machine that made it.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType, SerialNumber,
};
use zeroize::Zeroizing;

use crate::certificate::{CertificateError, Fingerprint, Validity, read_pem};

/// How long an authority holds: ten years.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3650 * 24 * 3600);
/// A certificate holds from a little before it is made, for clocks that are behind.
const BEFORE: Duration = Duration::from_secs(5 * 60);
/// No request is longer.
const MOST_REQUEST: usize = 8 * 1024;

/// Why there is no authority, request or certificate.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The authority's certificates.
    #[error("the authority's certificate: {0}")]
    Authority(#[from] CertificateError),
    /// The authority's key.
    #[error("the authority's key cannot be read (PEM, PKCS#8)")]
    Key,
    /// They do not belong together.
    #[error("no certificate of the authority belongs to its key")]
    Strangers,
    /// A request that is none, or is not signed with its own key.
    #[error("this is no certificate request that is signed with its own key (PKCS#10, PEM)")]
    Request,
    /// The maker of certificates refused.
    #[error("the certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// A key and what belongs to it, as PEM.
pub struct Made {
    /// The private key.
    pub key: Zeroizing<String>,
    /// A certificate, or a request for one.
    pub public: String,
}

/// Makes a new authority for agents.
///
/// # Errors
/// The key cannot be made.
pub fn new_authority(now: Timestamp) -> Result<Made, PkiError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named("Gatekeeper agents");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let validity = validity(now, AUTHORITY_LIFE);
    params.not_before = moment(validity.from).into();
    params.not_after = moment(validity.until).into();
    let certificate = params.self_signed(&key)?;
    Ok(Made { key: Zeroizing::new(key.serialize_pem()), public: certificate.pem() })
}

/// Makes a key for an agent, and the request to have it certified.
///
/// # Errors
/// The key cannot be made.
pub fn new_request() -> Result<Made, PkiError> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = named("gk-agent");
    let request = params.serialize_request(&key)?.pem()?;
    Ok(Made { key: Zeroizing::new(key.serialize_pem()), public: request })
}

/// What a certificate says.
#[derive(Debug, Clone, Copy)]
pub struct Claims<'a> {
    /// The agent's name, for people who read it.
    pub name: &'a str,
    /// Its identity: `gatekeeper:agent:agt_…`.
    pub uri: &'a str,
    /// The certificate's number.
    pub serial: &'a [u8],
    /// When it is made.
    pub now: Timestamp,
    /// How long it holds.
    pub life: Duration,
}

/// A certificate that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// As PEM.
    pub pem: String,
    /// Which one it is.
    pub fingerprint: Fingerprint,
    /// Until when it holds.
    pub until: Timestamp,
}

/// An authority that signs.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Authority")
    }
}

impl Authority {
    /// Of a PEM file of certificates and the key of one of them. The others are authorities of before, whose
    /// certificates still hold.
    ///
    /// # Errors
    /// They cannot be read, or do not belong together.
    pub fn new(certificates: &[u8], key: &[u8]) -> Result<Self, PkiError> {
        let key = std::str::from_utf8(key).ok().and_then(|pem| KeyPair::from_pem(pem).ok()).ok_or(PkiError::Key)?;
        let own = key.subject_public_key_info();
        let mine = read_pem(certificates)?.into_iter().find(|der| {
            let parsed = x509_parser::parse_x509_certificate(der);
            parsed.is_ok_and(|(_, certificate)| certificate.public_key().raw == own.as_slice())
        });
        let issuer = Issuer::from_ca_cert_der(&mine.ok_or(PkiError::Strangers)?, key)?;
        Ok(Self { issuer })
    }

    /// Certifies the key of this request.
    ///
    /// # Errors
    /// It is no request.
    pub fn certify(&self, request: &str, claims: &Claims<'_>) -> Result<Issued, PkiError> {
        if request.len() > MOST_REQUEST {
            return Err(PkiError::Request);
        }
        let asked = CertificateSigningRequestParams::from_pem(request).map_err(|_| PkiError::Request)?;
        let validity = validity(claims.now, claims.life);
        let mut params = CertificateParams::default();
        params.distinguished_name = named(claims.name);
        params.subject_alt_names = vec![SanType::URI(claims.uri.try_into()?)];
        params.serial_number = Some(SerialNumber::from_slice(claims.serial));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.not_before = moment(validity.from).into();
        params.not_after = moment(validity.until).into();
        let made = params.signed_by(&asked.public_key, &self.issuer)?;
        Ok(Issued { pem: made.pem(), fingerprint: Fingerprint::of(made.der()), until: validity.until })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

fn validity(now: Timestamp, life: Duration) -> Validity {
    // Certificates count in whole seconds.
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let from = now.checked_sub(BEFORE.min(life / 10)).unwrap_or(now);
    Validity { from, until: now.checked_add(life).unwrap_or(Timestamp::MAX) }
}

fn moment(at: Timestamp) -> SystemTime {
    SystemTime::from(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn claims(now: Timestamp) -> Claims<'static> {
        Claims { name: "db-1", uri: "gatekeeper:agent:x", serial: &[1; 16], now, life: Duration::from_secs(3600) }
    }

    #[test]
    fn of_a_request_only_its_key_is_believed() {
        let now = at(1_795_000_000);
        let made = new_authority(now).unwrap();
        let authority = Authority::new(made.public.as_bytes(), made.key.as_bytes()).unwrap();
        let mut greedy = CertificateParams::new(vec!["gk.example.com".to_owned()]).unwrap();
        greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        greedy.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let request = greedy.serialize_request(&KeyPair::generate().unwrap()).unwrap().pem().unwrap();
        let issued = authority.certify(&request, &claims(now)).unwrap();
        let der = read_pem(issued.pem.as_bytes()).unwrap().remove(0);
        let (_, read) = x509_parser::parse_x509_certificate(&der).unwrap();
        assert!(!read.is_ca());
        let names = &read.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(format!("{names:?}"), "[URI(\"gatekeeper:agent:x\")]");
        assert!(read.extended_key_usage().unwrap().unwrap().value.client_auth);
        assert_eq!(certificate::validity(&der).unwrap().until, at(1_795_003_600));
        assert_eq!(issued.fingerprint, Fingerprint::of(&der));
    }

    #[test]
    fn what_does_not_belong_together_or_is_no_request_is_refused() {
        let now = at(1_795_000_000);
        let (one, two) = (new_authority(now).unwrap(), new_authority(now).unwrap());
        let refused = Authority::new(one.public.as_bytes(), two.key.as_bytes()).unwrap_err();
        assert!(matches!(refused, PkiError::Strangers));
        assert!(matches!(Authority::new(one.public.as_bytes(), b"x").unwrap_err(), PkiError::Key));
        assert!(matches!(Authority::new(b"x", one.key.as_bytes()).unwrap_err(), PkiError::Authority(_)));
        let both = [one.public.as_bytes(), two.public.as_bytes()].concat();
        let authority = Authority::new(&both, two.key.as_bytes()).unwrap();
        let request = new_request().unwrap().public;
        let mut lines: Vec<&str> = request.lines().collect();
        lines.swap(2, 3);
        let long = "x".repeat(MOST_REQUEST + 1);
        for bad in ["", "hello", &one.public, &lines.join("\n"), &long] {
            assert!(matches!(authority.certify(bad, &claims(now)), Err(PkiError::Request)), "{bad}");
        }
        assert!(authority.certify(&request, &claims(now)).is_ok());
    }
}
