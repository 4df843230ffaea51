//! What the systemd units in infra-dev promise, held against what the daemons do. There is no systemd here to start them
//! under, so each restriction is checked where it can be: the rating offline, the rest on a trace of every system call.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![expect(clippy::print_stderr, reason = "a test that cannot look says so")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use gk_e2e::{Daemon, Room, SOON, Stack, Version, eventually, program};
use rustix::process::{Signal, kill_process};

/// What `systemd-analyze` may rate a unit at the most; 10 is a service without any protection.
const MOST_EXPOSED: f64 = 2.0;

fn units() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra-dev/systemd");
    let mut all: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}

/// What a program prints; `None`, said aloud, where it is not on this machine.
fn output(program: &str, args: &[&str]) -> Option<String> {
    match Command::new(program).args(args).output() {
        Ok(ran) => Some(String::from_utf8(ran.stdout).unwrap()),
        Err(error) => {
            eprintln!("not looked at: {program} cannot be run here ({error})");
            None
        }
    }
}

#[test]
fn the_units_are_rated_two_or_better() {
    assert_eq!(units().len(), 2);
    for unit in units() {
        let path = unit.to_str().unwrap();
        let args = ["security", "--offline=true", "--no-pager", path];
        let Some(said) = output("systemd-analyze", &args) else { return };
        let rating = said.split("Overall exposure level").nth(1).and_then(|rest| rest.split(": ").nth(1));
        let rating: f64 = rating.unwrap_or_else(|| panic!("{said}")).split(' ').next().unwrap().parse().unwrap();
        assert!(rating <= MOST_EXPOSED, "{path}: {rating}");
    }
}

/// The words that stand behind `head` in a text, as far as names of files go.
fn behind(text: &str, head: &str) -> BTreeSet<String> {
    let name = |rest: &str| rest.chars().take_while(|&sign| sign.is_alphanumeric() || ".-".contains(sign)).collect();
    text.split(head).skip(1).map(name).collect()
}

#[test]
fn each_secret_that_a_unit_hands_over_is_read_where_it_is_put_and_no_other_is_named() {
    let [agent, plane] = <[PathBuf; 2]>::try_from(units()).unwrap().map(|unit| std::fs::read_to_string(unit).unwrap());
    let settings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra-dev/agent.toml");
    let settings = std::fs::read_to_string(settings).unwrap();
    let handed = |unit: &str| behind(unit, "\nLoadCredential=");
    assert_eq!(handed(&agent), behind(&settings, "_file = \"/run/credentials/gk-agent.service/"));
    assert_eq!(
        handed(&agent).len(),
        settings.matches("_file = ").count(),
        "a secret is read past systemd:\n{settings}"
    );
    assert_eq!(handed(&plane), behind(&plane, "=%d/"));
    assert!(handed(&agent).len() == 2 && handed(&plane).len() == 2);
}

/// The agent's secrets as systemd hands them over: copies that the service can read and nobody can write.
fn hand_over(room: &Room, config: &str) {
    let dir = room.path("credentials");
    std::fs::create_dir(&dir).unwrap();
    // With an ACL for its user a credential is root's, and shows as readable by a group.
    let mode = if rustix::process::geteuid().is_root() { 0o440 } else { 0o400 };
    let mut text = room.read(config);
    for secret in text.clone().split('"').filter(|path| path.ends_with(".token") || path.ends_with(".password")) {
        let copy = dir.join(Path::new(secret).file_name().unwrap());
        std::fs::copy(secret, &copy).unwrap();
        std::fs::set_permissions(&copy, Permissions::from_mode(mode)).unwrap();
        text = text.replace(secret, copy.to_str().unwrap());
    }
    std::fs::set_permissions(&dir, Permissions::from_mode(0o500)).unwrap();
    assert_eq!(text.matches("/credentials/").count(), 2, "{text}");
    room.write(config, &text);
}

/// systemd's sets of system calls, by name; a set may name others.
fn sets() -> Option<BTreeMap<String, BTreeSet<String>>> {
    let said = output("systemd-analyze", &["syscall-filter", "--no-pager"])?;
    let mut sets = BTreeMap::<String, BTreeSet<String>>::new();
    let mut current = String::new();
    for line in said.lines() {
        let word = line.trim();
        if line.starts_with('@') {
            current = word.to_owned();
        } else if !word.is_empty() && !word.starts_with('#') {
            sets.entry(current.clone()).or_default().insert(word.to_owned());
        }
    }
    Some(sets)
}

fn expand(sets: &BTreeMap<String, BTreeSet<String>>, name: &str) -> BTreeSet<String> {
    let words = sets.get(name).cloned().unwrap_or_default();
    words.into_iter().flat_map(|word| if word.starts_with('@') { expand(sets, &word) } else { [word].into() }).collect()
}

/// The calls that a unit allows: `SystemCallFilter=` lines, in their order.
fn allowed(sets: &BTreeMap<String, BTreeSet<String>>, unit: &Path) -> BTreeSet<String> {
    let mut all = expand(sets, "@default");
    for line in std::fs::read_to_string(unit).unwrap().lines() {
        let Some(filter) = line.strip_prefix("SystemCallFilter=") else { continue };
        let (words, removes) = filter.strip_prefix('~').map_or((filter, false), |words| (words, true));
        for name in words.split(' ').flat_map(|word| expand(sets, word)) {
            if removes {
                all.remove(&name)
            } else {
                all.insert(name)
            };
        }
    }
    all
}

/// A daemon without any capability that is traced from its first call on, and keeps its own process id. Its tracer keeps
/// its rights: nobody else may look into a daemon.
fn traced(name: &str, args: &[&str], trace: &Path, log: PathBuf) -> Daemon {
    let (program, trace) = (program(name), trace.to_str().unwrap());
    let tracer =
        ["-D", "-f", "-qq", "-o", trace, "setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"];
    let all = [&tracer[..], &[program.to_str().unwrap()], args].concat();
    Daemon::new(name, Path::new("/usr/bin/strace"), &all, log).env("PATH", "/usr/bin:/bin").env("GK_LOG", "warn")
}

/// What a trace shows that the unit would not have let happen.
fn forbidden(trace: &str, allowed: &BTreeSet<String>, writable: &Path) -> BTreeSet<String> {
    const FAMILIES: [&str; 3] = ["socket(AF_INET,", "socket(AF_INET6,", "socket(AF_UNIX,"];
    let mut found = BTreeSet::new();
    // What went before was `setpriv`.
    let is_ours = |line: &str| {
        line.split("execve(\"")
            .nth(1)
            .is_some_and(|rest| rest.split('"').next().is_some_and(|path| path.contains("/gk-")))
    };
    let begun = trace.lines().skip_while(|line| !is_ours(line)).skip(1);
    for line in begun {
        // "1234 openat(AT_FDCWD, …", or the end of one that was interrupted.
        let Some((_, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let Some((name, _)) = call.split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
            continue;
        }
        if !allowed.contains(name) {
            found.insert(format!("SystemCallFilter: {name}"));
        }
        if call.contains("PROT_WRITE|PROT_EXEC") || (name == "mprotect" && call.contains("PROT_EXEC")) {
            found.insert(format!("MemoryDenyWriteExecute: {call}"));
        }
        // glibc asks the kernel by netlink which families there are, and takes a refusal for "all of them".
        if name == "socket" && !FAMILIES.iter().any(|family| call.starts_with(family)) && !call.contains("AF_NETLINK") {
            found.insert(format!("RestrictAddressFamilies: {call}"));
        }
        let writes = ["O_WRONLY", "O_RDWR", "O_CREAT"].iter().any(|flag| call.contains(flag));
        let path = call.split('"').nth(1).unwrap_or_default();
        if name == "openat" && writes && !path.starts_with("/dev/") && !Path::new(path).starts_with(writable) {
            found.insert(format!("ProtectSystem: {call}"));
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_daemons_do_nothing_that_their_units_forbid() {
    let Some(sets) = sets() else { return };
    if output("strace", &["--version"]).is_none() {
        return;
    }
    let mut stack = Stack::start(Version::From16).await;
    let at = |name: &str| stack.room.path(name);
    let (plane_trace, agent_trace) = (at("plane.trace"), at("agent.trace"));
    let (plane_config, agent_config) = (at("control-plane.toml"), at("agent-a.toml"));
    let logs = (at("plane-traced.log"), at("agent-traced.log"));
    stack.agent().stop().await;
    stack.plane.process.stop().await;
    hand_over(&stack.room, "agent-a.toml");
    let config = |path: &Path| path.to_str().unwrap().to_owned();
    stack.plane.process =
        traced("gk-control-plane", &["run", "--config", &config(&plane_config)], &plane_trace, logs.0);
    stack.plane.process.start();
    stack.plane.answers().await;
    *stack.agent() = traced("gk-agent", &["run", "--config", &config(&agent_config)], &agent_trace, logs.1);
    stack.agent().start();
    stack.agent_is_online("agent-a").await;
    let (id, _) = stack.session("app_read", "5m").await;
    stack.gk(&["session", "revoke", &id.to_string()]).await.ok();
    stack.agent().stop().await;
    stack.plane.process.stop().await;
    for (unit, trace) in units().iter().zip([agent_trace, plane_trace]) {
        let text = eventually(SOON, "the trace is written", async || {
            let text = std::fs::read_to_string(&trace).map_err(|error| error.to_string())?;
            if text.contains("exit_group") { Ok(text) } else { Err("it has no end".to_owned()) }
        })
        .await;
        assert!(text.lines().count() > 1000, "{} is hardly a trace", trace.display());
        let found = forbidden(&text, &allowed(&sets, unit), &stack.room.path(""));
        assert!(found.is_empty(), "{}: {found:#?}", unit.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_crashes_leaves_no_core_with_secrets_in_it() {
    let mut stack = Stack::start(Version::From16).await;
    stack.session("app_read", "5m").await;
    for crashed in [0, 1] {
        let daemon = if crashed == 0 { stack.agent() } else { &mut stack.plane.process };
        let pid = daemon.pid();
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", pid.as_raw_nonzero())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
        let status = eventually(SOON, "it has crashed", async || {
            // The first one that comes from outside only ends the runtime's own handler for it.
            let _ = kill_process(pid, Signal::SEGV);
            daemon.ended().ok_or("it runs".to_owned())
        })
        .await;
        assert_eq!((status.signal(), status.core_dumped()), (Some(11), false));
    }
    let left: Vec<_> =
        std::fs::read_dir(stack.room.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("core")), "{left:?}");
}
