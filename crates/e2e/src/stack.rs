//! Ledger, control plane, target and agent: all there is, running.

use crate::SOON;
use crate::api::url_of;
use crate::books::Books;
use crate::catalog::Catalog;
use crate::daemon::Daemon;
use crate::plane::{Plane, PlaneOptions, free_port};
use crate::ran::Ran;
use crate::room::{Person, Room, finish, program};
use gk_shared::ids::SessionId;
use gk_testkit::{TestPg, TestPgOptions, Version, eventually};

/// The target's name in the control plane.
pub const TARGET: &str = "pg-local";
/// Its database.
pub const DATABASE: &str = "app";
/// Who owns it: may make roles, is no superuser.
const DBA: &str = "dba";
const DBA_PASSWORD: &str = "the-dbas-own-password";

const POLICY: &str = r#"
[[rule]]
name = "dev"
who = ["group:dev"]
targets = ["pg-local"]
roles = ["app_read", "app_write"]
max_ttl = "4h"
reason = "required"
"#;

/// What the DBA has in the database before Gatekeeper comes.
const DATA: &str = "
    CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, note text NOT NULL);
    INSERT INTO orders SELECT g, g % 10, 'order ' || g FROM generate_series(1, 1000) g;";

/// How a stack is set up.
#[derive(Debug, Clone)]
pub struct StackOptions {
    target: TestPgOptions,
    plane: PlaneOptions,
}

impl StackOptions {
    /// Adds a setting of the target's server.
    #[must_use]
    pub fn target_setting(self, name: &str, value: &str) -> Self {
        Self { target: self.target.setting(name, value), ..self }
    }

    /// Adds a setting of the ledger's server.
    #[must_use]
    pub fn ledger_setting(self, name: &str, value: &str) -> Self {
        Self { plane: PlaneOptions { ledger: self.plane.ledger.setting(name, value), ..self.plane }, ..self }
    }

    /// Adds a variable to the environment of the target's server.
    #[must_use]
    pub fn target_env(self, name: &str, value: &str) -> Self {
        Self { target: self.target.env(name, value), ..self }
    }

    /// Adds a variable to the environment of the control plane.
    #[must_use]
    pub fn plane_env(mut self, name: &str, value: &str) -> Self {
        self.plane.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The ledger listens on the first port, and the control plane reaches it by the second, such as a proxy's.
    #[must_use]
    pub fn ledger_between(self, own: u16, through: u16) -> Self {
        let ledger = self.plane.ledger.on_port(own);
        Self { plane: PlaneOptions { ledger, ledger_through: Some(through), ..self.plane }, ..self }
    }

    /// What the programs log.
    #[must_use]
    pub fn log(self, filter: &'static str) -> Self {
        Self { plane: PlaneOptions { log: filter, ..self.plane }, ..self }
    }

    /// The ledger's commits reach the disk, as in production: for tests that kill its server.
    #[must_use]
    pub fn durable_ledger(self) -> Self {
        Self { plane: PlaneOptions { ledger: self.plane.ledger.durable(), ..self.plane }, ..self }
    }

    /// The audit log is signed with the key of this seed.
    #[must_use]
    pub fn signing(self, seed: [u8; 32]) -> Self {
        Self { plane: self.plane.signing(seed), ..self }
    }

    /// All commits reach the disk and little is logged, as in production: for measurements.
    #[must_use]
    pub fn as_in_production(self) -> Self {
        let plane = PlaneOptions { log: "warn", ..self.plane };
        Self { target: self.target.durable(), plane }.durable_ledger()
    }

    /// Starts all of it, with one agent.
    pub async fn start(self) -> Stack {
        let mut stack = self.without_agent().await;
        stack.add_agent("agent-a", AgentOptions::default()).await;
        stack
    }

    /// Starts all of it but an agent.
    pub async fn without_agent(self) -> Stack {
        let target = self.target.start().await;
        let psql = target.psql();
        let mut room = Room::new(psql.parent().expect("a program lies in a directory"));
        let agent_password = room.secret("agent-db.password", "the-agents-own-password\n");
        make_database(&target).await;
        bootstrap(&room, &target.dsn(DBA, DBA_PASSWORD, DATABASE), &agent_password.to_string_lossy()).await;
        let log = self.plane.log;
        let plane = Plane::start(&room, self.plane).await;
        let dana = plane.person(&room, "dana", &["requester"]).await;
        room.set("GK_ADDRESS", &plane.url());
        room.set("GK_TOKEN_FILE", &dana.token_file.to_string_lossy());
        Stack { agents: Vec::new(), plane, target, standbys: Vec::new(), dana, room, log }
    }
}

async fn make_database(target: &TestPg) {
    let superuser = target.superuser("postgres").await;
    let role = format!("CREATE ROLE {DBA} LOGIN CREATEROLE PASSWORD '{DBA_PASSWORD}'");
    superuser.batch_execute(&role).await.expect("the role is new");
    superuser.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {DBA}")).await.expect("the database is new");
    let dba = target.connect(DBA, DBA_PASSWORD, DATABASE).await.expect("the DBA may log in");
    dba.batch_execute(DATA).await.expect("the tables are new");
}

/// Installs the helpers as the documentation says: one program prints, `psql` runs.
pub async fn bootstrap(room: &Room, dba_dsn: &str, agent_password_file: &str) {
    let script = format!(
        "set -e; gk-agent bootstrap --print --agent-password-file '{agent_password_file}' > bootstrap.sql\n\
         psql '{dba_dsn}' -X -q -f bootstrap.sql"
    );
    room.sh(&script).await.ok();
}

/// How an agent reaches its target.
#[derive(Debug, Clone, Default)]
pub struct AgentOptions {
    /// Another port than the target's own, such as a proxy's. Requesters are told the target's.
    pub through_port: Option<u16>,
    /// Another port than the control plane's own, such as a proxy's.
    pub plane_port: Option<u16>,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
}

/// All there is, running. Dropping it ends all of it, the agents first.
#[derive(Debug)]
pub struct Stack {
    /// The agents, in the order in which they were added.
    pub agents: Vec<Daemon>,
    /// Control plane and ledger.
    pub plane: Plane,
    /// The target's server.
    pub target: TestPg,
    /// Its hot standbys, which every agent knows that was added after them.
    pub standbys: Vec<TestPg>,
    /// Somebody who may have sessions.
    pub dana: Person,
    /// Where everything lies.
    pub room: Room,
    log: &'static str,
}

impl Stack {
    /// All of it, with a target on this line of versions.
    pub async fn start(version: Version) -> Self {
        Self::with(version).start().await
    }

    /// The same with settings of your own.
    #[must_use]
    pub fn with(version: Version) -> StackOptions {
        StackOptions { target: TestPg::with(version), plane: PlaneOptions::new(version, POLICY) }
    }

    /// Gives the target one more standby.
    pub async fn add_standby(&mut self) {
        self.standbys.push(self.target.standby().await);
    }

    /// The same login on the target's first standby.
    ///
    /// # Panics
    /// It has none.
    #[must_use]
    pub fn on_standby(&self, dsn: &str) -> String {
        let standby = self.standbys.first().expect("the stack was given a standby");
        dsn.replace(&format!(":{}/", self.target.port()), &format!(":{}/", standby.port()))
    }

    /// Enrols an agent, starts it, and waits until it has looked at its target.
    pub async fn add_agent(&mut self, name: &str, options: AgentOptions) {
        let port = self.target.port();
        let place = |standby: &TestPg| format!("{{ host = \"127.0.0.1\", port = {} }}", standby.port());
        let standbys: Vec<String> = self.standbys.iter().map(place).collect();
        let enrolled = self.plane.enroll(&self.room, name, TARGET).await;
        let text = format!(
            "control_plane = \"{}\"\ntoken_file = {:?}\nlisten = \"127.0.0.1:{}\"\npoll_interval_ms = 100\n\
             state_dir = {:?}\n\
             [[target]]\nname = \"{TARGET}\"\nhost = \"127.0.0.1\"\nport = {}\nadvertise_port = {port}\n\
             database = \"{DATABASE}\"\nuser = \"gk_agent\"\npassword_file = {:?}\n\
             standbys = [{}]\n",
            options.plane_port.map_or_else(|| self.plane.url(), url_of),
            enrolled.token_file,
            free_port(),
            self.room.path(&format!("{name}-state")),
            options.through_port.unwrap_or(port),
            self.room.path("agent-db.password"),
            standbys.join(", "),
        );
        let config = self.room.write(&format!("{name}.toml"), &text);
        let args = ["run", "--config", &config.to_string_lossy()];
        let log = self.room.path(&format!("{name}.log"));
        let agent = Daemon::new(name, &program("gk-agent"), &args, log).env("GK_LOG", self.log);
        let mut agent = options.env.iter().fold(agent, |agent, (name, value)| agent.env(name, value));
        agent.start();
        self.agents.push(agent);
        self.agent_is_online(name).await;
    }

    /// Waits until the control plane knows from this agent that its target answers.
    pub async fn agent_is_online(&self, name: &str) {
        let admin = self.plane.as_admin();
        eventually(SOON, "the agent is online and reaches its target", async || {
            let agents = admin.get("/v1/agents").await.map_err(|error| error.to_string())?.body;
            let target = admin.get(&format!("/v1/targets/{TARGET}")).await.map_err(|error| error.to_string())?.body;
            let packs = admin.get("/v1/packs").await.map_err(|error| error.to_string())?.body;
            let list = |body: &serde_json::Value, key: &str| body[key].as_array().cloned().unwrap_or_default();
            let online = list(&agents, "agents").iter().any(|agent| agent["name"] == name && agent["online"] == true);
            // Told in the same breath, and taken in one after the other.
            let usable = list(&packs, "packs").iter().any(|pack| list(pack, "targets").iter().any(|at| at == TARGET));
            if online && usable && target["reachable"] == true {
                Ok(())
            } else {
                Err(format!("{agents} {target} {packs}"))
            }
        })
        .await;
    }

    /// The first agent.
    ///
    /// # Panics
    /// There is none.
    pub fn agent(&mut self) -> &mut Daemon {
        self.agents.first_mut().expect("the stack was started with an agent")
    }

    /// Runs a program as somebody who may have sessions.
    pub async fn run(&self, program: &str, args: &[&str]) -> Ran {
        self.room.run(program, args).await
    }

    /// Runs `gk` as somebody who may have sessions.
    pub async fn gk(&self, args: &[&str]) -> Ran {
        self.run("gk", args).await
    }

    /// Runs `gk` as somebody else.
    pub async fn gk_as(&self, person: &Person, args: &[&str]) -> Ran {
        let mut command = self.room.command("gk");
        command.args(args).env("GK_TOKEN_FILE", &person.token_file);
        finish(&format!("gk {} (as {})", args.join(" "), person.name), command).await
    }

    /// Runs `gk` as the admin.
    pub async fn gk_admin(&self, args: &[&str]) -> Ran {
        self.gk_as(&self.plane.admin, args).await
    }

    /// A session of this role and length, with its connection string, as `gk` gives it.
    pub async fn session(&self, role: &str, ttl: &str) -> (SessionId, String) {
        let flags = ["--target", TARGET, "--role", role, "--ttl", ttl, "--reason", "test", "--json"];
        let made = self.gk(&[&["session", "create"], flags.as_slice()].concat()).await.ok().json();
        let id = made["sessionId"].as_str().and_then(|id| id.parse().ok()).expect("an answer has a session's id");
        (id, made["dsn"].as_str().expect("an answer has the connection string").to_owned())
    }

    /// The target's catalog.
    pub async fn catalog(&self) -> Catalog {
        Catalog::of(&self.target, DATABASE).await
    }

    /// The ledger.
    pub async fn books(&self) -> Books {
        self.plane.books().await
    }
}
