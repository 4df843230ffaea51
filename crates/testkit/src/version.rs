//! The Postgres versions that tests run on.
//!
//! Version 16 changed what CREATEROLE may do, which is what the helpers on a target live by. So there are two lines, and
//! a test about roles runs on both.

use crate::scratch;
use gk_local_postgres::{Binaries, Search, find_all};
use std::fmt;
use std::path::Path;

/// One of the two lines of Postgres versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// 14 or 15: a role with CREATEROLE may alter any role that is not a superuser.
    Before16,
    /// 16 or newer: it may alter only roles it has ADMIN OPTION on.
    From16,
}

impl Version {
    /// Both lines, the older first.
    pub const ALL: [Self; 2] = [Self::Before16, Self::From16];

    /// The server binaries for this line.
    ///
    /// # Panics
    /// Where there are none, with the command that brings them.
    #[must_use]
    pub fn binaries(self) -> Binaries {
        let all = available();
        let Some(binaries) = self.pick(&all) else {
            let seen: Vec<String> =
                all.iter().map(|found| format!("{} in {}", found.version(), found.dir().display())).collect();
            panic!(
                "tests need PostgreSQL {self}, but found only [{}]: run `cargo xtask deps`, or name the directories in GK_TEST_PG_BINS",
                seen.join(", ")
            );
        };
        binaries
    }

    fn pick(self, all: &[Binaries]) -> Option<Binaries> {
        all.iter().find(|found| self.holds(found.version().major)).cloned()
    }

    const fn holds(self, major: u16) -> bool {
        match self {
            Self::Before16 => major < 16,
            Self::From16 => major >= 16,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before16 => "14 or 15",
            Self::From16 => "16 or newer",
        })
    }
}

/// Both lines, after a look that both are there.
///
/// # Panics
/// Where one is missing, with the command that brings it: a test that ran on half of the matrix would lie.
#[must_use]
pub fn pg_versions() -> [Version; 2] {
    Version::ALL.map(|version| {
        let _ = version.binaries();
        version
    })
}

/// Every server on this machine that tests may use: those named in `GK_TEST_PG_BINS`, else what `cargo xtask deps`
/// unpacked, then what the system has.
fn available() -> Vec<Binaries> {
    #[expect(clippy::disallowed_methods, reason = "the one switch of the test kit")]
    let named = std::env::var_os("GK_TEST_PG_BINS");
    if let Some(named) = named {
        return std::env::split_paths(&named).map(|dir| usable(&dir)).collect();
    }
    let mut all: Vec<Binaries> = scratch::unpacked_servers().iter().filter_map(|dir| Binaries::at(dir).ok()).collect();
    all.extend(find_all(&Search::system(None, None)));
    all
}

fn usable(dir: &Path) -> Binaries {
    Binaries::at(dir).unwrap_or_else(|error| panic!("GK_TEST_PG_BINS: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_lines_are_here_and_differ() {
        let [older, newer] = pg_versions().map(|version| version.binaries().version().major);
        assert!(older < 16 && newer >= 16, "{older} and {newer}");
    }

    #[test]
    fn the_lines_part_at_sixteen() {
        assert!(Version::Before16.holds(15) && !Version::Before16.holds(16));
        assert!(Version::From16.holds(16) && !Version::From16.holds(15));
        assert_eq!(Version::From16.pick(&[]), None);
    }
}
