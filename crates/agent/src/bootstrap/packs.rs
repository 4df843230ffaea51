//! The role packs that this build carries, read from the headers of their files.
//!
//! A released pack is never edited: its digest is what the ledger and every target pin. The header is the one place
//! where a pack's name, version and limits stand.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::LazyLock;

/// A versioned grant: the SQL that gives a pack's role its privileges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePack {
    /// What a requester asks for, such as `app_read`.
    pub name: &'static str,
    /// The version that a session pins.
    pub version: &'static str,
    /// `sha256:` and the hex digest of the file.
    pub digest: String,
    /// The file.
    pub sql: &'static str,
    /// What it allows, in one line for people.
    pub summary: &'static str,
    /// The longest session, as a Postgres interval.
    pub max_ttl: &'static str,
    /// Connections at once in one session.
    pub conn_limit: u16,
    /// Sessions at once on one target.
    pub max_live: u16,
}

static PACKS: LazyLock<Vec<RolePack>> = LazyLock::new(|| {
    [
        include_str!("../../../../sql/rolepacks/pg-1.0.0/app_read.sql"),
        include_str!("../../../../sql/rolepacks/pg-1.0.0/app_write.sql"),
    ]
    .map(RolePack::from_file)
    .into()
});

/// All role packs of this build, in the order in which they are installed.
#[must_use]
pub fn packs() -> &'static [RolePack] {
    &PACKS
}

impl RolePack {
    /// Reads a file of this build. A header that is not whole is a mistake in the tree, which the tests find.
    fn from_file(sql: &'static str) -> Self {
        Self {
            name: header(sql, "name"),
            version: header(sql, "version"),
            digest: digest(sql),
            sql,
            summary: header(sql, "summary"),
            max_ttl: header(sql, "max_ttl"),
            conn_limit: number(sql, "conn_limit"),
            max_live: number(sql, "max_live"),
        }
    }
}

/// The value of the line `-- key: value` in a file's head.
fn header(sql: &'static str, key: &str) -> &'static str {
    sql.lines()
        .take_while(|line| line.starts_with("--"))
        .find_map(|line| line.strip_prefix("-- ")?.strip_prefix(key)?.strip_prefix(':'))
        .expect("every pack file of this build has the whole header: a test reads them all")
        .trim()
}

fn number(sql: &'static str, key: &str) -> u16 {
    header(sql, key).parse().expect("the limits of every pack file of this build are numbers: a test reads them all")
}

fn digest(sql: &str) -> String {
    Sha256::digest(sql.as_bytes()).iter().fold(String::from("sha256:"), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a String cannot fail");
        out
    })
}
