//! Sealing: a credential encrypted to the one who asked for it, so that nobody on the way can read it.
//!
//! HPKE base mode (RFC 9180): X25519, HKDF-SHA256, ChaCha20-Poly1305. The agent seals; the recipient's private key
//! lives only in the memory of `gk`, or is derived by the control plane from the caller's bearer token at the moment
//! of the call. What is sealed is bound to the session, its target, the generation and the recipient's key, so a blob
//! moved to another session does not open.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hkdf::Hkdf;
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use rand::CryptoRng;
use sha2::{Digest, Sha256};

use crate::ids::SessionId;
use crate::names::TargetName;
use crate::secret::{BearerToken, SecretDsn};

const INFO: &[u8] = b"gatekeeper/dsn/v1";
const VERSION: &str = "v1";
/// Longest sealed credential that is taken, in characters: a DSN of 2 KiB fits with room to spare.
pub const MAX_SEALED_CHARS: usize = 8192;

type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

/// Why a key or a sealed credential is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SealError {
    /// Not 32 bytes of standard base64.
    #[error("a recipient key is 32 bytes in standard base64 (44 characters)")]
    MalformedKey,
    /// A point of low order: everyone could open what is sealed to it.
    #[error("this recipient key is a point of low order; make a fresh X25519 key")]
    WeakKey,
    /// Not what [`SealedCredential`] prints.
    #[error("the sealed credential is malformed")]
    MalformedBlob,
    /// Sealed to another key, for another session, or altered on the way.
    #[error("the sealed credential does not open with this key for this session")]
    DoesNotOpen,
}

/// A recipient's public X25519 key, known to be usable.
#[derive(Clone, PartialEq, Eq)]
pub struct RecipientKey {
    key: PublicKey,
}

impl RecipientKey {
    /// Takes 32 raw bytes.
    ///
    /// # Errors
    /// A key of another length or of low order.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealError> {
        let key = PublicKey::from_bytes(bytes).map_err(|_| SealError::MalformedKey)?;
        // A low-order point parses and fails only when used, so it is used once here, with a throw-away sender.
        let (probe, _) = X25519HkdfSha256::derive_keypair(INFO);
        let encapsulated =
            <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(bytes).map_err(|_| SealError::MalformedKey)?;
        hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &probe,
            &encapsulated,
            INFO,
        )
        .map_err(|_| SealError::WeakKey)?;
        Ok(Self { key })
    }

    /// The raw 32 bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.key.to_bytes().into()
    }

    /// First 16 hex digits of the key's SHA-256: what the audit log and `gk` show of it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(self.to_bytes())[..8])
    }
}

impl std::str::FromStr for RecipientKey {
    type Err = SealError;
    fn from_str(text: &str) -> Result<Self, SealError> {
        let bytes = BASE64.decode(text).map_err(|_| SealError::MalformedKey)?;
        Self::from_bytes(&bytes)
    }
}

impl fmt::Display for RecipientKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&BASE64.encode(self.to_bytes()))
    }
}

impl fmt::Debug for RecipientKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "RecipientKey({self})")
    }
}

/// The private half of a recipient key. It is never stored and never printed.
pub struct RecipientSecret {
    key: PrivateKey,
}

impl fmt::Debug for RecipientSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("RecipientSecret([REDACTED])")
    }
}

impl RecipientSecret {
    /// A one-time key pair from fresh randomness.
    #[must_use]
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
        rng.fill_bytes(&mut *seed);
        Self { key: X25519HkdfSha256::derive_keypair(&*seed).0 }
    }

    /// The key of a caller who sent none: derived from the bearer token and the session, so that only a call with the
    /// same token can open the credential. The control plane stores the public half alone.
    #[must_use]
    pub fn for_token(token: &BearerToken, session: SessionId) -> Self {
        let mut seed = zeroize::Zeroizing::new([0_u8; 32]);
        Hkdf::<Sha256>::new(Some(session.uuid().as_bytes()), token.expose().as_bytes())
            .expand(b"gatekeeper/token-recipient/v1", &mut *seed)
            .expect("32 bytes are within HKDF-SHA256's limit");
        Self { key: X25519HkdfSha256::derive_keypair(&*seed).0 }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> RecipientKey {
        RecipientKey { key: X25519HkdfSha256::sk_to_pk(&self.key) }
    }

    /// Opens what was sealed to this key for this session on this target.
    ///
    /// # Errors
    /// [`SealError::DoesNotOpen`] whatever the cause: a reader learns nothing more.
    pub fn open(
        &self,
        sealed: &SealedCredential,
        session: SessionId,
        target: &TargetName,
    ) -> Result<SecretDsn, SealError> {
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&sealed.encapsulated)
            .map_err(|_| SealError::MalformedBlob)?;
        let aad = Purpose { session, target, generation: sealed.generation }.binding(&self.public());
        let plain = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.key,
            &encapsulated,
            INFO,
            &sealed.ciphertext,
            &aad,
        )
        .map_err(|_| SealError::DoesNotOpen)?;
        String::from_utf8(plain).map_err(|_| SealError::DoesNotOpen).map(SecretDsn::new)
    }
}

/// What a sealed credential is for; it opens for nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Purpose<'a> {
    /// The session.
    pub session: SessionId,
    /// Its target.
    pub target: &'a TargetName,
    /// The generation of intent that the login was made for.
    pub generation: i64,
}

impl Purpose<'_> {
    /// The authenticated bytes. Session ids have one length and names hold no line break, so no two purposes share them.
    fn binding(&self, to: &RecipientKey) -> Vec<u8> {
        let Self { session, target, generation } = self;
        format!("{session}\n{target}\n{generation}\n{}", to.fingerprint()).into_bytes()
    }
}

/// An encrypted credential, as it is stored and sent: `v1.GEN.ENCAPSULATED.CIPHERTEXT`.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedCredential {
    generation: i64,
    encapsulated: Vec<u8>,
    ciphertext: Vec<u8>,
}

impl SealedCredential {
    /// Seals a DSN to its recipient, for one purpose.
    ///
    /// # Errors
    /// [`SealError::WeakKey`], which a key that [`RecipientKey`] accepted does not cause.
    pub fn seal(
        dsn: &SecretDsn,
        to: &RecipientKey,
        purpose: &Purpose<'_>,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, SealError> {
        let aad = purpose.binding(to);
        let (encapsulated, ciphertext) = hpke::single_shot_seal_with_rng::<
            ChaCha20Poly1305,
            HkdfSha256,
            X25519HkdfSha256,
        >(&OpModeS::Base, &to.key, INFO, dsn.expose().as_bytes(), &aad, rng)
        .map_err(|_| SealError::WeakKey)?;
        Ok(Self { generation: purpose.generation, encapsulated: encapsulated.to_bytes().to_vec(), ciphertext })
    }

    /// The generation of intent that it was made for.
    #[must_use]
    pub fn generation(&self) -> i64 {
        self.generation
    }
}

impl fmt::Display for SealedCredential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{VERSION}.{}.{}.{}",
            self.generation,
            BASE64.encode(&self.encapsulated),
            BASE64.encode(&self.ciphertext)
        )
    }
}

impl fmt::Debug for SealedCredential {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "SealedCredential(gen {}, {} bytes)", self.generation, self.ciphertext.len())
    }
}

impl std::str::FromStr for SealedCredential {
    type Err = SealError;
    fn from_str(text: &str) -> Result<Self, SealError> {
        if text.len() > MAX_SEALED_CHARS {
            return Err(SealError::MalformedBlob);
        }
        let parts: Vec<&str> = text.split('.').collect();
        let [VERSION, generation, encapsulated, ciphertext] = parts[..] else { return Err(SealError::MalformedBlob) };
        let decode = |part: &str| BASE64.decode(part).map_err(|_| SealError::MalformedBlob);
        let (encapsulated, ciphertext) = (decode(encapsulated)?, decode(ciphertext)?);
        // 32 bytes of X25519, and at least the 16 bytes of the authentication tag.
        if encapsulated.len() != 32 || ciphertext.len() <= 16 {
            return Err(SealError::MalformedBlob);
        }
        let generation = generation.parse().map_err(|_| SealError::MalformedBlob)?;
        Ok(Self { generation, encapsulated, ciphertext })
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn rng() -> rand::rngs::StdRng {
        rand::rngs::StdRng::seed_from_u64(7)
    }
    fn session(n: u8) -> SessionId {
        SessionId::from_parts(1_700_000_000_000, [n; 10])
    }
    fn target() -> TargetName {
        "pg-local".parse().expect("a good name")
    }
    fn sealed(to: &RecipientKey) -> SealedCredential {
        SealedCredential::seal(
            &SecretDsn::new("postgresql://u:p@h/d".to_owned()),
            to,
            &Purpose { session: session(1), target: &target(), generation: 3 },
            &mut rng(),
        )
        .expect("seals")
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_after_a_trip_as_text() {
        let secret = RecipientSecret::generate(&mut rng());
        let blob: SealedCredential = sealed(&secret.public()).to_string().parse().expect("reads back");
        assert_eq!(secret.open(&blob, session(1), &target()).expect("opens").expose(), "postgresql://u:p@h/d");
    }

    #[test]
    fn a_blob_opens_for_no_other_session_target_generation_or_key() {
        let secret = RecipientSecret::generate(&mut rng());
        let blob = sealed(&secret.public());
        let other_gen = SealedCredential { generation: 4, ..blob.clone() };
        let other_key = RecipientSecret::for_token(&BearerToken::generate([1; 32]), session(1));
        assert_eq!(secret.open(&blob, session(2), &target()).unwrap_err(), SealError::DoesNotOpen);
        assert_eq!(
            secret.open(&blob, session(1), &"other".parse().expect("name")).unwrap_err(),
            SealError::DoesNotOpen
        );
        assert_eq!(secret.open(&other_gen, session(1), &target()).unwrap_err(), SealError::DoesNotOpen);
        assert_eq!(other_key.open(&blob, session(1), &target()).unwrap_err(), SealError::DoesNotOpen);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let secret = RecipientSecret::generate(&mut rng());
        let blob = sealed(&secret.public());
        for at in 0..blob.ciphertext.len() {
            let mut bad = blob.clone();
            bad.ciphertext[at] ^= 1;
            assert!(secret.open(&bad, session(1), &target()).is_err(), "byte {at}");
        }
    }

    #[test]
    fn low_order_and_malformed_keys_are_refused_when_they_are_read() {
        let one = {
            let mut bytes = [0_u8; 32];
            bytes[0] = 1;
            bytes
        };
        assert_eq!(RecipientKey::from_bytes(&[0; 32]).unwrap_err(), SealError::WeakKey);
        assert_eq!(RecipientKey::from_bytes(&one).unwrap_err(), SealError::WeakKey);
        for bytes in [31, 33] {
            assert_eq!(RecipientKey::from_bytes(&vec![9; bytes]).unwrap_err(), SealError::MalformedKey);
        }
        let good = RecipientSecret::generate(&mut rng()).public().to_string();
        assert!(good.parse::<RecipientKey>().is_ok());
        for bad in ["", "AAAA", &good.replace('=', ""), &good.replacen(|c: char| c.is_ascii_alphanumeric(), "_", 1)] {
            assert_eq!(bad.parse::<RecipientKey>().unwrap_err(), SealError::MalformedKey, "{bad}");
        }
    }

    #[test]
    fn the_token_key_is_the_same_each_time_and_differs_by_session_and_token() {
        let (one, two) = (BearerToken::generate([1; 32]), BearerToken::generate([2; 32]));
        let key = |token: &BearerToken, n| RecipientSecret::for_token(token, session(n)).public();
        assert_eq!(key(&one, 1), key(&one, 1));
        assert_ne!(key(&one, 1), key(&one, 2));
        assert_ne!(key(&one, 1), key(&two, 1));
    }
}
