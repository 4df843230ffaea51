//! A target with the helpers and some data, an agent that serves it, and the words in which the tests speak.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use gk_agent::AgentError;
use gk_agent::bootstrap::{BootstrapOptions, RolePack, packs, script};
use gk_agent::config::{AgentConfig, TargetConfig};
use gk_agent::provider::postgres::scram;
use gk_shared::ids::{JobId, SessionId};
use gk_shared::seal::RecipientSecret;
use gk_shared::secret::Password;
use gk_shared::session::EndReason;
use gk_shared::wire::job::{CreateSessionJob, Job, JobOutcome, Requester, RevokeSessionJob};
use gk_testkit::{TestPg, Version, eventually};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

use super::plane::{Plane, token};

/// Long enough for a busy machine, short enough to find out.
pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const AGENT_PASSWORD: &str = "the agent's own password";
pub(crate) const TARGET: &str = "pg-local";

/// A server with a bootstrapped database `app`.
pub(crate) async fn target(version: Version) -> TestPg {
    let pg = TestPg::start(version).await;
    prepare(&pg).await;
    pg
}

/// Puts the helpers and some data into a new database `app`.
pub(crate) async fn prepare(pg: &TestPg) {
    pg.create_database("app").await;
    let admin = pg.superuser("app").await;
    admin.batch_execute("CREATE TABLE orders AS SELECT g AS id FROM generate_series(1, 100) g").await.unwrap();
    let verifier = scram::verifier(&Password::from(AGENT_PASSWORD), [3; 16], 4096);
    let options =
        BootstrapOptions { agent_password_verifier: Some(verifier.parse().unwrap()), ..BootstrapOptions::default() };
    admin.batch_execute(&script(&options)).await.unwrap();
}

/// How the agent reaches it.
pub(crate) fn target_config(pg: &TestPg) -> TargetConfig {
    TargetConfig::new(TARGET.parse().unwrap(), "127.0.0.1", pg.port(), "app", Some(Password::from(AGENT_PASSWORD)))
}

/// An agent that runs in this process until it is stopped or this value ends.
pub(crate) struct Agent {
    stop: CancellationToken,
    task: JoinHandle<Result<(), AgentError>>,
}

impl Agent {
    pub(crate) fn start(plane: &Plane, targets: Vec<TargetConfig>) -> Self {
        Self::with(AgentConfig::new(plane.address.parse().unwrap(), token(), targets))
    }

    pub(crate) fn with(config: AgentConfig) -> Self {
        let stop = CancellationToken::new();
        let task = tokio::spawn(gk_agent::run(config, stop.clone()));
        Self { stop, task }
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        (&mut self.task).await.unwrap().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.stop.cancel();
        self.task.abort();
    }
}

/// A session and the one who asked for it.
pub(crate) struct Session {
    pub(crate) id: SessionId,
    recipient: RecipientSecret,
}

impl Session {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = SessionId::from_parts(1_700_000_000_000, [n; 10]);
        Self { id, recipient: RecipientSecret::generate(&mut rand::rng()) }
    }

    pub(crate) fn create(&self, ttl_seconds: u32) -> Job {
        let pack = pack("app_read");
        Job::CreateSession(CreateSessionJob {
            id: job_id(),
            correlation_id: format!("req_{}", &self.id.to_string()[5..]),
            session_id: self.id,
            target: TARGET.parse().unwrap(),
            role: pack.name.parse().unwrap(),
            pack_version: pack.version.to_owned(),
            pack_digest: pack.digest.clone(),
            ttl_seconds,
            max_connections: None,
            requester: Requester { user_id: "ada".to_owned(), email: Some("ada@example.com".to_owned()) },
            reason: None,
            recipient_public_key: self.recipient.public().to_string(),
        })
    }

    pub(crate) fn revoke(&self) -> Job {
        Job::RevokeSession(RevokeSessionJob {
            id: job_id(),
            correlation_id: format!("req_{}", &self.id.to_string()[5..]),
            session_id: self.id,
            target: TARGET.parse().unwrap(),
            reason: EndReason::Revoked,
        })
    }

    /// The DSN in a result, opened by the one who asked.
    pub(crate) fn dsn(&self, outcome: &JobOutcome) -> String {
        let JobOutcome::Minted { role_name, sealed_credential, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(role_name, self.id.role_name().as_str());
        let sealed = sealed_credential.parse().unwrap();
        self.recipient.open(&sealed, self.id, &TARGET.parse().unwrap()).unwrap().expose().to_owned()
    }

    /// Makes it and gives its DSN.
    pub(crate) async fn minted(&self, plane: &Plane, ttl_seconds: u32) -> String {
        let job = self.create(ttl_seconds);
        plane.queue(&job, 1);
        self.dsn(&plane.outcome(&job).await)
    }
}

/// A job on another target.
pub(crate) fn on_target(mut job: Job, target: &str) -> Job {
    let target = target.parse().unwrap();
    match &mut job {
        Job::CreateSession(job) => job.target = target,
        Job::RevokeSession(job) => job.target = target,
        Job::ExtendSession(job) => job.target = target,
    }
    job
}

fn job_id() -> JobId {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    JobId::from_parts(1_700_000_000_000, [NEXT.fetch_add(1, Ordering::Relaxed); 10])
}

pub(crate) fn pack(name: &str) -> &'static RolePack {
    packs().iter().find(|pack| pack.name == name).unwrap()
}

/// Logs in with a DSN.
pub(crate) async fn login(dsn: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(dsn, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Waits until the role is gone with all of its connections, and gives how long that took.
pub(crate) async fn gone(pg: &TestPg, session: &Session) {
    let admin = pg.superuser("app").await;
    let role = session.id.role_name().to_string();
    eventually(SOON, "the role is gone", async || {
        let row = admin.query_one("SELECT count(*) FROM pg_roles WHERE rolname = $1", &[&role]).await.unwrap();
        if row.get::<_, i64>(0) == 0 { Ok(()) } else { Err("the role is there") }
    })
    .await;
}

/// Waits until the connection was cut.
pub(crate) async fn cut(client: &Client) {
    eventually(SOON, "the connection is cut", async || if client.is_closed() { Ok(()) } else { Err("it is open") })
        .await;
}
