//! What must hold of the script's text; whether it works is shown on real servers in `tests/sql_*.rs`.

use super::{AgentVerifier, BadInput, BootstrapOptions, HELPERS_VERSION, SchemaName, packs, psql_script, script};

const VERIFIER: &str = "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$bpSY5Ze9NUH+I35LC3gVq+DpBfK46iXBxvhAKqVu9pE=:VpYlBuxyzeCI1KnctrefdljpB1mk3Gp7sBI/t11+NkQ=";

#[test]
fn every_pack_has_a_whole_header() {
    let seen: Vec<_> = packs().iter().map(|pack| (pack.name, pack.version, pack.max_ttl)).collect();
    assert_eq!(seen, [("app_read", "pg-1.0.0", "4 hours"), ("app_write", "pg-1.0.0", "1 hour")]);
    for pack in packs() {
        assert!(pack.digest.starts_with("sha256:") && pack.digest.len() == 71, "{}", pack.digest);
        assert!(!pack.summary.is_empty() && pack.conn_limit > 0 && pack.max_live > 0);
    }
}

#[test]
fn the_script_is_one_transaction_without_psql_commands() {
    let text = script(&BootstrapOptions::default());
    assert!(text.lines().all(|line| !line.starts_with('\\')), "psql meta-command");
    assert_eq!(text.lines().filter(|line| *line == "BEGIN;" || *line == "COMMIT;").count(), 2);
    assert!(text.trim_end().ends_with("COMMIT;"));
    assert!(text.contains(&format!("SELECT '{HELPERS_VERSION}'::text")));
    assert_eq!(psql_script(&BootstrapOptions::default()), format!("\\set ON_ERROR_STOP on\n{text}"));
}

/// Under `standard_conforming_strings = off`, which a caller may set, a backslash in a function's text means another thing.
#[test]
fn no_helper_contains_a_backslash() {
    for (name, sql) in super::HELPERS {
        assert!(!sql.contains('\\'), "{name}");
    }
}

#[test]
fn a_hostile_schema_name_stays_a_name() {
    let name: SchemaName = r#"a'b"c\d, e}'); DROP TABLE x; --"#.parse().unwrap();
    let options = BootstrapOptions { schemas: vec![name], ..BootstrapOptions::default() };
    // the array's escapes first, then those of E''
    let wanted = r#"set_config('gk.schemas', E'{"a''b\\"c\\\\d, e}''); DROP TABLE x; --"}', true)"#;
    assert!(script(&options).contains(wanted));
}

#[test]
fn schemas_that_are_not_the_applications_are_refused() {
    for (text, wanted) in [
        ("", BadInput::SchemaName),
        ("a\0b", BadInput::SchemaName),
        ("pg_catalog", BadInput::SystemSchema),
        ("information_schema", BadInput::SystemSchema),
        ("gk", BadInput::SystemSchema),
    ] {
        assert_eq!(text.parse::<SchemaName>(), Err(wanted), "{text:?}");
    }
    assert_eq!("x".repeat(64).parse::<SchemaName>(), Err(BadInput::SchemaName));
}

#[test]
fn only_a_verifier_is_taken_as_one() {
    assert!(VERIFIER.parse::<AgentVerifier>().is_ok());
    for text in [
        "hunter2".to_owned(),
        String::new(),
        "md500000000000000000000000000000000".to_owned(),
        format!(" {VERIFIER}"),
        format!("{VERIFIER}\n"),
        VERIFIER.to_lowercase(),
        VERIFIER.replace("$4096:", "$1:"),
        VERIFIER.replace("$4096:", "$04096:"),
        VERIFIER.replace("$4096:", "$4294971392:"),
        VERIFIER.replace("bpSY", "'; --"),
    ] {
        assert_eq!(text.parse::<AgentVerifier>(), Err(BadInput::Verifier), "{text:?}");
    }
}

#[test]
fn the_agents_verifier_is_set_but_never_printed() {
    let verifier: AgentVerifier = VERIFIER.parse().unwrap();
    let options = BootstrapOptions { agent_password_verifier: Some(verifier), ..BootstrapOptions::default() };
    assert!(script(&options).contains(&format!("ALTER ROLE gk_agent PASSWORD '{VERIFIER}';")));
    assert!(!format!("{options:?}").contains("SCRAM"));
}
