//! Papers of short use: an authority of a run's own, and certificates for a server of this machine.

use jiff::Timestamp;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

/// Before now, for whoever's clock is behind.
const BEFORE: Duration = Duration::from_secs(3600);

/// An authority.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, as PEM.
    pub pem: String,
}

/// A certificate and its key, as PEM. It holds a secret, so it is never printed.
pub struct Papers {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// A new one, with a key of its own.
    ///
    /// # Panics
    /// The machine has no randomness.
    #[must_use]
    pub fn new() -> Self {
        let (key, mut params) = (KeyPair::generate().expect("there is randomness"), CertificateParams::default());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let pem = params.self_signed(&key).expect("the parameters are whole").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// For a server of this machine, until this moment.
    ///
    /// # Panics
    /// The machine has no randomness.
    #[must_use]
    pub fn server(&self, until: Timestamp) -> Papers {
        let (key, mut params) = (KeyPair::generate().expect("there is randomness"), CertificateParams::default());
        params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
        params.not_before = (SystemTime::from(until) - 24 * BEFORE).into();
        params.not_after = SystemTime::from(until).into();
        let made = params.signed_by(&key, &self.issuer).expect("the parameters are whole");
        Papers { certificate: made.pem(), key: key.serialize_pem() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
