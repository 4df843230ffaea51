//! The system under measurement: a whole stack as in production, with as many callers as the scenario needs.

use gk_cli::client::Client;
use gk_e2e::{DATABASE, Daemon, Stack, TARGET, Version};
use gk_shared::secret::BearerToken;

use crate::process::Watched;

/// Sessions that a target may hold while it is measured. A new target starts with 200.
const MOST_LIVE: i32 = 5000;
/// Signs the audit log, as in production; any key costs the same.
const SEED: [u8; 32] = [7; 32];
/// What the settings file of the first agent is called.
const AGENT: &str = "agent-a";

/// How a lab is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LabOptions {
    /// The target's line of Postgres versions, and the ledger's.
    pub(crate) version: Version,
    /// Callers with a token each.
    pub(crate) callers: usize,
    /// A SCRAM verifier of the target takes one iteration instead of 4096.
    pub(crate) low_iterations: bool,
}

impl LabOptions {
    /// On the newer line, at 4096 iterations.
    pub(crate) fn with_callers(callers: usize) -> Self {
        Self { version: Version::From16, callers, low_iterations: false }
    }
}

/// A stack that runs, its callers, and an eye on the target.
pub(crate) struct Lab {
    pub(crate) stack: Stack,
    pub(crate) clients: Vec<Client>,
    /// The target's superuser.
    pub(crate) observer: tokio_postgres::Client,
}

impl Lab {
    pub(crate) async fn start(options: LabOptions) -> Self {
        let settings = Stack::with(options.version).as_in_production().signing(SEED);
        let settings = settings.target_setting("shared_buffers", "128MB").ledger_setting("shared_buffers", "128MB");
        let settings = settings.target_setting("max_connections", "200");
        let mut stack = settings.start().await;
        let observer = stack.target.superuser(DATABASE).await;
        let limits = format!(
            "-- bench::limits\nUPDATE gk.pack SET max_live = {MOST_LIVE}, conn_limit = 20, max_ttl = interval '4 hours'"
        );
        observer.batch_execute(&limits).await.expect("the superuser may set a pack's limits");
        if options.low_iterations {
            observer
                .batch_execute(
                    "-- bench::low_iterations\nUPDATE gk.setting SET value = 1 WHERE name = 'min_iterations'",
                )
                .await
                .expect("the superuser may change a setting");
            change_agent(&mut stack, |text| format!("{text}scram_iterations = 1\n")).await;
        }
        let clients = callers(&stack, &stack.plane.url(), options.callers).await;
        let lab = Self { stack, clients, observer };
        // What is paid once (connections, caches, plans) is not what is measured.
        crate::ours::create_round(&lab.clients, TARGET, 3).await;
        crate::ours::end_all(&lab).await;
        lab
    }

    /// What uses the processor when a session is made, and the callers themselves.
    pub(crate) fn watched(&self) -> Vec<Watched> {
        let agents = self.stack.agents.iter().map(|agent| watched("agent", agent));
        let mut all = vec![watched("control plane", &self.stack.plane.process)];
        all.extend(agents);
        all.extend([
            server("ledger", &self.stack.plane.ledger),
            server("target", &self.stack.target),
            callers_themselves(),
        ]);
        all
    }
}

/// Stops the first agent, changes its settings, and waits until it serves again.
async fn change_agent(stack: &mut Stack, change: impl Fn(String) -> String) {
    stack.agent().stop().await;
    let file = format!("{AGENT}.toml");
    let text = change(stack.room.read(&file));
    stack.room.write(&file, &text);
    stack.agent().start();
    stack.agent_is_online(AGENT).await;
}

/// As many callers of the control plane at `url`, each with a token of its own.
pub(crate) async fn callers(stack: &Stack, url: &str, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    let port = url.rsplit(':').next().unwrap_or_default();
    for n in 0..count {
        let name = format!("bench-{port}-{n}");
        let person = stack.plane.person(&stack.room, &name, &["requester"]).await;
        clients.push(caller(url, &person.token));
    }
    clients
}

/// A caller with this token.
pub(crate) fn caller(url: &str, token: &str) -> Client {
    let token = BearerToken::parse(token).expect("a fresh token is well formed");
    let address = url.parse().expect("an address of the loopback interface");
    Client::new(address, Some(token)).expect("a client can be made")
}

/// A program of one process.
pub(crate) fn watched(name: &'static str, daemon: &Daemon) -> Watched {
    Watched { name, pid: daemon.pid().as_raw_nonzero().get() }
}

/// A Postgres server with its backends.
pub(crate) fn server(name: &'static str, pg: &gk_e2e::TestPg) -> Watched {
    Watched { name, pid: pg.pid().expect("the server runs").as_raw_nonzero().get() }
}

/// This process, in which all callers are.
fn callers_themselves() -> Watched {
    Watched { name: "callers", pid: crate::process::this() }
}
