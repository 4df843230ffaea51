//! Bearer tokens: who calls. The ledger keeps a hash of each and nothing else.
//!
//! Always holds: two hashes are compared in constant time, and no error repeats any of a token's text.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use super::BearerToken;

/// Why a text is no bearer token. Says nothing about the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Nothing was given.
    #[error("the token is empty")]
    Empty,
    /// Not written as our tokens are.
    #[error("this is no Gatekeeper token: one is gk_tok_ and 43 letters, digits, - and _")]
    Shape,
}

impl TokenError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "token_invalid"
    }
}

impl BearerToken {
    /// What every token starts with, so that secret scanners find a leaked one.
    pub const PREFIX: &str = "gk_tok_";
    const DIGITS: usize = 43;

    /// The token of these random bytes: the prefix and their base64url text.
    #[must_use]
    pub fn generate(rng_bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(rng_bytes);
        let mut text = Zeroizing::new(String::with_capacity(Self::PREFIX.len() + Self::DIGITS));
        text.push_str(Self::PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes.as_slice(), &mut text);
        Self(text.as_str().into())
    }

    /// Reads a token as a header or a file brings it.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        let digits = text.strip_prefix(Self::PREFIX).ok_or(TokenError::Shape)?;
        let right = digits.len() == Self::DIGITS
            && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if right { Ok(Self(text.into())) } else { Err(TokenError::Shape) }
    }

    /// What the ledger keeps of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.expose().as_bytes()).into())
    }
}

/// SHA-256 of a token's text. A token has 256 random bits, so no salt and no slow hash are needed.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash that a database row holds.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Takes as long for a nearly right hash as for a wrong one.
impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "TokenHash({}...)", &self.to_hex()[..8])
    }
}
