//! Signed notes (C2SP signed-note): a text, and lines below it that say who stands behind it.
//!
//! Ed25519 is the only algorithm that is taken; a key or a signature of another kind is refused, never skipped over,
//! so there is nothing to downgrade to. A signature line names its key by name and by four bytes of its hash.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rand::CryptoRng;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::secret::SecretText;

/// What stands for Ed25519 in front of a public key.
const ED25519_KEY: u8 = 1;
/// What starts a signature line.
const DASH: &str = "\u{2014} ";
/// What a signing key's text starts with.
const SIGNING_KEY: &str = "gk-audit-key-v1:";
/// Longest note that is read, in bytes.
const MAX_NOTE: usize = 16 * 1024;
/// Signatures of one note at most.
const MAX_SIGNATURES: usize = 16;

/// Why a note or a key cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a text, a blank line and signature lines.
    #[error("it is not a note: lines of text, and below a blank line its signatures")]
    Malformed,
    /// A key's text cannot be read.
    #[error("it is not a verifier key: NAME+8 HEX DIGITS+BASE64")]
    MalformedKey,
    /// The key is of another algorithm.
    #[error("the key is not an Ed25519 key; no other kind is taken")]
    Algorithm,
    /// The secret half cannot be read.
    #[error("it is not a signing key of `gk-control-plane audit-key`")]
    MalformedSigningKey,
}

/// Why a note is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// It carries no signature by the key.
    #[error("it is not signed by the key")]
    NotSigned,
    /// It carries one that is not the key's.
    #[error("the signature is not the key's")]
    BadSignature,
}

/// The public half of a key under its name, as it is pinned: `NAME+HASH+BASE64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    public: [u8; 32],
}

impl VerifierKey {
    /// The name it signs under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bytes of the key.
    #[must_use]
    pub const fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// What a signature line says besides the name.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let hash = Sha256::new().chain_update(&self.name).chain_update(b"\n").chain_update(self.tagged()).finalize();
        [hash[0], hash[1], hash[2], hash[3]]
    }

    fn tagged(&self) -> [u8; 33] {
        let mut bytes = [ED25519_KEY; 33];
        bytes[1..].copy_from_slice(&self.public);
        bytes
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}+{}+{}", self.name, crate::seal::hex(&self.id()), BASE64.encode(self.tagged()))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let (name, rest) = text.split_once('+').ok_or(NoteError::MalformedKey)?;
        let (id, key) = rest.split_once('+').ok_or(NoteError::MalformedKey)?;
        let bytes = BASE64.decode(key).map_err(|_| NoteError::MalformedKey)?;
        let public = match bytes.split_first() {
            Some((&ED25519_KEY, public)) => public.try_into().map_err(|_| NoteError::MalformedKey)?,
            Some(_) => return Err(NoteError::Algorithm),
            None => return Err(NoteError::MalformedKey),
        };
        let made = Self { name: name.to_owned(), public };
        if !is_name(name) || crate::seal::hex(&made.id()) != id {
            return Err(NoteError::MalformedKey);
        }
        Ok(made)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|found: char| found == '+' || found.is_whitespace() || found.is_control())
}

/// The secret half. It carries no name: the log that it signs gives it one.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    seed: Zeroizing<[u8; 32]>,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("[REDACTED]")
    }
}

impl SigningKey {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::from_seed(seed)
    }

    /// The key that this seed stands for.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(&*seed).expect("every 32 bytes are a seed");
        Self { pair, seed }
    }

    /// Reads what [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn from_text(text: &str) -> Result<Self, NoteError> {
        let key = text.strip_prefix(SIGNING_KEY).ok_or(NoteError::MalformedSigningKey)?;
        let bytes = Zeroizing::new(BASE64.decode(key).map_err(|_| NoteError::MalformedSigningKey)?);
        let seed: [u8; 32] = bytes.as_slice().try_into().map_err(|_| NoteError::MalformedSigningKey)?;
        Ok(Self::from_seed(Zeroizing::new(seed)))
    }

    /// The key as a line of text, for its file.
    #[must_use]
    pub fn to_text(&self) -> SecretText {
        let key = Zeroizing::new(BASE64.encode(self.seed.as_slice()));
        SecretText::new(format!("{SIGNING_KEY}{}", *key))
    }

    /// The public half, under this name.
    ///
    /// # Panics
    /// Only if the name cannot stand in a note: empty, or with a `+` or a space in it.
    #[must_use]
    pub fn verifier(&self, name: &str) -> VerifierKey {
        assert!(is_name(name), "`{name}` cannot stand in a note");
        let public = self.pair.public_key().as_ref().try_into().expect("an Ed25519 key has 32 bytes");
        VerifierKey { name: name.to_owned(), public }
    }
}

/// A signature line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// A text and its signatures; without any it prints as the text alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    body: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// A text that nobody has signed yet. It ends its last line.
    ///
    /// # Errors
    /// It is empty, does not end a line, or holds control characters.
    pub fn unsigned(body: String) -> Result<Self, NoteError> {
        let clean = |found: char| found == '\n' || !found.is_control();
        if body.len() > MAX_NOTE || body == "\n" || !body.ends_with('\n') || !body.chars().all(clean) {
            return Err(NoteError::Malformed);
        }
        Ok(Self { body, signatures: Vec::new() })
    }

    /// The text.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Whether anybody signed it; that says nothing about who did.
    #[must_use]
    pub fn has_signatures(&self) -> bool {
        !self.signatures.is_empty()
    }

    /// Signs it as `name`.
    #[must_use]
    pub fn signed(mut self, name: &str, key: &SigningKey) -> Self {
        let bytes = key.pair.sign(self.body.as_bytes()).as_ref().to_vec();
        self.signatures.push(Signature { name: name.to_owned(), id: key.verifier(name).id(), bytes });
        self
    }

    /// Checks the signature of one key. Those of others say nothing.
    ///
    /// # Errors
    /// There is none, or it does not hold.
    pub fn check(&self, key: &VerifierKey) -> Result<(), Disbelief> {
        let by_key = |signature: &&Signature| signature.name == key.name && signature.id == key.id();
        let signature = self.signatures.iter().find(by_key).ok_or(Disbelief::NotSigned)?;
        UnparsedPublicKey::new(&ED25519, &key.public)
            .verify(self.body.as_bytes(), &signature.bytes)
            .map_err(|_| Disbelief::BadSignature)
    }
}

impl fmt::Display for Note {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.body)?;
        if self.has_signatures() {
            out.write_str("\n")?;
        }
        for Signature { name, id, bytes } in &self.signatures {
            let tagged: Vec<u8> = id.iter().chain(bytes).copied().collect();
            writeln!(out, "{DASH}{name} {}", BASE64.encode(tagged))?;
        }
        Ok(())
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        if text.len() > MAX_NOTE {
            return Err(NoteError::Malformed);
        }
        // The last blank line: the text itself may hold others.
        let Some(end) = text.rfind("\n\n") else { return Self::unsigned(text.to_owned()) };
        let (body, lines) = (&text[..=end], &text[end + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let signatures = lines.split('\n').map(signature).collect::<Result<Vec<_>, _>>()?;
        if signatures.len() > MAX_SIGNATURES {
            return Err(NoteError::Malformed);
        }
        Ok(Self { signatures, ..Self::unsigned(body.to_owned())? })
    }
}

fn signature(line: &str) -> Result<Signature, NoteError> {
    let (name, text) = line.strip_prefix(DASH).and_then(|rest| rest.split_once(' ')).ok_or(NoteError::Malformed)?;
    let tagged = BASE64.decode(text).map_err(|_| NoteError::Malformed)?;
    match tagged.split_first_chunk::<4>() {
        Some((id, bytes)) if is_name(name) && !bytes.is_empty() => {
            Ok(Signature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
        }
        Some(_) | None => Err(NoteError::Malformed),
    }
}

#[cfg(test)]
mod tests;
