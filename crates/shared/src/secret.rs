//! Secrets: passwords, bearer tokens, connection strings.
//!
//! Always holds: a secret shows as `[REDACTED]` in every debug print, has no `Display`, is wiped from memory when
//! dropped, and reaches JSON only as [`SecretText`], the one type made for handing a secret to its owner.
//! [`expose`](Password::expose) is the single way out, so a search for that word finds every use.

mod file;
mod token;

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

pub use file::{MAX_SECRET_FILE, SecretFileError, read_secret_file};
pub use token::{TokenError, TokenHash};

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
                // Copied, so that the original is wiped: making it fit could leave a part of it behind.
                let text = Zeroizing::new(text);
                Self(text.as_str().into())
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self::new(text)
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

#[cfg(test)]
mod tests;
