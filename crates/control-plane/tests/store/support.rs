//! A ledger of a test's own, in the words of the domain.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use gk_control_plane::config::LedgerConfig;
use gk_control_plane::store::actors::{ActorKind, ActorSpec};
use gk_control_plane::store::jobs::{self, Completion, Timing};
use gk_control_plane::store::sessions::{
    self, Created, EndOutcome, EndRequest, KeyKind, NewSession, Requester, SessionRecord, Viewer,
};
use gk_control_plane::store::tokens::{self, AgentIdentity, Authentication, Caller, NewToken};
use gk_control_plane::store::{Ledger, Origin, SystemRandomness, agents, migrate};
use gk_control_plane::wakeups::{Wake, Wakeups};
use gk_shared::ids::{RequestId, SessionId};
use gk_shared::seal::RecipientSecret;
use gk_shared::secret::{BearerToken, SecretDsn};
use gk_shared::session::SessionStatus;
use gk_shared::ttl::Ttl;
use gk_shared::wire::agent::{AgentIdentityKind, EnrollAgent, Heartbeat, TargetHealth, TargetPack};
use gk_shared::wire::job::{ClaimJobs, CompleteJob, Job, JobOutcome, LeasedJob};
use gk_shared::wire::session::SessionFailure;
use gk_shared::wire::token::Scope;
use gk_testkit::{TestPg, pg_versions};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_postgres::Client;

/// The owner of the ledger: may make roles, is no superuser.
pub(crate) const OWNER: &str = "ledger_owner";

/// A ledger with its schema.
pub(crate) struct Books {
    pub(crate) pg: TestPg,
    pub(crate) config: LedgerConfig,
    pub(crate) ledger: Ledger,
    pub(crate) sent: mpsc::Receiver<Wake>,
}

/// A server with an empty database and its owner.
pub(crate) async fn empty() -> (TestPg, LedgerConfig) {
    let version = *pg_versions().last().expect("there is a Postgres");
    let pg = TestPg::start(version).await;
    let admin = pg.superuser("postgres").await;
    admin.batch_execute(&format!("CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD 'pw'")).await.expect("makes the owner");
    admin.batch_execute(&format!("CREATE DATABASE ledger OWNER {OWNER}")).await.expect("makes the database");
    let url = SecretDsn::new(pg.dsn(OWNER, "pw", "ledger"));
    (pg, LedgerConfig::from_url(&url).expect("is an address"))
}

/// One more control plane process on this ledger.
pub(crate) fn connect(config: &LedgerConfig) -> (Ledger, mpsc::Receiver<Wake>) {
    let (wakeups, sent) = Wakeups::new();
    (Ledger::new(config, Arc::new(SystemRandomness), wakeups).expect("builds"), sent)
}

pub(crate) fn request() -> RequestId {
    RequestId::from_parts(1_700_000_000_000, rand::random())
}

impl Books {
    pub(crate) async fn open() -> Self {
        let (pg, config) = empty().await;
        migrate(&config).await.expect("migrates");
        let (ledger, sent) = connect(&config);
        Self { pg, config, ledger, sent }
    }

    /// A client past all rules but those of the tables.
    pub(crate) async fn superuser(&self) -> Client {
        self.pg.superuser("ledger").await
    }

    /// Runs a statement as the superuser, to move time or break things.
    pub(crate) async fn force(&self, sql: &str) {
        self.superuser().await.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    pub(crate) async fn count(&self, sql: &str) -> i64 {
        self.superuser().await.query_one(sql, &[]).await.expect("counts").get(0)
    }

    /// Waits until so many statements wait for a lock.
    pub(crate) async fn locked_out(&self, count: i64) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'ledger' AND wait_event_type = 'Lock'";
        gk_testkit::eventually(Duration::from_secs(4), "statements wait for a lock", async || {
            let found = self.count(sql).await;
            if found >= count { Ok(()) } else { Err(found) }
        })
        .await;
    }

    pub(crate) async fn person(&self, name: &str) -> Caller {
        self.person_with_token(name).await.0
    }

    pub(crate) async fn person_with_token(&self, name: &str) -> (Caller, BearerToken) {
        let name = name.parse().expect("is a name");
        let actor = ActorSpec { name, kind: ActorKind::Human, groups: None, email: None };
        let new = NewToken { actor, scopes: vec![Scope::Requester], life: Duration::from_secs(3600) };
        let made = tokens::create(&self.ledger, Origin::system(), &new).await.expect("makes a token");
        match tokens::authenticate(&self.ledger, &made.token).await.expect("answers") {
            Authentication::Known(caller) => (*caller, made.token),
            other => panic!("a fresh token is {other:?}"),
        }
    }

    /// The agent that this token stands for.
    pub(crate) async fn who(&self, token: &str) -> AgentIdentity {
        let token = BearerToken::parse(token).expect("is a token");
        match tokens::authenticate(&self.ledger, &token).await.expect("answers") {
            Authentication::Known(caller) => caller.agent.expect("an agent's token"),
            other => panic!("a fresh token is {other:?}"),
        }
    }

    /// An agent that serves `pg-local` and has said so.
    pub(crate) async fn agent(&self, name: &str) -> AgentIdentity {
        let ask = EnrollAgent {
            name: name.parse().expect("is a name"),
            targets: vec!["pg-local".parse().expect("is a name")],
            ttl_seconds: None,
            identity: AgentIdentityKind::Token,
        };
        let life = Duration::from_secs(3600);
        let enrolled = agents::enroll(&self.ledger, Origin::system(), &ask, life).await.expect("enrols");
        let agent = self.who(enrolled.token.expose()).await;
        agents::heartbeat(&self.ledger, &agent, &heartbeat(), "0").await.expect("takes a heartbeat");
        agent
    }

    pub(crate) async fn create(&self, who: &Caller) -> SessionRecord {
        let created = sessions::create(&self.ledger, &self.wish(who)).await.expect("creates");
        assert!(matches!(created, Created::New(_)));
        created.into_session()
    }

    /// What `who` may wish for, with a fresh key.
    pub(crate) fn wish(&self, who: &Caller) -> NewSession {
        let id: SessionId = self.ledger.fresh_id(who.now);
        NewSession {
            id,
            requester: Requester { actor: who.actor, name: who.name.clone(), token: who.token },
            target: "pg-local".parse().expect("is a name"),
            role: "app_read".parse().expect("is a name"),
            ttl: Ttl::from_minutes(15).expect("is a ttl"),
            max_connections: None,
            reason: Some("debug".parse().expect("is a reason")),
            ticket: None,
            recipient: recipient().public(),
            key_kind: KeyKind::Own,
            rule: "test".to_owned(),
            provision_within: Duration::from_secs(300),
            request: request(),
            key: format!("key-{id}").parse().expect("is a key"),
            body_hash: [7; 32],
        }
    }

    pub(crate) async fn claim(&self, agent: &AgentIdentity) -> Vec<LeasedJob> {
        jobs::claim(&self.ledger, agent, &slots(8, 8, 0)).await.expect("claims")
    }

    pub(crate) async fn claim_one(&self, agent: &AgentIdentity) -> LeasedJob {
        let mut jobs = self.claim(agent).await;
        assert_eq!(jobs.len(), 1, "{jobs:?}");
        jobs.remove(0)
    }

    pub(crate) async fn report(&self, agent: &AgentIdentity, lease: &LeasedJob, outcome: JobOutcome) -> Completion {
        let report = CompleteJob { lease_token: lease.lease_token.clone(), generation: lease.generation, outcome };
        let origin = Origin::agent(agent.name.as_str(), request());
        let answer = jobs::complete(&self.ledger, agent, origin, (lease.job.id(), &report)).await;
        answer.expect("answers")
    }

    /// The same without its numbers, which differ each time.
    pub(crate) async fn result(&self, agent: &AgentIdentity, lease: &LeasedJob, outcome: JobOutcome) -> Completion {
        match self.report(agent, lease, outcome).await {
            Completion::Taken(_) => Completion::Taken(Timing::default()),
            other @ (Completion::Repeated | Completion::Stale | Completion::Refused(_) | Completion::WrongOutcome) => {
                other
            }
        }
    }

    /// A session that is ready, and the lease by which it became so.
    pub(crate) async fn ready(&self, who: &Caller, agent: &AgentIdentity) -> (SessionRecord, LeasedJob) {
        let session = self.create(who).await;
        // Beginnings only: an end that waits for its next try may become due at any moment.
        let mut leases = jobs::claim(&self.ledger, agent, &slots(8, 0, 0)).await.expect("claims");
        assert_eq!(leases.len(), 1, "{leases:?}");
        let lease = leases.remove(0);
        assert_eq!(self.result(agent, &lease, minted(&lease)).await, TAKEN);
        (self.find(session.id).await, lease)
    }

    pub(crate) async fn find(&self, id: SessionId) -> SessionRecord {
        sessions::find(&self.ledger, id, Viewer::All).await.expect("answers").expect("is there")
    }

    pub(crate) async fn status(&self, id: SessionId) -> SessionStatus {
        self.find(id).await.status()
    }

    pub(crate) async fn revoke(&self, who: &Caller, id: SessionId) -> EndOutcome {
        let wish = EndRequest { id, viewer: Viewer::Actor(who.actor), note: None };
        let origin = Origin::actor(who.name.as_str(), request());
        sessions::end(&self.ledger, origin, &wish).await.expect("answers")
    }

    /// Events of this action about this object.
    pub(crate) async fn events(&self, action: &str, object: impl std::fmt::Display) -> i64 {
        let sql = format!("SELECT count(*) FROM audit_events WHERE action = '{action}' AND object = '{object}'");
        self.count(&sql).await
    }
}

pub(crate) const TAKEN: Completion = Completion::Taken(Timing { create_to_ready: None, end_to_cut: None });

pub(crate) fn slots(create: u16, revoke: u16, wait_ms: u32) -> ClaimJobs {
    ClaimJobs { create_slots: create, revoke_slots: revoke, wait_ms, except_targets: vec![] }
}

pub(crate) fn recipient() -> RecipientSecret {
    RecipientSecret::for_token(&BearerToken::generate([3; 32]), SessionId::from_parts(1, [1; 10]))
}

pub(crate) fn heartbeat() -> Heartbeat {
    Heartbeat { version: "0.1.0".into(), targets: vec![health("pg-local")], witnessed: None }
}

pub(crate) fn health(target: &str) -> TargetHealth {
    TargetHealth {
        target: target.parse().expect("is a name"),
        host: "127.0.0.1".into(),
        port: 5432,
        database: "app".into(),
        reachable: true,
        error: None,
        server_version: Some("15.4".into()),
        helpers_version: Some("pg-1.0.0".into()),
        packs: vec![TargetPack {
            name: "app_read".into(),
            version: "pg-1.0.0".into(),
            digest: "a".repeat(64),
            fault: None,
        }],
        target_time: None,
        endpoints: Vec::new(),
    }
}

/// A blob of the right shape for this lease. Nobody opens it here.
pub(crate) fn sealed(generation: i64) -> String {
    let encode = |length: usize| base64::engine::general_purpose::STANDARD.encode(vec![7; length]);
    format!("v1.{generation}.{}.{}", encode(32), encode(64))
}

pub(crate) fn minted(lease: &LeasedJob) -> JobOutcome {
    let Job::CreateSession(job) = &lease.job else { panic!("not a create: {lease:?}") };
    minted_until(lease, minted_now() + Duration::from_secs(job.ttl_seconds.into()))
}

#[expect(clippy::disallowed_methods, reason = "stands for the target's clock, which nobody passes in")]
pub(crate) fn minted_now() -> Timestamp {
    Timestamp::now()
}

pub(crate) fn minted_until(lease: &LeasedJob, expires_at: Timestamp) -> JobOutcome {
    JobOutcome::Minted {
        role_name: lease.job.session().role_name().to_string(),
        expires_at,
        sealed_credential: sealed(lease.generation),
    }
}

pub(crate) fn ended() -> JobOutcome {
    JobOutcome::Ended { dropped: true, blocked: None }
}

pub(crate) fn stuck(blocked: &str) -> JobOutcome {
    JobOutcome::Ended { dropped: false, blocked: Some(blocked.to_owned()) }
}

pub(crate) fn refused(code: &str, retryable: bool) -> JobOutcome {
    JobOutcome::Refused { error: SessionFailure { code: code.into(), message: "no".into(), retryable } }
}
