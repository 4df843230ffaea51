//! Every misconfiguration that the runbook names is found by a doctor, which says what to do about it.
//!
//! One system, broken and mended in one place after another. What is in the target itself (helpers, packs, rights) is
//! broken in `crates/agent/tests`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_agents_doctor_finds_what_the_runbook_names() {
    let stack = Stack::start(Version::From16).await;
    let room = &stack.room;
    let sound = room.run("gk-agent", &["doctor", "--config", "agent-a.toml"]).await;
    finds("nothing is wrong", &sound, 0, &["reachable", "helpers_version", "token"]);
    let wrong = room.secret("wrong.password", "wrong\n");
    let open = room.write("open.token", &stack.plane.admin.token);
    let stranger = room.secret("stranger.token", &format!("gk_tok_{}\n", "A".repeat(43)));
    let cases: [(&str, &str, String, i32, &[&str]); 14] = [
        (
            "password",
            "password_file",
            format!("password_file = {wrong:?}"),
            10,
            &["password authentication failed", "password_file"],
        ),
        ("database", "database", "database = \"nowhere\"".to_owned(), 10, &["nowhere", "check host, port, database"]),
        ("a database that is no target", "database", "database = \"postgres\"".to_owned(), 10, &["bootstrap --print"]),
        ("port", "port", "port = 1".to_owned(), 10, &["reachable", "check host, port"]),
        ("user", "user", "user = \"nobody\"".to_owned(), 10, &["nobody", "check host, port"]),
        (
            "TLS where the server has none",
            "user",
            "user = \"gk_agent\"\nsslmode = \"require\"".to_owned(),
            10,
            &["reachable", "TLS"],
        ),
        (
            "a target's name",
            "name",
            "name = \"other\"".to_owned(),
            10,
            &["is not enrolled for other", "gk agent enroll agent-a"],
        ),
        (
            "rounds",
            "user",
            "user = \"gk_agent\"\nscram_iterations = 1".to_owned(),
            10,
            &["scram_iterations", "min_iterations"],
        ),
        (
            "the control plane's address",
            "control_plane",
            "control_plane = \"http://127.0.0.1:1\"".to_owned(),
            10,
            &["control plane", "correct control_plane"],
        ),
        (
            "plain HTTP to elsewhere",
            "control_plane",
            "control_plane = \"http://192.0.2.1:4000\"".to_owned(),
            2,
            &["insecure_url", "https://"],
        ),
        (
            "a token that is revoked or unknown",
            "token_file",
            format!("token_file = {stranger:?}"),
            10,
            &["token_invalid"],
        ),
        (
            "a token that others can read",
            "token_file",
            format!("token_file = {open:?}"),
            2,
            &["unsafe_config", "chmod 0600"],
        ),
        ("no certificate yet", "token_file", "identity_file = \"none.pem\"".to_owned(), 10, &["gk-agent enroll"]),
        (
            "an authority's file that is none",
            "token_file",
            format!("ca_file = {wrong:?}\ntoken_file = {stranger:?}"),
            2,
            &["ca_file", "no certificate"],
        ),
    ];
    for (what, from, to, code, says) in cases {
        finds(what, &agent_doctor(&stack, from, &to).await, code, says);
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
    let cases: [(&str, &str, &str, &[&str]); 6] = [
        ("no address", "GK_ADDRESS", "", &["no control plane is set"]),
        ("another port", "GK_ADDRESS", "http://127.0.0.1:1", &["does not answer"]),
        ("plain HTTP to elsewhere", "GK_ADDRESS", "http://192.0.2.1:4000", &["readable over the network"]),
        ("a token that others can read", "GK_TOKEN_FILE", &open, &["token"]),
        ("a token that is unknown", "GK_TOKEN_FILE", stranger.to_str().unwrap(), &["control plane", "token"]),
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
