//! The SQL that makes a Postgres database a target: roles, helpers of schema `gk`, role packs.
//!
//! The text lives in `sql/` and is compiled in; this module puts it together into one script of one transaction. What
//! always holds: the script may be run again at any time, needs no superuser, contains no plaintext secret, and
//! whatever the caller chose (schemas, the agent's verifier) is quoted, never pasted. Running it is the caller's part.

mod input;
mod packs;
mod quote;

pub use input::{AgentVerifier, BadInput, SchemaName};
pub use packs::{RolePack, packs};

use quote::literal;
use std::fmt::Write as _;

/// The version of the helpers that this build installs and speaks with; `gk.version()` on a target answers the same.
pub const HELPERS_VERSION: &str = "pg-1.0.0";

/// The helper files in the order in which they have to run.
const HELPERS: [(&str, &str); 16] = [
    ("00_roles.sql", include_str!("../../../../sql/helpers/pg-1.0.0/00_roles.sql")),
    ("10_registry.sql", include_str!("../../../../sql/helpers/pg-1.0.0/10_registry.sql")),
    ("15_common.sql", include_str!("../../../../sql/helpers/pg-1.0.0/15_common.sql")),
    ("17_makers.sql", include_str!("../../../../sql/helpers/pg-1.0.0/17_makers.sql")),
    ("20_packs.sql", include_str!("../../../../sql/helpers/pg-1.0.0/20_packs.sql")),
    ("30_mint.sql", include_str!("../../../../sql/helpers/pg-1.0.0/30_mint.sql")),
    ("33_stock.sql", include_str!("../../../../sql/helpers/pg-1.0.0/33_stock.sql")),
    ("35_extend.sql", include_str!("../../../../sql/helpers/pg-1.0.0/35_extend.sql")),
    ("40_end.sql", include_str!("../../../../sql/helpers/pg-1.0.0/40_end.sql")),
    ("45_drop.sql", include_str!("../../../../sql/helpers/pg-1.0.0/45_drop.sql")),
    ("50_sweep.sql", include_str!("../../../../sql/helpers/pg-1.0.0/50_sweep.sql")),
    ("60_observe.sql", include_str!("../../../../sql/helpers/pg-1.0.0/60_observe.sql")),
    ("65_standby.sql", include_str!("../../../../sql/helpers/pg-1.0.0/65_standby.sql")),
    ("70_deadman.sql", include_str!("../../../../sql/helpers/pg-1.0.0/70_deadman.sql")),
    ("80_doctor.sql", include_str!("../../../../sql/helpers/pg-1.0.0/80_doctor.sql")),
    ("90_grants.sql", include_str!("../../../../sql/helpers/pg-1.0.0/90_grants.sql")),
];

/// What the DBA may choose.
#[derive(Debug, Clone)]
pub struct BootstrapOptions {
    /// The application's schemas, which the packs give access to.
    pub schemas: Vec<SchemaName>,
    /// The SCRAM verifier of `gk_agent`'s password. `None` leaves the login's password as it is.
    pub agent_password_verifier: Option<AgentVerifier>,
    /// The role packs to register and enable.
    pub packs: Vec<&'static RolePack>,
}

impl Default for BootstrapOptions {
    /// Schema `public`, all packs of this build, no password.
    fn default() -> Self {
        Self { schemas: vec![SchemaName::public()], agent_password_verifier: None, packs: packs().iter().collect() }
    }
}

/// The whole script, as one transaction, for a connection's simple query protocol.
///
/// After an error the connection is left inside the failed transaction: close it or send `ROLLBACK`.
#[must_use]
pub fn script(options: &BootstrapOptions) -> String {
    let mut out = String::from("-- bootstrap::script\nBEGIN;\n");
    for (name, sql) in &HELPERS {
        push_file(&mut out, name, sql);
    }
    if let Some(verifier) = &options.agent_password_verifier {
        push(&mut out, format_args!("ALTER ROLE gk_agent PASSWORD {};\n", literal(verifier.expose())));
    }
    let schemas = literal(&quote::array(options.schemas.iter().map(SchemaName::as_str)));
    push(&mut out, format_args!("SELECT set_config('gk.schemas', {schemas}, true);\n"));
    out.push_str("SELECT gk.set_schemas(current_setting('gk.schemas')::name[]);\n");
    for pack in &options.packs {
        push_pack(&mut out, pack);
    }
    out.push_str("COMMIT;\n");
    out
}

/// [`script`] for `psql`, which otherwise goes on after an error.
#[must_use]
pub fn psql_script(options: &BootstrapOptions) -> String {
    format!("\\set ON_ERROR_STOP on\n{}", script(options))
}

/// Registers one pack, gives its role the privileges, and lets sessions use it.
fn push_pack(out: &mut String, pack: &RolePack) {
    let (name, version) = (literal(pack.name), literal(pack.version));
    push(
        out,
        format_args!(
            "SELECT set_config('gk.pack_role', gk.pack_register({name}, {version}, {}, {}, {}, {}), true);\n",
            literal(&pack.digest),
            literal(pack.max_ttl),
            pack.conn_limit,
            pack.max_live,
        ),
    );
    push_file(out, pack.name, pack.sql);
    push(out, format_args!("SELECT gk.pack_enable({name}, {version});\n"));
}

fn push_file(out: &mut String, name: &str, sql: &str) {
    push(out, format_args!("\n-- ==== {name}\n{sql}"));
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a String cannot fail");
}

#[cfg(test)]
mod tests;
