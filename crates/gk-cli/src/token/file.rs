//! Token files: a single line, readable by nobody else.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use gk_shared::secret::{BearerToken, MAX_SECRET_FILE, read_secret_file};
use zeroize::Zeroizing;

use super::TokenError;

/// Reads the token in a file.
pub(crate) fn read(path: &Path) -> Result<BearerToken, TokenError> {
    let bad = |cause: String| TokenError::File { path: path.to_owned(), cause };
    let file = std::fs::File::open(path).map_err(|error| bad(error.to_string()))?;
    let facts = file.metadata().map_err(|error| bad(error.to_string()))?;
    if facts.is_dir() {
        return Err(bad("it is a directory".to_owned()));
    }
    if facts.is_file() && facts.mode() & 0o077 != 0 {
        return Err(bad(format!("others may read it (mode {:04o}); chmod 600 it", facts.mode() & 0o7777)));
    }
    // One byte more than is allowed, so that too much is noticed without reading all of it.
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_SECRET_FILE as u64 + 1).read_to_end(&mut bytes).map_err(|error| bad(error.to_string()))?;
    let line = read_secret_file(&bytes).map_err(|error| bad(error.to_string()))?;
    BearerToken::parse(line.expose()).map_err(|error| bad(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(bytes: &[u8], mode: u32) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("token");
        std::fs::write(&path, bytes).expect("writes");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("chmod");
        (directory, path)
    }

    #[test]
    fn a_token_with_its_line_end_is_read_from_a_file_of_ones_own() {
        let text = format!("gk_tok_{}\n", "a".repeat(43));
        let (_keep, path) = file(text.as_bytes(), 0o600);
        assert_eq!(read(&path).expect("reads").expose(), text.trim());
        let (_keep, path) = file(text.as_bytes(), 0o640);
        assert!(read(&path).expect_err("is open to others").to_string().contains("mode 0640"));
    }

    #[test]
    fn no_other_content_is_taken_and_none_of_it_is_repeated() {
        let large = vec![b'z'; 10 * 1024 * 1024];
        for bytes in [&b""[..], b"gk_tok_zzz", b"\xff\xfezzz", b"gk_tok_\0zzz", &large, b"zzz\nzzz"] {
            let (_keep, path) = file(bytes, 0o600);
            let said = read(&path).expect_err("is no token").to_string().replace(&path.display().to_string(), "");
            assert!(!said.contains("zzz"), "{said}");
        }
    }
}
