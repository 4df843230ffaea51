//! What a secret file may hold: one line of text. Reading the file itself is the caller's work.

use thiserror::Error;

use super::{FileSecret, Password, SecretDsn};

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
