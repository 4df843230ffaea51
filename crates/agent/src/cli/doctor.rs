//! `gk-agent doctor`: what was looked at, what is wrong, and the SQL that mends it.

use std::io::Write as _;

use gk_shared::exit::ExitCode;

use super::{DoctorArgs, Failed, Outcome};
use crate::config::AgentConfig;
use crate::doctor::{Check, Verdict, examine};

pub(super) async fn doctor(config: AgentConfig, args: &DoctorArgs) -> Outcome {
    let checks = examine(&config).await.map_err(|error| Failed::new(ExitCode::Failure, error))?;
    let counts = |check: &Check| check.verdict == Verdict::Fix || (args.strict && !check.is_well());
    let well = !checks.iter().any(counts);
    let mut out = std::io::stdout().lock();
    if args.json {
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
    let (mark, word) = match check.verdict {
        Verdict::Well => ("ok ", ""),
        Verdict::Advice => ("tip", "better"),
        Verdict::Fix => ("FIX", "mend"),
    };
    let mut text = format!("{mark} {:<14} {:<22} {}\n", check.subject, check.name, check.detail);
    if !check.is_well() && !check.mend.is_empty() {
        text += &format!("    {word}: {}\n", check.mend);
    }
    text
}
