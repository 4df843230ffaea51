//! All of it over TLS, with an agent that shows a certificate: as docs/tls.md says.
//!
//! Always holds: commands and settings are taken from the page. Only names of places differ: the page's host, port,
//! directories and target are those of the room here.

use std::path::Path;
use std::time::Duration;

use gk_e2e::{DATABASE, Daemon, Room, SOON, Stack, TARGET, Version, eventually, free_port, program};

/// The page, with the places of a room in it.
struct Page(String);

impl Page {
    fn of(room: &Room, port: u16) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/tls.md");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let dir = room.path("").to_string_lossy().trim_end_matches('/').to_owned();
        let encoded = dir.replace('/', "%2F");
        let places = [
            ("/etc/gatekeeper/secrets", dir.as_str()),
            ("/etc/gatekeeper", &dir),
            ("/var/lib/gk-agent", &dir),
            ("%2Fetc%2Fgatekeeper", &encoded),
            ("gk.example.com:4000", &format!("localhost:{port}")),
            ("gk.example.com", "localhost"),
            ("--target app-db", &format!("--target {TARGET}")),
        ];
        Self(places.iter().fold(text, |text, (from, to)| {
            assert!(text.contains(from), "the page has no {from}");
            text.replace(from, to)
        }))
    }

    /// The commands that begin so, in their order.
    fn commands(&self, head: &str) -> Vec<&str> {
        let commands = self.0.lines().filter_map(|line| line.strip_prefix("    "));
        let found: Vec<&str> = commands.filter(|command| command.starts_with(head)).collect();
        assert!(!found.is_empty(), "the page has no command {head}");
        found
    }

    /// The only command that begins so, without its comment.
    fn command(&self, head: &str) -> &str {
        let found = self.commands(head);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].split("  #").next().unwrap_or_default()
    }

    /// The settings of the control plane, from `[tls]` on.
    fn settings(&self) -> String {
        let blocks = self.0.split("```toml\n# control-plane.toml").skip(1).filter_map(|rest| rest.split("```").next());
        let settings: String =
            blocks.flat_map(str::lines).filter(|line| line.contains(" = ")).map(|line| format!("{line}\n")).collect();
        assert_eq!(settings.matches(" = ").count(), 5, "{settings}");
        let kept = settings.lines().filter(|line| !line.starts_with("listen")).map(|line| format!("{line}\n"));
        format!("[tls]\n{}", kept.collect::<String>())
    }

    /// A setting of the agent, as the text around the commands names it.
    fn agents(&self, key: &str) -> &str {
        let found = self.0.match_indices(&format!("{key} = \"")).find(|(at, _)| !self.0[..*at].ends_with('_'));
        let begin = found.unwrap_or_else(|| panic!("the page does not name {key}")).0;
        let end = self.0[begin..].match_indices('"').nth(1).expect("a value ends").0;
        &self.0[begin..=begin + end]
    }
}

/// Turns TLS on as an admin would: files, settings, a restart.
async fn secure(stack: &mut Stack) -> Page {
    let page = Page::of(&stack.room, stack.plane.port());
    let room = &mut stack.room;
    for command in page.commands("openssl ") {
        room.sh(command).await.ok();
    }
    room.sh(page.command("gk-control-plane agent-ca")).await.ok();
    let settings = room.read("control-plane.toml");
    room.write("control-plane.toml", &format!("{settings}{}agent_cert_ttl = \"12s\"\n", page.settings()));
    room.set("GK_ADDRESS", &format!("https://localhost:{}", stack.plane.port()));
    room.set("GK_CA_FILE", &room.path("gk-ca.pem").to_string_lossy());
    stack.plane.process.stop().await;
    stack.plane.process.start();
    eventually(SOON, "the control plane speaks TLS", async || {
        let ran = stack.gk_admin(&["status"]).await;
        if ran.code == 0 { Ok(()) } else { Err(ran.stderr) }
    })
    .await;
    stack.room.run("gk-control-plane", &["healthcheck", "--config", "control-plane.toml"]).await.ok();
    page
}

/// An agent that is enrolled for a certificate, as docs/tls.md says.
async fn certified_agent(stack: &Stack, page: &Page) -> Daemon {
    let as_admin = format!("export GK_TOKEN_FILE={}", stack.plane.admin.token_file.display());
    stack.room.sh(&format!("{as_admin}; {}", page.command("gk agent enroll"))).await.ok();
    let text = format!(
        "control_plane = \"https://localhost:{}\"\n{}\n{}\nlisten = \"127.0.0.1:{}\"\n\
         poll_interval_ms = 100\n[[target]]\nname = \"{TARGET}\"\nport = {}\ndatabase = \"{DATABASE}\"\n\
         password_file = \"agent-db.password\"\n",
        stack.plane.port(),
        page.agents("ca_file"),
        page.agents("identity_file"),
        free_port(),
        stack.target.port(),
    );
    let config = stack.room.write("agent.toml", &text).to_string_lossy().into_owned();
    let not_yet = stack.room.run("gk-agent", &["run", "--config", &config]).await;
    assert!(not_yet.code != 0 && not_yet.stderr.contains("gk-agent enroll"), "{}", not_yet.stderr);
    // On the page it stands where it is looked for.
    let enroll = format!("{} --config {config}", page.command("gk-agent enroll"));
    stack.room.sh(&enroll).await.ok();
    let again = stack.room.sh(&enroll).await;
    assert_eq!(again.code, 4, "a one-time token works once: {}", again.stderr);
    let agent =
        Daemon::new("app-db-1", &program("gk-agent"), &["run", "--config", &config], stack.room.path("agent.log"));
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
    let page = secure(&mut stack).await;
    let agent = certified_agent(&stack, &page).await;
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
    stack.room.run("gk-agent", &["doctor", "--config", "agent.toml"]).await.ok();
    stack.gk_admin(&["agent", "revoke", "app-db-1"]).await.ok();
    let found = stack.room.run("gk-agent", &["doctor", "--config", "agent.toml"]).await;
    assert!(found.code == 10 && found.stdout.contains("token_invalid"), "{}", found.stdout);
    assert!(!stack.room.read("agent.log").contains("PRIVATE KEY"));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_log_in_to_an_authority_of_their_own_as_the_page_says() {
    let mut stack = Stack::with(Version::From16).without_agent().await;
    let page = secure(&mut stack).await;
    let login = page.command("gk login").replace("< FILE", &format!("< {}", stack.plane.admin.token_file.display()));
    // Only what the login kept tells where the control plane is, and whom to trust.
    let bare = "unset GK_ADDRESS GK_CA_FILE GK_TOKEN_FILE";
    stack.room.sh(&format!("{bare}; {login}")).await.ok();
    let status = stack.room.sh(&format!("{bare}; gk status")).await.ok();
    assert!(!status.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledgers_connection_string_of_the_page_is_one_that_is_checked_to_the_end() {
    let mut stack = Stack::with(Version::From16).without_agent().await;
    let page = secure(&mut stack).await;
    let url = page
        .command("postgresql://")
        .replace("ledger.internal:5432", &format!("localhost:{}", stack.plane.ledger.port()));
    stack.room.write("ledger-ca.pem", &stack.room.read("gk-ca.pem"));
    let file = stack.room.secret("ledger-url", url.trim()).to_string_lossy().into_owned();
    // No TLS is spoken there: a client that insists on it goes away, instead of going on without.
    let refused = stack.room.run("gk-control-plane", &["migrate", "--ledger-url-file", &file]).await;
    assert!(refused.code != 0 && refused.stderr.contains("TLS"), "{}", refused.stderr);
}
