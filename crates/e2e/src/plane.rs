//! A control plane as a process, with a ledger of its own.

use crate::SOON;
use crate::api::{Api, url_of};
use crate::books::Books;
use crate::daemon::Daemon;
use crate::room::{Person, Room, program};
use gk_shared::audit::note::SigningKey;
use gk_testkit::{TestPg, TestPgOptions, Version, eventually};
use rand::RngExt as _;
use serde_json::json;
use std::net::TcpListener;

/// Database of the ledger, and the login that owns it.
const LEDGER: &str = "ledger";
const OWNER: &str = "gatekeeper";

/// How a control plane is set up.
#[derive(Debug, Clone)]
pub struct PlaneOptions {
    /// The ledger's server.
    pub ledger: TestPgOptions,
    /// The policy.
    pub policy: String,
    /// What its programs log.
    pub log: &'static str,
    /// Seed of the key that signs the audit log.
    pub signing: Option<[u8; 32]>,
    /// Another port by which the ledger is reached, such as a proxy's, than its own.
    pub ledger_through: Option<u16>,
    /// What its settings say besides, such as sinks of the audit log.
    pub more: String,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
}

impl PlaneOptions {
    /// A ledger on this line of versions, and these rules.
    #[must_use]
    pub fn new(version: Version, policy: &str) -> Self {
        Self {
            ledger: TestPg::with(version),
            policy: policy.to_owned(),
            log: "debug",
            signing: None,
            ledger_through: None,
            more: String::new(),
            env: Vec::new(),
        }
    }

    /// Signs the audit log with the key of this seed.
    #[must_use]
    pub fn signing(self, seed: [u8; 32]) -> Self {
        Self { signing: Some(seed), ..self }
    }
}

/// A control plane that runs, and its ledger.
#[derive(Debug)]
pub struct Plane {
    /// The process. Before the ledger, so that it ends first.
    pub process: Daemon,
    /// The ledger's server.
    pub ledger: TestPg,
    /// An admin.
    pub admin: Person,
    port: u16,
}

impl Plane {
    /// Makes the ledger, an admin's token, and starts the process.
    pub async fn start(room: &Room, options: PlaneOptions) -> Self {
        let ledger = options.ledger.clone().start().await;
        let port = free_port();
        let config = settings(room, &ledger, port, &options).await;
        let run = |args: &[&'static str]| {
            let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).chain(config.clone()).collect();
            async move { room.run("gk-control-plane", &args.iter().map(String::as_str).collect::<Vec<_>>()).await }
        };
        run(&["migrate"]).await.ok();
        run(&["admin-token", "--name", "root-admin", "--out", "admin.token"]).await.ok();
        let admin = room.person("root-admin", room.read("admin.token").trim());
        let mut args = vec!["run"];
        args.extend(config.iter().map(String::as_str));
        let process = Daemon::new("gk-control-plane", &program("gk-control-plane"), &args, room.path("plane.log"));
        let process = options.env.iter().fold(process, |process, (name, value)| process.env(name, value));
        let mut plane = Self { process, ledger, admin, port };
        plane.process.start();
        plane.answers().await;
        plane
    }

    /// Waits until it can serve.
    pub async fn answers(&mut self) {
        let api = self.as_admin();
        let ended = || self.process.ended().map(|status| format!("it has ended: {status}"));
        let mut ended = ended;
        eventually(SOON, "the control plane can serve", async || {
            assert_eq!(ended(), None, "the control plane does not start");
            match api.get("/readyz").await {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(format!("{} {}", answer.status, answer.body)),
                Err(error) => Err(error.to_string()),
            }
        })
        .await;
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        url_of(self.port)
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its API, called by the admin.
    #[must_use]
    pub fn as_admin(&self) -> Api {
        Api::new(&self.url(), &self.admin.token)
    }

    /// Its API, called by somebody.
    #[must_use]
    pub fn as_person(&self, person: &Person) -> Api {
        Api::new(&self.url(), &person.token)
    }

    /// Somebody new with a token of these scopes, a member of the group `dev`.
    pub async fn person(&self, room: &Room, name: &str, scopes: &[&str]) -> Person {
        let body = json!({ "actor": name, "scopes": scopes, "groups": ["dev"], "ttlSeconds": 3600 });
        let made = self.as_admin().post("/v1/tokens", &body).await.expect("it answers").is(201);
        room.person(name, made["token"].as_str().expect("a token is shown once"))
    }

    /// A token file for a new agent of this target.
    pub async fn enroll(&self, room: &Room, name: &str, target: &str) -> Person {
        let body = json!({ "name": name, "targets": [target] });
        let made = self.as_admin().post("/v1/agents", &body).await.expect("it answers").is(201);
        room.person(name, made["token"].as_str().expect("a token is shown once"))
    }

    /// What the ledger holds.
    pub async fn books(&self) -> Books {
        Books::of(&self.ledger, LEDGER).await
    }

    /// The ledger's database.
    #[must_use]
    pub fn database(&self) -> &'static str {
        LEDGER
    }
}

/// The settings file, and the flags that name it.
async fn settings(room: &Room, ledger: &TestPg, port: u16, options: &PlaneOptions) -> Vec<String> {
    let password: String = rand::rng().sample_iter(rand::distr::Alphanumeric).take(24).map(char::from).collect();
    let superuser = ledger.superuser("postgres").await;
    // A plain owner: the ledger needs no superuser, and no right to make roles.
    let made = superuser.batch_execute(&format!("CREATE ROLE {OWNER} LOGIN PASSWORD '{password}'")).await;
    made.expect("the role is new");
    superuser.batch_execute(&format!("CREATE DATABASE {LEDGER} OWNER {OWNER}")).await.expect("the database is new");
    let (policy, password) = (room.write("policy.toml", &options.policy), room.secret("ledger.password", &password));
    let audit = options.signing.map(|seed| audit_settings(room, seed)).unwrap_or_default();
    let text = format!(
        "listen = \"127.0.0.1:{port}\"\npolicy_file = {policy:?}\n\
         [ledger]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{OWNER}\"\ndatabase = \"{LEDGER}\"\npassword_file = {password:?}\n\
         [limits]\nrequests_per_second = 1000\nburst = 1000\nrefusals_per_minute = 10000\n\
         [log]\nfilter = \"{}\"\n{audit}{}",
        options.ledger_through.unwrap_or(ledger.port()),
        options.log,
        options.more
    );
    let file = room.write("control-plane.toml", &text);
    vec!["--config".to_owned(), file.to_string_lossy().into_owned()]
}

/// The key of the audit log, and where what it signed is kept besides the ledger.
fn audit_settings(room: &Room, seed: [u8; 32]) -> String {
    let key = room.secret("audit.key", SigningKey::from_seed(seed.into()).to_text().expose());
    format!("[audit]\nsigning_key_file = {key:?}\ncheckpoint_file = {:?}\n", room.path("checkpoints.ndjson"))
}

/// A port that is free now, below those that the system gives to connections: nobody takes it while its owner restarts.
pub fn free_port() -> u16 {
    let mut random = rand::rng();
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (0..1000).map(|_| random.random_range(20_000..32_000)).find(free).expect("one of a thousand ports is free")
}
