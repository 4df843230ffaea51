//! Building the targets so that the fuzzer sees which code an input reaches, and running them.
//!
//! No cargo-fuzz and no nightly: what makes libFuzzer see is a pass of LLVM that the stable compiler has. No sanitizer,
//! either: there is no unsafe code of ours for it to watch. Debug assertions and overflow checks are on (`fuzz/Cargo.toml`).

use super::{files, make};
use crate::process::{output, program, run};
use crate::step::{Failure, Outcome};
use crate::workspace::Workspace;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What cargo-fuzz tells the compiler.
const FLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg=fuzzing",
];

/// What a run on one target came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tried {
    pub(super) target: String,
    pub(super) inputs: u64,
    /// Of one processor; a run may be paused.
    pub(super) seconds: u64,
    /// Edges of the code between its branches that some input took.
    pub(super) edges: u64,
    /// Inputs that each reach something no other does.
    pub(super) corpus: u64,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, inputs, seconds, edges, corpus } = self;
        write!(f, "{target}: {inputs} inputs in {seconds} s of processor time, {edges} edges, {corpus} inputs of note")
    }
}

/// The programs that were built.
pub(super) struct Engine {
    host: String,
    target_dir: PathBuf,
}

impl Engine {
    pub(super) fn of(workspace: &Workspace) -> Outcome<Self> {
        let about = output(&mut workspace.program("rustc", ["-vV"]))?;
        let host = about.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.ok_or_else(|| Failure::new("`rustc -vV` names no host"))?.to_owned();
        Ok(Self { host, target_dir: workspace.target_dir.join("fuzz") })
    }

    /// With `--target` the flags reach neither build scripts nor macros.
    pub(super) fn build(&self, workspace: &Workspace) -> Outcome {
        let mut build =
            workspace.cargo(["build", "--quiet", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target"]);
        run(build.arg(&self.host).arg("--target-dir").arg(&self.target_dir).env("RUSTFLAGS", FLAGS.join(" ")))
    }

    /// Tries so many inputs; what broke a property is left in `fuzz/artifacts`.
    pub(super) fn fuzz(&self, root: &Path, target: &str, runs: u64) -> Outcome<Tried> {
        let (work, corpus) = (root.join("corpus-work").join(target), root.join("corpus").join(target));
        let broken = root.join("artifacts").join(target).join("");
        make(&work)?;
        make(&broken)?;
        let mut fuzzer = program(self.program(target), root);
        fuzzer.arg(&work).arg(&corpus).arg(format!("-artifact_prefix={}", broken.display()));
        fuzzer.args(words(root, target)?).arg(format!("-runs={runs}")).arg(format!("-max_len={}", longest(target)));
        fuzzer.args(["-close_fd_mask=1", "-print_final_stats=1", "-rss_limit_mb=1024"]);
        let before = processor_seconds();
        let mut child = fuzzer
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new(format!("{target} could not be run: {error}")))?;
        let mut said = Vec::new();
        for line in BufReader::new(child.stderr.take().expect("was asked for")).lines().map_while(Result::ok) {
            if !is_chatter(&line) {
                eprintln!("{line}");
                said.push(line);
            }
        }
        let status = child.wait().map_err(|error| Failure::new(format!("waiting for {target}: {error}")))?;
        if !status.success() {
            return Err(Failure::new(format!("{target} ended with {status}; the input is in {}", broken.display())));
        }
        result(target, &said, processor_seconds().saturating_sub(before))
    }

    /// A directory of the fewest inputs that reach what all together reach.
    pub(super) fn merge(&self, root: &Path, target: &str) -> Outcome<PathBuf> {
        let merged = root.join("corpus-work/merged").join(target);
        if merged.exists() {
            fs::remove_dir_all(&merged)
                .map_err(|error| Failure::new(format!("clearing {}: {error}", merged.display())))?;
        }
        make(&merged)?;
        let mut merge = program(self.program(target), root);
        merge.arg(&merged).arg(root.join("corpus").join(target)).arg(root.join("corpus-work").join(target));
        merge.args(["-close_fd_mask=1", "-set_cover_merge=1"]).arg(format!("-max_len={}", longest(target)));
        output(&mut merge)?;
        Ok(merged)
    }

    fn program(&self, target: &str) -> PathBuf {
        self.target_dir.join(&self.host).join("release").join(target)
    }
}

/// What reads names has nothing to learn from pages: somewhat more than the longest that is taken.
fn longest(target: &str) -> usize {
    match target {
        "ttl" | "names" => 96,
        "idempotency" | "cursor" => 192,
        "audit" | "checkpoint" | "merkle" | "query" => 512,
        "dsn" | "dsn_build" => 768,
        "reason" => 1200,
        _ => 2048,
    }
}

/// The argument that names the dictionary; inputs that are no texts have none.
fn words(root: &Path, target: &str) -> Outcome<Option<String>> {
    let words = dictionary(&root.join("corpus").join(target))?;
    if words.is_empty() {
        return Ok(None);
    }
    let path = root.join("corpus-work").join(format!("{target}.dict"));
    fs::write(&path, words).map_err(|error| Failure::new(format!("writing {}: {error}", path.display())))?;
    Ok(Some(format!("-dict={}", path.display())))
}

/// The words of the kept inputs: an engine that only turns bits would have to guess `leaseToken` letter by letter.
fn dictionary(corpus: &Path) -> Outcome<String> {
    let mut words = BTreeSet::new();
    for (path, _) in files(corpus)? {
        let text = fs::read(&path).map_err(|error| Failure::new(format!("reading {}: {error}", path.display())))?;
        for word in text.split(|byte| !(byte.is_ascii_alphanumeric() || b"_-".contains(byte))) {
            if (2..=32).contains(&word.len()) {
                words.insert(String::from_utf8_lossy(word).into_owned());
            }
        }
    }
    Ok(words.iter().map(|word| format!("\"{word}\"\n")).collect())
}

/// A line for each find, of which a run has thousands.
fn is_chatter(line: &str) -> bool {
    line.starts_with('#') && (line.contains("\tNEW ") || line.contains("\tREDUCE "))
        || line.starts_with("\t\t")
        || line.contains("NEW_FUNC")
}

fn result(target: &str, said: &[String], seconds: u64) -> Outcome<Tried> {
    let lacks = |what: &str| Failure::new(format!("{target} did not say {what}"));
    let last = said.iter().rfind(|line| line.contains("\tDONE ")).ok_or_else(|| lacks("that it was done"))?;
    let number = |head: &str| {
        let rest = last.split_once(head).map(|(_, rest)| rest.trim_start());
        let digits = rest.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
        digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| lacks(head))
    };
    let executed = said.iter().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let inputs = executed.and_then(|rest| rest.trim().parse().ok()).ok_or_else(|| lacks("how many inputs it tried"))?;
    Ok(Tried { target: target.to_owned(), inputs, seconds, edges: number("cov: ")?, corpus: number("corp: ")? })
}

/// What the children that have ended took of a processor, as Linux counts it in hundredths.
fn processor_seconds() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after_name.split_whitespace().skip(13).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "INFO: seed corpus: files: 31 min: 1b max: 900b total: 4114b rss: 40Mb
#10000000\tDONE   cov: 1234 ft: 5678 corp: 321/45Kb lim: 2048 exec/s: 20000 rss: 80Mb
Done 10000000 runs in 500 second(s)
stat::number_of_executed_units: 10000000";

    #[test]
    fn what_a_run_came_to_is_read_from_its_last_words() {
        let said: Vec<String> = SAID.lines().map(str::to_owned).collect();
        let tried = result("ttl", &said, 480).unwrap();
        let wanted = Tried { target: "ttl".into(), inputs: 10_000_000, seconds: 480, edges: 1234, corpus: 321 };
        assert_eq!(tried, wanted);
        for lost in 1..said.len() {
            if lost != 2 {
                let fewer: Vec<String> =
                    said.iter().enumerate().filter(|(at, _)| *at != lost).map(|it| it.1.clone()).collect();
                result("ttl", &fewer, 480).unwrap_err();
            }
        }
    }

    #[test]
    fn the_time_of_children_is_counted_once_they_have_ended() {
        let before = processor_seconds();
        run(program("sh", Path::new("/")).args(["-c", "i=0; while [ $i -lt 1500000 ]; do i=$((i+1)); done"])).unwrap();
        assert!(processor_seconds() > before);
    }

    #[test]
    fn a_dictionary_has_each_word_of_the_kept_inputs_once() {
        let corpus = tempfile::tempdir().unwrap();
        fs::write(corpus.path().join("a"), "{\"leaseToken\":\"x\",\"wait-ms\":12}").unwrap();
        fs::write(corpus.path().join("b"), "leaseToken=\"\\\n").unwrap();
        assert_eq!(dictionary(corpus.path()).unwrap(), "\"12\"\n\"leaseToken\"\n\"wait-ms\"\n");
    }
}
