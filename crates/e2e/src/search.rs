//! Looking for a secret where it must not be: in files, in the arguments and environments of processes, in texts.
//!
//! A search that finds nothing proves nothing by itself: the same search has to find something that was put there.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Text to look for: as it is, in hex, and in base64 at each of its three alignments.
#[derive(Clone)]
pub struct Needle {
    forms: Vec<Vec<u8>>,
}

impl Needle {
    /// Looks for this text.
    ///
    /// # Panics
    /// It is so short that it would be found by chance.
    #[must_use]
    pub fn new(text: &str) -> Self {
        assert!(text.len() >= 12, "a needle of {} characters is found in any haystack", text.len());
        let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
        let base64 = (0..3).map(|shift| aligned(text, shift).into_bytes());
        let forms = [text.as_bytes().to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
        Self { forms: forms.into_iter().chain(base64).collect() }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms.iter().any(|form| contains(bytes, form))
    }
}

impl fmt::Debug for Needle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Needle([REDACTED])")
    }
}

/// The characters of its base64 text that depend on nothing but the text itself, `shift` bytes into a group of three.
fn aligned(text: &str, shift: usize) -> String {
    let bytes: Vec<u8> = std::iter::repeat_n(0, shift).chain(text.bytes()).collect();
    let whole = bytes.len() - bytes.len() % 3;
    let encoded = BASE64_STANDARD_NO_PAD.encode(&bytes[..whole]);
    encoded[if shift == 0 { 0 } else { 4 }..].to_owned()
}

fn contains(bytes: &[u8], form: &[u8]) -> bool {
    let Some((&first, rest)) = form.split_first() else { return false };
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|&byte| byte == first) {
        let after = from + at + 1;
        if bytes[after..].starts_with(rest) {
            return true;
        }
        from = after;
    }
    false
}

/// Where something was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(pub String);

/// The files below a directory that contain it. Files that vanish while they are looked for are passed over.
///
/// Hundreds of megabytes are read, so `grep` does it; it is told what to look for in a file, not in its arguments.
///
/// # Panics
/// `grep` cannot be run.
#[must_use]
pub fn in_dir(dir: &Path, needle: &Needle) -> Vec<Place> {
    let mut forms = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    forms.write_all(&needle.forms.join(&b'\n')).expect("a temporary file can be written");
    let mut grep = Command::new("grep");
    grep.args(["-r", "-l", "-a", "-s", "-F", "-f"]).arg(forms.path()).arg(dir).env("LC_ALL", "C");
    let output = grep.output().expect("grep is on every system that runs the tests");
    String::from_utf8_lossy(&output.stdout).lines().map(|line| Place(line.to_owned())).collect()
}

fn in_file(path: &Path, needle: &Needle) -> Option<Place> {
    let bytes = fs::read(path).ok()?;
    needle.is_in(&bytes).then(|| Place(path.display().to_string()))
}

/// The text, if it contains it.
#[must_use]
pub fn in_text(what: &str, text: &str, needle: &Needle) -> Vec<Place> {
    if needle.is_in(text.as_bytes()) { vec![Place(what.to_owned())] } else { Vec::new() }
}

/// Arguments and environments of all processes of this machine that we may look at.
#[must_use]
pub fn in_processes(needle: &Needle) -> Vec<Place> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let numbered = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok());
    let both = |path: PathBuf| ["cmdline", "environ"].map(|file| path.join(file));
    processes.filter(numbered).flat_map(both).filter_map(|path| in_file(&path, needle)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "k3VnT8sLw0Qz5Xy7Bc9D";

    #[test]
    fn it_is_found_as_it_is_in_hex_and_in_base64_at_every_alignment() {
        let needle = Needle::new(SECRET);
        let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(in_text("hex", &format!("\\x00{hex}"), &needle), [Place("hex".into())]);
        for before in ["", "a", "ab", "abc", "password:"] {
            let text = format!("{before}{SECRET}after");
            assert!(needle.is_in(text.as_bytes()), "{before}");
            assert!(needle.is_in(BASE64_STANDARD_NO_PAD.encode(&text).as_bytes()), "{before} in base64");
        }
        assert!(!needle.is_in(&SECRET.as_bytes()[1..]) && !needle.is_in(b""));
        assert_eq!(format!("{needle:?}"), "Needle([REDACTED])");
    }

    #[test]
    fn it_is_found_in_a_file_deep_down_and_in_the_arguments_of_a_process() {
        let (needle, dir) = (Needle::new(SECRET), tempfile::tempdir().unwrap());
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/c"), format!("x{SECRET}")).unwrap();
        fs::write(dir.path().join("a/d"), "nothing").unwrap();
        assert_eq!(in_dir(dir.path(), &needle).len(), 1);
        let mut child = std::process::Command::new("sleep").arg("60").env("HIDDEN", SECRET).spawn().unwrap();
        // The system fills in a new process's environment a moment after it has begun.
        let seen = || in_processes(&needle).iter().any(|place| place.0.ends_with("environ"));
        let found = (0..500).any(|_| {
            seen() || {
                std::thread::sleep(std::time::Duration::from_millis(10));
                false
            }
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found);
    }
}
