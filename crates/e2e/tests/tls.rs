//! All of it over TLS, with an agent that shows a certificate: as docs/tls.md says.

use std::time::Duration;

use gk_e2e::{DATABASE, Daemon, SOON, Stack, TARGET, Version, eventually, free_port, program};

const CERTIFICATE: &str = include_str!("../../agent/tests/agent/tls/certificate.pem");
const KEY: &str = include_str!("../../agent/tests/agent/tls/key.pem");

/// Turns TLS on as an admin would: files, settings, a restart.
async fn secure(stack: &mut Stack) {
    let room = &mut stack.room;
    let (certificate, key) = (room.write("tls.pem", CERTIFICATE), room.secret("tls.key", KEY));
    room.run("gk-control-plane", &["agent-ca", "--out", "."]).await.ok();
    let settings = room.read("control-plane.toml");
    let tls = format!(
        "[tls]\ncert_file = {certificate:?}\nkey_file = {key:?}\nagent_ca_file = {:?}\nagent_ca_key_file = {:?}\n\
         agent_cert_ttl = \"12s\"\n",
        room.path("agent-ca.pem"),
        room.path("agent-ca.key"),
    );
    room.write("control-plane.toml", &format!("{settings}{tls}"));
    room.set("GK_ADDRESS", &stack.plane.url().replace("http:", "https:"));
    room.set("GK_CA_FILE", &certificate.to_string_lossy());
    stack.plane.process.stop().await;
    stack.plane.process.start();
    eventually(SOON, "the control plane speaks TLS", async || {
        let ran = stack.gk_admin(&["status"]).await;
        if ran.code == 0 { Ok(()) } else { Err(ran.stderr) }
    })
    .await;
    stack.room.run("gk-control-plane", &["healthcheck", "--config", "control-plane.toml"]).await.ok();
}

/// An agent that is enrolled for a certificate, as docs/tls.md says.
async fn certified_agent(stack: &Stack) -> Daemon {
    stack
        .gk_admin(&["agent", "enroll", "agent-c", "--target", TARGET, "--certificate", "--out", "once.token"])
        .await
        .ok();
    let text = format!(
        "control_plane = \"{}\"\nca_file = \"tls.pem\"\nidentity_file = \"identity.pem\"\nlisten = \"127.0.0.1:{}\"\n\
         poll_interval_ms = 100\n[[target]]\nname = \"{TARGET}\"\nport = {}\ndatabase = \"{DATABASE}\"\n\
         password_file = \"agent-db.password\"\n",
        stack.plane.url().replace("http:", "https:"),
        free_port(),
        stack.target.port(),
    );
    let config = stack.room.write("agent-c.toml", &text).to_string_lossy().into_owned();
    let not_yet = stack.room.run("gk-agent", &["run", "--config", &config]).await;
    assert!(not_yet.code != 0 && not_yet.stderr.contains("gk-agent enroll"), "{}", not_yet.stderr);
    let enroll = ["enroll", "--config", &config, "--token-file", "once.token"];
    stack.room.run("gk-agent", &enroll).await.ok();
    let again = stack.room.run("gk-agent", &enroll).await;
    assert_eq!(again.code, 4, "a one-time token works once: {}", again.stderr);
    let agent =
        Daemon::new("agent-c", &program("gk-agent"), &["run", "--config", &config], stack.room.path("agent-c.log"));
    let mut agent = agent.env("GK_LOG", "debug");
    agent.start();
    agent
}

async fn session_works(stack: &Stack) {
    let (_, dsn) = stack.session("app_read", "5m").await;
    stack.run("psql", &[&dsn, "-X", "-c", "select count(*) from orders"]).await.ok();
}

async fn online(stack: &Stack, wanted: bool) {
    eventually(SOON + SOON, "the agent is as it should be", async || {
        let seen = stack.gk_admin(&["agent", "list", "--json"]).await.ok().json();
        let online = seen["agents"][0]["online"] == true;
        let target = stack.gk_admin(&["target", "show", TARGET, "--json"]).await;
        let shown: serde_json::Value = serde_json::from_str(&target.stdout).unwrap_or_default();
        // Told in the same breath, and taken in one after the other.
        let packs = stack.gk_admin(&["role", "list", "--json"]).await.stdout.contains("app_read");
        let reachable = shown["reachable"] == true && packs;
        if online == wanted && (reachable || !wanted) { Ok(()) } else { Err(format!("{seen} {}", target.stdout)) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_gets_its_certificate_renews_it_and_loses_it() {
    let mut stack = Stack::with(Version::From16).without_agent().await;
    secure(&mut stack).await;
    let agent = certified_agent(&stack).await;
    online(&stack, true).await;
    session_works(&stack).await;
    let first = stack.room.read("identity.pem");
    eventually(SOON, "the certificate is renewed long before its end", async || {
        if stack.room.read("identity.pem") == first { Err("it is the first one") } else { Ok(()) }
    })
    .await;
    // Beyond the end of the first one.
    tokio::time::sleep(Duration::from_secs(12)).await;
    session_works(&stack).await;
    stack.room.run("gk-agent", &["doctor", "--config", "agent-c.toml"]).await.ok();
    stack.gk_admin(&["agent", "revoke", "agent-c"]).await.ok();
    let found = stack.room.run("gk-agent", &["doctor", "--config", "agent-c.toml"]).await;
    assert!(found.code == 10 && found.stdout.contains("token_invalid"), "{}", found.stdout);
    assert!(!stack.room.read("agent-c.log").contains("PRIVATE KEY"));
    drop(agent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_trust_no_certificate_that_nobody_vouches_for_and_send_no_token_in_plain_text() {
    let mut stack = Stack::with(Version::From16).without_agent().await;
    secure(&mut stack).await;
    stack.room.set("GK_CA_FILE", "");
    let refused = stack.gk(&["session", "list"]).await;
    assert!(refused.code == 9 && refused.stderr.contains("tls_untrusted"), "{}", refused.stderr);
    stack.room.set("GK_ADDRESS", &stack.plane.url());
    let plain = stack.gk(&["session", "list"]).await;
    assert!(plain.code != 0, "the port speaks TLS: {}", plain.stdout);
    stack.room.set("GK_ADDRESS", "http://192.0.2.1:4000");
    let insecure = stack.gk(&["session", "list"]).await;
    assert!(insecure.code == 2 && insecure.stderr.contains("insecure_url"), "{}", insecure.stderr);
}
