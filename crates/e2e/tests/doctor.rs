//! Every misconfiguration that the runbook names is found by a doctor, which says what to do about it.
//!
//! One system, broken and mended in one place after another. What is in the target itself (helpers, packs, rights) is
//! broken in `crates/agent/tests`.

use gk_e2e::{Ran, Stack, TARGET, Version};

/// Asserts that the run ended with this code and says all of this, and no secret.
#[track_caller]
fn finds(what: &str, ran: &Ran, code: i32, says: &[&str]) {
    let text = format!("{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.code, code, "{what}: {text}");
    for part in says {
        assert!(text.contains(part), "{what}: `{part}` is not in {text}");
    }
    assert!(!text.contains("gk_tok_"), "{what}: {text}");
}

/// Runs the agent's doctor on its settings with one line put in the place of another.
async fn agent_doctor(stack: &Stack, from: &str, to: &str) -> Ran {
    let good = stack.room.read("agent-a.toml");
    let line = good.lines().find(|line| line.starts_with(from)).unwrap_or_else(|| panic!("{from} is not in {good}"));
    let config = stack.room.write("broken.toml", &good.replace(line, to));
    stack.room.run("gk-agent", &["doctor", "--config", &config.to_string_lossy()]).await
}

/// One line of an agent's settings in the place of the one that starts like this, and what its doctor makes of it.
struct Broken {
    what: &'static str,
    line: &'static str,
    by: String,
    exit: i32,
    says: &'static [&'static str],
}

fn broken(what: &'static str, line: &'static str, by: &str, says: &'static [&'static str]) -> Broken {
    Broken { what, line, by: by.to_owned(), exit: 10, says }
}

/// The same for what is refused before anything is looked at.
fn refused(what: &'static str, line: &'static str, by: &str, says: &'static [&'static str]) -> Broken {
    Broken { exit: 2, ..broken(what, line, by, says) }
}

fn about_the_target(wrong: &str) -> Vec<Broken> {
    const ADDRESS: &str = "check host, port, database";
    let wrong = format!("password_file = \"{wrong}\"");
    vec![
        broken("password", "password_file", &wrong, &["password authentication failed", "password_file"]),
        broken("database", "database", "database = \"nowhere\"", &["nowhere", ADDRESS]),
        broken("a database that is no target", "database", "database = \"postgres\"", &["bootstrap --print"]),
        broken("port", "port", "port = 1", &["reachable", ADDRESS]),
        broken("user", "user", "user = \"nobody\"", &["nobody", ADDRESS]),
        broken("TLS that is not there", "user", "user = \"gk_agent\"\nsslmode = \"require\"", &["reachable", "TLS"]),
        broken(
            "a target's name",
            "name",
            "name = \"other\"",
            &["is not enrolled for other", "gk agent enroll agent-a"],
        ),
        broken("rounds", "user", "user = \"gk_agent\"\nscram_iterations = 1", &["scram_iterations", "min_iterations"]),
    ]
}

fn about_the_control_plane(wrong: &str, open: &str, stranger: &str) -> Vec<Broken> {
    let token = |file: &str| format!("token_file = \"{file}\"");
    let authority = format!("ca_file = \"{wrong}\"\n{}", token(stranger));
    let (nobody, elsewhere) = ("control_plane = \"http://127.0.0.1:1\"", "control_plane = \"http://192.0.2.1:4000\"");
    vec![
        broken("its address", "control_plane", nobody, &["control plane", "correct control_plane"]),
        refused("plain HTTP to elsewhere", "control_plane", elsewhere, &["insecure_url", "https://"]),
        broken("an unknown token", "token_file", &token(stranger), &["token_invalid"]),
        refused("a token that others can read", "token_file", &token(open), &["unsafe_config", "chmod 0600"]),
        broken("no certificate yet", "token_file", "identity_file = \"none.pem\"", &["gk-agent enroll"]),
        refused("no authority in its file", "token_file", &authority, &["ca_file", "no certificate"]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agents_doctor_finds_what_the_runbook_names() {
    let stack = Stack::start(Version::From16).await;
    let room = &stack.room;
    let sound = room.run("gk-agent", &["doctor", "--config", "agent-a.toml"]).await;
    finds("nothing is wrong", &sound, 0, &["reachable", "helpers_version", "token"]);
    let path = |file: std::path::PathBuf| file.to_string_lossy().into_owned();
    let wrong = path(room.secret("wrong.password", "wrong\n"));
    let open = path(room.write("open.token", &stack.plane.admin.token));
    let stranger = path(room.secret("stranger.token", &format!("gk_tok_{}\n", "A".repeat(43))));
    for one in about_the_target(&wrong).into_iter().chain(about_the_control_plane(&wrong, &open, &stranger)) {
        finds(one.what, &agent_doctor(&stack, one.line, &one.by).await, one.exit, one.says);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gks_doctor_finds_what_the_runbook_names() {
    let mut stack = Stack::start(Version::From16).await;
    finds("nothing is wrong", &stack.gk(&["doctor"]).await, 0, &["control plane", "clock", TARGET]);
    let good =
        [("GK_ADDRESS", stack.plane.url()), ("GK_TOKEN_FILE", stack.dana.token_file.to_string_lossy().into_owned())];
    let open = stack.room.write("open.token", &stack.dana.token).to_string_lossy().into_owned();
    let stranger = stack.room.secret("stranger.token", &format!("gk_tok_{}\n", "A".repeat(43)));
    let stranger = stranger.to_string_lossy().into_owned();
    let cases: [(&str, &str, &str, &[&str]); 6] = [
        ("no address", "GK_ADDRESS", "", &["no control plane is set"]),
        ("another port", "GK_ADDRESS", "http://127.0.0.1:1", &["does not answer"]),
        ("plain HTTP to elsewhere", "GK_ADDRESS", "http://192.0.2.1:4000", &["readable over the network"]),
        ("a token that others can read", "GK_TOKEN_FILE", &open, &["token"]),
        ("a token that is unknown", "GK_TOKEN_FILE", &stranger, &["control plane", "token"]),
        ("an authority's file that is missing", "GK_CA_FILE", "/nonexistent/ca.pem", &["/nonexistent/ca.pem"]),
    ];
    for (what, name, value, says) in cases {
        stack.room.set(name, value);
        finds(what, &stack.gk(&["doctor"]).await, 10, says);
        stack.room.set("GK_CA_FILE", "");
        good.iter().for_each(|(name, value)| stack.room.set(name, value));
    }
    stack.plane.process.stop().await;
    finds("the control plane is down", &stack.gk(&["doctor"]).await, 10, &["does not answer"]);
}
