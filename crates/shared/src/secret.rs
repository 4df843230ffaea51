//! Secrets: passwords, bearer tokens, connection strings.
//!
//! Always holds: a secret shows as `[REDACTED]` in every debug print, has no `Display`, is wiped from memory when
//! dropped, and reaches JSON only as [`SecretText`], the one type made for handing a secret to its owner.
//! [`expose`](Password::expose) is the single way out, so a search for that word finds every use.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// Declares a secret text.
macro_rules! secrets {
    ($($(#[$doc:meta])* $type:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $type(SecretString);

        impl $type {
            /// The secret itself. Neither log nor print it, nor put it in an argument list.
            #[must_use]
            pub fn expose(&self) -> &str {
                self.0.expose_secret()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("[REDACTED]")
            }
        }

        /// Takes as long for a nearly right value as for a wrong one.
        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
            }
        }

        impl Eq for $type {}
    )+};
}

/// Lets a secret be made from any text.
macro_rules! from_any_text {
    ($($type:ident),+) => {$(
        impl $type {
            /// Takes this text in.
            #[must_use]
            pub fn new(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
    )+};
}

secrets! {
    /// A database password.
    Password;
    /// A connection string with a password in it.
    SecretDsn;
    /// A token that says who calls; the ledger holds only its [`TokenHash`].
    BearerToken;
    /// The content of a secret file, see [`read_secret_file`].
    FileSecret;
    /// A secret on its way to its owner: the only one that can be serialised.
    ///
    /// For response fields and the files that `gk` writes for its user, and for nothing else. A type that derives
    /// `Serialize` and holds one says by that alone that it must never be logged as JSON.
    SecretText;
}

from_any_text!(Password, SecretDsn, SecretText);

impl Password {
    /// How many characters a password of ours has: about 190 random bits.
    pub const LENGTH: usize = 32;
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    /// 32 characters of 64 bytes: the chance to need more than a few rounds is beyond counting.
    const MOST_ROUNDS: usize = 64;

    /// A new password from the random bytes that `fill` writes.
    ///
    /// # Panics
    /// When `fill` is no random source: hanging, or a guessable password, would be worse.
    #[must_use]
    pub fn generate(fill: &mut dyn FnMut(&mut [u8])) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 64]);
        let mut text = Zeroizing::new(String::with_capacity(Self::LENGTH));
        for _ in 0..Self::MOST_ROUNDS {
            fill(bytes.as_mut_slice());
            let wanted = Self::LENGTH - text.len();
            text.extend(bytes.iter().filter_map(|&byte| Self::letter(byte)).take(wanted));
            if text.len() == Self::LENGTH {
                return Self(text.as_str().into());
            }
        }
        panic!("the random source repeats itself: no password can be made from it");
    }

    /// 248 is the largest multiple of 62 in a byte; what is above would make some letters likelier.
    fn letter(byte: u8) -> Option<char> {
        (byte < 248).then(|| char::from(Self::ALPHABET[usize::from(byte % 62)]))
    }
}

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
        "invalid_token"
    }
}

impl BearerToken {
    /// What every token starts with, so that secret scanners find a leaked one.
    pub const PREFIX: &str = "gk_tok_";
    const DIGITS: usize = 43;
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// The token of these random bytes: the prefix and their base64url text.
    #[must_use]
    pub fn generate(rng_bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(rng_bytes);
        let mut text = Zeroizing::new(String::with_capacity(Self::PREFIX.len() + Self::DIGITS));
        text.push_str(Self::PREFIX);
        for chunk in bytes.chunks(3) {
            let wide = chunk.iter().fold(0_usize, |wide, &byte| (wide << 8) | usize::from(byte));
            let wide = wide << (8 * (3 - chunk.len()));
            for place in 0..=chunk.len() {
                text.push(char::from(Self::ALPHABET[(wide >> (18 - 6 * place)) & 63]));
            }
        }
        Self(text.as_str().into())
    }

    /// Reads a token as a header or a file brings it.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        let digits = text.strip_prefix(Self::PREFIX).ok_or(TokenError::Shape)?;
        let right = digits.len() == Self::DIGITS && digits.bytes().all(|byte| Self::ALPHABET.contains(&byte));
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

/// Why the content of a secret file is no good. Says nothing about the content itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SecretFileError {
    /// Nothing in it, or a line end only.
    #[error("the secret file is empty")]
    Empty,
    /// Larger than any secret.
    #[error("the secret file is larger than 64 KiB")]
    TooLarge,
    /// Bytes that are no text.
    #[error("the secret file is not plain text")]
    Binary,
    /// More than the one line.
    #[error("the secret file has more than one line")]
    Lines,
}

impl SecretFileError {
    /// The stable word for this error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "bad_token_file"
    }
}

/// The most bytes a secret file has.
pub const MAX_SECRET_FILE: usize = 64 * 1024;

/// Takes the secret out of a file's bytes: one line, less the line end that editors and `echo` leave.
pub fn read_secret_file(bytes: &[u8]) -> Result<FileSecret, SecretFileError> {
    if bytes.len() > MAX_SECRET_FILE {
        return Err(SecretFileError::TooLarge);
    }
    let text = str::from_utf8(bytes).map_err(|_| SecretFileError::Binary)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(SecretFileError::Empty);
    }
    match text.chars().find(|found| found.is_control()) {
        Some('\n' | '\r') => Err(SecretFileError::Lines),
        Some(_) => Err(SecretFileError::Binary),
        None => Ok(FileSecret(text.into())),
    }
}

impl From<FileSecret> for Password {
    fn from(file: FileSecret) -> Self {
        Self(file.0)
    }
}

impl From<FileSecret> for SecretDsn {
    fn from(file: FileSecret) -> Self {
        Self(file.0)
    }
}

impl From<SecretDsn> for SecretText {
    fn from(dsn: SecretDsn) -> Self {
        Self(dsn.0)
    }
}

impl From<Password> for SecretText {
    fn from(password: Password) -> Self {
        Self(password.0)
    }
}

impl From<BearerToken> for SecretText {
    fn from(token: BearerToken) -> Self {
        Self(token.0)
    }
}

impl serde::Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> serde::Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <String as serde::Deserialize>::deserialize(deserializer).map(Self::from)
    }
}

impl utoipa::PartialSchema for SecretText {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
            .description(Some("A secret. Shown once; do not log it."))
            .build()
            .into()
    }
}

impl utoipa::ToSchema for SecretText {}
