//! Clocks that can be set: libfaketime in front of a program, which reads its offset from a file.
//!
//! Steady clocks are left alone: a program must not wait by the time of day, and the one that does shows it.

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where Debian puts the library.
const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1"];

/// The library, if it is here.
#[must_use]
pub fn library() -> Option<&'static Path> {
    LIBRARIES.iter().map(Path::new).find(|path| path.is_file())
}

/// A file with an offset for each program.
#[derive(Debug)]
pub struct Clocks {
    dir: TempDir,
}

impl Clocks {
    /// All of them right.
    ///
    /// # Panics
    /// No directory can be made.
    #[must_use]
    pub fn new() -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::Builder::new().prefix("gk-clocks-").tempdir().expect("a temporary directory can be made");
        // A server that runs as another account reads its own.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("the directory is ours");
        let clocks = Self { dir };
        for program in ["target", "plane", "agent"] {
            clocks.set(program, "+0");
        }
        clocks
    }

    /// Sets the clock of a program: `+3600`, `-3600`, or an instant at which it stands still.
    ///
    /// # Panics
    /// The file cannot be written.
    pub fn set(&self, program: &str, offset: &str) {
        std::fs::write(self.file(program), format!("{offset}\n")).expect("the directory is ours");
    }

    /// The environment in which a program sees its clock.
    #[must_use]
    pub fn env(&self, program: &str) -> Vec<(String, String)> {
        let library = library().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let file = self.file(program).to_string_lossy().into_owned();
        [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
            ("FAKETIME_CACHE_DURATION", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn file(&self, program: &str) -> PathBuf {
        self.dir.path().join(program)
    }
}

impl Default for Clocks {
    fn default() -> Self {
        Self::new()
    }
}
