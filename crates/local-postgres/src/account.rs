//! Who the server runs as.
//!
//! Postgres refuses to run as root, so root hands the data directory to an unprivileged account and starts the server
//! as that one. Everybody else runs it as themselves.

use std::io;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

/// The account that owns a data directory and runs its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// The user this process already runs as.
    Own,
    /// Root runs the server as this account instead.
    Unprivileged {
        /// Its user id.
        uid: u32,
        /// Its group id.
        gid: u32,
    },
}

/// Why no account could be found to run the server.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// Neither `postgres` nor `nobody` is in the password file.
    #[error(
        "Postgres does not run as root, and there is no user `postgres` or `nobody` to run it as; add one with `useradd --system postgres`, or run as an ordinary user"
    )]
    NoUnprivilegedUser,
    /// The password file cannot be read.
    #[error("reading /etc/passwd to find a user to run Postgres as")]
    PasswordFile(#[source] io::Error),
}

impl Account {
    /// The account for a new cluster: ourselves, or for root `postgres`, or failing that `nobody`.
    pub fn for_new_cluster() -> Result<Self, AccountError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Own);
        }
        let users = std::fs::read_to_string("/etc/passwd").map_err(AccountError::PasswordFile)?;
        ["postgres", "_postgres", "nobody"]
            .iter()
            .find_map(|name| entry(&users, name))
            .ok_or(AccountError::NoUnprivilegedUser)
    }

    /// The account that owns what lies at `path`. For root only: everybody else can be no one but themselves.
    pub(crate) fn owner_of(path: &Path) -> io::Result<Self> {
        let owner = std::fs::metadata(path)?;
        Ok(Self::Unprivileged { uid: owner.uid(), gid: owner.gid() })
    }

    /// The first directory above (or at) `path` that this account cannot pass through, if there is one.
    ///
    /// Root's own home is the usual one: it is 0700, so binaries and data below it are out of an unprivileged
    /// server's reach. What does not exist yet is not in the way.
    #[must_use]
    pub fn barred_by(&self, path: &Path) -> Option<PathBuf> {
        let Self::Unprivileged { uid, gid } = self else { return None };
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        above
            .into_iter()
            .find(|dir| std::fs::metadata(dir).is_ok_and(|meta| meta.is_dir() && !passable(&meta, *uid, *gid)))
            .map(Path::to_path_buf)
    }

    /// Hands `path` itself (not what is below it) to this account.
    pub(crate) fn take_over(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Unprivileged { uid, gid } => chown(path, Some(*uid), Some(*gid)),
        }
    }

    /// Makes `command` run as this account.
    pub(crate) fn run_as(&self, command: &mut std::process::Command) {
        use std::os::unix::process::CommandExt;
        match self {
            Self::Own => {}
            Self::Unprivileged { uid, gid } => {
                command.gid(*gid).uid(*uid);
            }
        }
    }
}

fn passable(meta: &std::fs::Metadata, uid: u32, gid: u32) -> bool {
    let execute = if meta.uid() == uid {
        0o100
    } else if meta.gid() == gid {
        0o010
    } else {
        0o001
    };
    meta.mode() & execute != 0
}

/// Finds `name` in the text of a password file. An account with root's id would be no gain.
fn entry(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let uid: i64 = fields.nth(1)?.parse().ok()?;
        let gid: i64 = fields.next()?.parse().ok()?;
        // macOS writes nobody's id as -2.
        let (uid, gid) = (id_bits(uid)?, id_bits(gid)?);
        (uid != 0).then_some(Account::Unprivileged { uid, gid })
    })
}

fn id_bits(id: i64) -> Option<u32> {
    u32::try_from(id).ok().or_else(|| i32::try_from(id).ok().map(i32::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const USERS: &str =
        "root:x:0:0:root:/root:/bin/bash\nnobody:*:-2:-2::/:/bin/false\npostgres:x:101:104:,,,:/var:/bin/sh\n";

    #[test]
    fn an_account_is_read_from_the_password_file() {
        assert_eq!(entry(USERS, "postgres"), Some(Account::Unprivileged { uid: 101, gid: 104 }));
        assert_eq!(entry(USERS, "nobody"), Some(Account::Unprivileged { uid: u32::MAX - 1, gid: u32::MAX - 1 }));
        assert_eq!(entry(USERS, "post"), None);
    }

    #[test]
    fn an_account_with_the_id_of_root_is_not_unprivileged() {
        assert_eq!(entry("postgres:x:0:0::/:/bin/sh\n", "postgres"), None);
    }

    #[test]
    fn a_private_directory_bars_another_account() {
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("private");
        std::fs::create_dir_all(private.join("data")).unwrap();
        let stranger = Account::Unprivileged { uid: 4_000_000, gid: 4_000_000 };
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&private, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(stranger.barred_by(&private.join("data/not-there-yet")), None);

        std::fs::set_permissions(&private, PermissionsExt::from_mode(0o700)).unwrap();
        assert_eq!(stranger.barred_by(&private.join("data/not-there-yet")), Some(private.clone()));
        assert_eq!(Account::Own.barred_by(&private), None);
    }
}
