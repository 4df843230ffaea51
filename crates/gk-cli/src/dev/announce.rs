//! What `gk dev` says once all is ready: one JSON line for programs, a few lines for a person.

use gk_local_postgres::PgVersion;
use serde::Serialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What runs, and where. Becomes `gk.dev.v1`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Ready {
    /// The control plane's URL.
    pub(crate) address: String,
    /// The CLI's context for it.
    pub(crate) context: &'static str,
    /// Whether that context is the one the CLI uses when none is named.
    pub(crate) context_is_current: bool,
    /// Where everything lies.
    pub(crate) data_dir: PathBuf,
    /// This process.
    pub(crate) pid: u32,
    /// The private server.
    pub(crate) postgres: RunningPostgres,
    /// What sessions can be asked for.
    pub(crate) targets: Vec<ReadyTarget>,
    /// As what.
    pub(crate) roles: Vec<String>,
    /// Token of the user `dev`, mode 0600.
    pub(crate) token_file: PathBuf,
    /// Who may have what; may be edited.
    pub(crate) policy_file: PathBuf,
    /// What control plane and agent log.
    pub(crate) log_file: PathBuf,
    /// Whether it goes on from an earlier start.
    pub(crate) resumed: bool,
    /// From the start of the program.
    pub(crate) ready_in_ms: u128,
}

/// The private server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RunningPostgres {
    /// `15.18`.
    pub(crate) version: String,
    /// On 127.0.0.1.
    pub(crate) port: u16,
    /// Where its programs are.
    pub(crate) bin_dir: PathBuf,
    /// Its log.
    pub(crate) log_file: PathBuf,
}

impl RunningPostgres {
    pub(crate) fn new(version: PgVersion, port: u16, bin_dir: &Path, log_file: &Path) -> Self {
        let (bin_dir, log_file) = (bin_dir.to_path_buf(), log_file.to_path_buf());
        Self { version: version.to_string(), port, bin_dir, log_file }
    }
}

/// A target of the demo.
#[derive(Debug, Serialize)]
pub(crate) struct ReadyTarget {
    /// Its name.
    pub(crate) name: String,
    /// Address.
    pub(crate) host: String,
    /// Port.
    pub(crate) port: u16,
    /// Database.
    pub(crate) database: String,
}

impl ReadyTarget {
    /// A database of the private server.
    pub(crate) fn local(name: &str, port: u16, database: &str) -> Self {
        Self { name: name.to_owned(), host: "127.0.0.1".to_owned(), port, database: database.to_owned() }
    }
}

impl Ready {
    /// For the person who started it. `psql` is how they can run it: its name, or its path where it is not on PATH.
    pub(crate) fn for_person(&self, psql: &str) -> String {
        let mut text = String::new();
        let took = Duration::from_millis(u64::try_from(self.ready_in_ms).unwrap_or(u64::MAX));
        let how = if self.resumed { "is running again, with the data of last time" } else { "is running" };
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        line(&format!("Gatekeeper {how} (ready in {:.1} s)", took.as_secs_f64()));
        line(&format!("  control plane  {}", self.address));
        for target in &self.targets {
            let version = &self.postgres.version;
            line(&format!(
                "  target         {}: database {} on {}:{} (PostgreSQL {version})",
                target.name, target.database, target.host, target.port
            ));
        }
        line(&format!("  data and log   {}", self.data_dir.display()));
        line("");
        line("In another terminal:");
        if !self.context_is_current {
            line(&format!("  gk context use {}", self.context));
        }
        for target in self.targets.iter().take(1) {
            let create =
                format!("gk session create --target {} --role app_read --ttl 15m --reason \"debug\"", target.name);
            line(&format!("  DSN=$({create})"));
        }
        line(&format!("  {psql} \"$DSN\" -c \"select count(*) from orders\""));
        line("  gk session revoke --mine");
        line("");
        line("Ctrl-C stops everything and keeps the data.");
        text
    }
}

/// Who has which role, where nobody has written another policy yet.
pub(crate) const POLICY: &str = r#"# Who may have what, in the demo. Yours to edit: gk dev reads it when it starts, and writes it anew with --fresh.

[[rule]]
name = "dev-read"
who = ["user:dev", "group:dev"]
targets = ["pg-local"]
roles = ["app_read"]
max_ttl = "4h"
reason = "required"

[[rule]]
name = "dev-write"
who = ["user:dev", "group:dev"]
targets = ["pg-local"]
roles = ["app_write"]
max_ttl = "1h"
reason = "required"
"#;

/// The control plane's URL.
pub(crate) fn url(address: SocketAddr) -> String {
    format!("http://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(context_is_current: bool) -> Ready {
        Ready {
            address: url("127.0.0.1:4000".parse().unwrap()),
            context: "dev",
            context_is_current,
            data_dir: "/data".into(),
            pid: 7,
            postgres: RunningPostgres {
                version: "15.18".to_owned(),
                port: 5433,
                bin_dir: "/pg/bin".into(),
                log_file: "/data/postgres.log".into(),
            },
            targets: vec![ReadyTarget::local("pg-local", 5433, "app")],
            roles: vec!["app_read".to_owned()],
            token_file: "/data/secrets/dev.token".into(),
            policy_file: "/data/policy.toml".into(),
            log_file: "/data/gk-dev.log".into(),
            resumed: false,
            ready_in_ms: 1234,
        }
    }

    #[test]
    fn a_person_reads_what_to_type_next() {
        let said = ready(true).for_person("psql");
        let create = "DSN=$(gk session create --target pg-local --role app_read --ttl 15m --reason \"debug\")";
        for line in [create, "psql \"$DSN\" -c \"select count(*) from orders\"", "gk session revoke --mine"] {
            assert!(said.contains(&format!("\n  {line}\n")), "{said}");
        }
        assert!(!said.contains("gk context use"));
        assert!(ready(false).for_person("psql").contains("  gk context use dev\n"));
    }

    #[test]
    fn the_policy_of_the_demo_is_one_that_the_control_plane_takes() {
        let policy =
            gk_control_plane::policy::Policy::parse(POLICY, gk_shared::ttl::Ttl::from_minutes(240).unwrap()).unwrap();
        assert!(policy.findings().is_empty(), "{:?}", policy.findings());
    }
}
