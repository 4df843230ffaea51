//! `gk-agent doctor`: what was looked at, what is wrong, and the SQL that mends it.

use std::io::Write as _;

use gk_shared::exit::ExitCode;

use super::{Failed, Outcome};
use crate::config::AgentConfig;
use crate::doctor::{Check, examine};

pub(super) async fn doctor(config: AgentConfig, json: bool) -> Outcome {
    let checks = examine(&config).await.map_err(|error| Failed::new(ExitCode::Failure, error))?;
    let well = checks.iter().all(|check| check.ok);
    let mut out = std::io::stdout().lock();
    if json {
        let report = serde_json::json!({"schema": "gk.agent_doctor.v1", "ok": well, "checks": checks});
        writeln!(out, "{report}")?;
    } else {
        for check in &checks {
            write!(out, "{}", line(check))?;
        }
    }
    Ok(if well { ExitCode::Ok } else { ExitCode::Finding })
}

fn line(check: &Check) -> String {
    let mark = if check.ok { "ok " } else { "FIX" };
    let mut text = format!("{mark} {:<14} {:<22} {}\n", check.subject, check.name, check.detail);
    if !check.ok && !check.mend.is_empty() {
        text.push_str("    mend: ");
        text.push_str(&check.mend);
        text.push('\n');
    }
    text
}
