//! What figures depend on: the machine, the programs, the commit, the hour, and how busy the machine was with other work.

use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// When, where and from which commit a scenario was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Run {
    /// Start, UTC.
    pub(crate) at: String,
    /// Commit of the programs that were measured.
    pub(crate) commit: String,
    /// Of the whole scenario.
    pub(crate) seconds: f64,
    /// Cores' worth of other programs' work while it ran, on average.
    pub(crate) cores_taken_by_others: f64,
    /// Name and value of everything else.
    pub(crate) machine: Vec<(String, String)>,
}

/// What is known of this machine without measuring.
pub(crate) fn describe() -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let pair = |name: &str, value: String| (name.to_owned(), value);
    vec![
        pair("processor", format!("{cores} × {}", field("/proc/cpuinfo", "model name"))),
        pair("memory", gigabytes(&field("/proc/meminfo", "MemTotal"))),
        pair("system", format!("Linux {}", first_line("/proc/sys/kernel/osrelease"))),
        pair(
            "layout",
            "clients, control plane, agent, ledger and target all on this one machine, on one disk".to_owned(),
        ),
        pair("Postgres", "fsync, full_page_writes and synchronous_commit on; shared_buffers 128 MB".to_owned()),
        pair("SCRAM", "4096 iterations on every side, except where a low-iteration target is named".to_owned()),
    ]
}

/// The commit that lies in `root`, with a mark where files differ from it.
pub(crate) fn commit(root: &Path) -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", "crates", "sql"]);
    match (git(&["rev-parse", "--short=12", "HEAD"]), changed.as_deref()) {
        (Some(commit), Some("")) => commit,
        (Some(commit), _) => format!("{commit}, changed"),
        (None, _) => "unknown".to_owned(),
    }
}

fn first_line(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// `name : value` of a file in /proc.
fn field(path: &str, name: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let found = text.lines().find_map(|line| line.split_once(':').filter(|(key, _)| key.trim() == name));
    found.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// From what /proc says in kB.
fn gigabytes(text: &str) -> String {
    let kilobytes = text.split_whitespace().next().and_then(|number| number.parse::<f64>().ok());
    kilobytes.map_or_else(|| text.to_owned(), |kilobytes| format!("{:.0} GiB", kilobytes / 1_048_576.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_whole_gibibytes() {
        assert_eq!(gigabytes("25165824 kB"), "24 GiB");
        assert_eq!(gigabytes("unknown"), "unknown");
    }

    #[test]
    fn outside_a_checkout_the_commit_is_unknown() {
        assert_eq!(commit(Path::new("/")), "unknown");
    }
}
