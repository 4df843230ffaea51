//! The control plane and the agent, in this process, and what each needs to find the other.
//!
//! What always holds: they talk over HTTP and SQL as they would on two machines; the agent stops before the control
//! plane, so that what it has under way is still reported.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gk_agent::config::{AgentConfig, TargetConfig};
use gk_control_plane::config::{LedgerConfig, LedgerParts, PlaneConfig, read_settings};
use gk_control_plane::notary::AuditConfig;
use gk_control_plane::policy::Policy;
use gk_shared::names::TargetName;
use gk_shared::problem::ErrorCode;
use gk_shared::secret::BearerToken;
use gk_shared::wire::agent::AgentView;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::announce;
use super::cluster::{APP, LEDGER};
use super::error::DevError;
use super::layout::DevDir;
use super::secrets::{self, Login};
use super::tokens;
use crate::client::{Address, CallError, Client};

/// The name of the demo database as a target.
pub(crate) const TARGET: &str = "pg-local";
/// How long the agent may take to report its target for the first time.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(20);
/// How long a part may take to stop.
const STOP: Duration = Duration::from_secs(15);

/// Brings the ledger's schema up to date, as the owner of its tables.
pub(crate) async fn migrate(dir: &DevDir, port: u16) -> Result<(), DevError> {
    let ledger = ledger(dir, port, Login::LedgerOwner)?;
    let migrated = gk_control_plane::migrate(&ledger).await;
    migrated.map(|_| ()).map_err(DevError::part("migrating the ledger", ErrorCode::SchemaMismatch))
}

fn ledger(dir: &DevDir, port: u16, login: Login) -> Result<LedgerConfig, DevError> {
    let parts = LedgerParts {
        host: "127.0.0.1".to_owned(),
        port,
        user: login.role().to_owned(),
        database: LEDGER.to_owned(),
        password: Some(login.password(dir)?),
    };
    Ok(LedgerConfig::from_parts(&parts).expect("no part is empty"))
}

/// What runs beside Postgres.
pub(crate) struct Parts {
    plane: Part,
    agent: Part,
    address: Address,
    user_token: BearerToken,
    roles: Vec<String>,
}

impl Parts {
    /// Starts both, and returns when the target can be used.
    pub(crate) async fn start(dir: &DevDir, port: u16, listener: TcpListener) -> Result<Self, DevError> {
        let listens = listener.local_addr().map_err(DevError::io("asking for", "the address"))?;
        let address: Address = announce::url(listens).parse().expect("a loopback address makes a URL of ours");
        let ledger = ledger(dir, port, Login::LedgerRuntime)?;
        let mut config = PlaneConfig::new(ledger.clone(), policy(dir)?);
        config.listen = listens;
        config.audit = AuditConfig {
            signing_key: Some(Arc::new(secrets::audit_key(dir)?)),
            checkpoint_file: Some(dir.checkpoints()),
            ..AuditConfig::default()
        };
        let mut plane = Part::start("control plane", |stop| async move {
            let served = gk_control_plane::serve(config, listener, stop).await;
            served.map_err(|error| DevError::part("control plane", error.code())(error))
        });
        let tokens = tokio::select! {
            tokens = tokens::get(dir, &ledger, &address) => tokens?,
            ended = plane.ended() => return Err(ended),
        };
        let client = client(&address, &tokens.user)?;
        let begun = client.me().await.map_err(|call| not_usable(&call.error))?.ledger_time;
        let config = agent(dir, port, &address, tokens.agent)?;
        let mut agent = Part::start("agent", |stop| async move {
            let run = gk_agent::run(config, stop).await;
            run.map_err(DevError::part("agent", ErrorCode::Internal))
        });
        let roles = tokio::select! {
            roles = usable(&client, begun) => roles?,
            ended = plane.ended() => return Err(ended),
            ended = agent.ended() => return Err(ended),
        };
        Ok(Self { plane, agent, address, user_token: tokens.user, roles })
    }

    /// The control plane.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The token of the user `dev`.
    pub(crate) fn user_token(&self) -> &BearerToken {
        &self.user_token
    }

    /// What the user may ask for.
    pub(crate) fn roles(&self) -> &[String] {
        &self.roles
    }

    /// Waits until one of them ends by itself, and says which and why.
    pub(crate) async fn ended(&mut self) -> DevError {
        tokio::select! {
            ended = self.agent.ended() => ended,
            ended = self.plane.ended() => ended,
        }
    }

    /// Stops the agent, then the control plane.
    pub(crate) async fn stop(&mut self) -> Result<(), DevError> {
        let agent = self.agent.stop().await;
        let plane = self.plane.stop().await;
        agent.and(plane)
    }
}

fn policy(dir: &DevDir) -> Result<Policy, DevError> {
    let path = dir.policy();
    if !path.exists() {
        dir.write(&path, announce::POLICY.as_bytes())?;
    }
    let text = read_settings(&path).map_err(DevError::part("policy", ErrorCode::ConfigInvalid))?;
    Policy::parse(&text, PlaneConfig::default_max_ttl()).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let message = format!("{}: {}", path.display(), faults.join("; "));
        DevError::Part { part: "policy", code: ErrorCode::ConfigInvalid, message }
    })
}

fn agent(dir: &DevDir, port: u16, address: &Address, token: BearerToken) -> Result<AgentConfig, DevError> {
    let name: TargetName = TARGET.parse().expect("`pg-local` is a target's name");
    let target = TargetConfig::new(name, "127.0.0.1", port, APP, Some(Login::Agent.password(dir)?));
    let plane = address.to_string().parse().expect("a loopback address is one that agents take");
    Ok(AgentConfig { state_dir: Some(dir.agent_state()), ..AgentConfig::new(plane, token, vec![target]) })
}

/// A client of the control plane that was just started.
pub(crate) fn client(address: &Address, token: &BearerToken) -> Result<Client, DevError> {
    let made = Client::new(address.clone(), Some(token.clone()));
    made.map_err(DevError::part("calling the control plane", ErrorCode::Internal))
}

/// Waits until the agent has reported and the target's packs are there, which is when sessions can be made; then says
/// which of them the policy gives to the user: none, if somebody has edited it so.
async fn usable(client: &Client, begun: Timestamp) -> Result<Vec<String>, DevError> {
    let name: TargetName = TARGET.parse().expect("`pg-local` is a target's name");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let why = match has_reported(client, &name, begun).await {
            Ok(true) => break,
            Ok(false) => "its agent has not reported yet".to_owned(),
            Err(call) => call.error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(not_usable(&format!("within {} s: {why}", PATIENCE.as_secs())));
        }
        tokio::time::sleep(LOOK).await;
    }
    // A target without a rule for the user does not exist for them.
    let target = client.target(&name).await.ok();
    Ok(target.map(|target| target.roles.iter().map(|allowed| allowed.role.to_string()).collect()).unwrap_or_default())
}

/// Whether it was this start's agent that reported: an earlier one's word is in the ledger, too.
async fn has_reported(client: &Client, target: &TargetName, begun: Timestamp) -> Result<bool, CallError> {
    let agents = client.agents().await?.agents;
    let seen = |agent: &AgentView| agent.targets.contains(target) && agent.last_seen_at >= Some(begun);
    if !agents.iter().any(seen) {
        return Ok(false);
    }
    Ok(client.packs().await?.packs.iter().any(|pack| pack.targets.contains(target)))
}

fn not_usable(why: &dyn std::fmt::Display) -> DevError {
    let message = format!("{TARGET} was not usable {why}");
    DevError::Part { part: "agent", code: ErrorCode::TargetUnreachable, message }
}

/// A task of this process that runs until it is told to stop. Dropping it tells it, too.
struct Part {
    name: &'static str,
    stop: CancellationToken,
    task: Option<JoinHandle<Result<(), DevError>>>,
}

impl Part {
    fn start<F>(name: &'static str, run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = Result<(), DevError>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(stop.clone()));
        Self { name, stop, task: Some(task) }
    }

    /// Waits for an end that nobody asked for.
    async fn ended(&mut self) -> DevError {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let joined = task.await;
        self.task = None;
        let message = match joined {
            Ok(Err(error)) => return error,
            Ok(Ok(())) => "ended without being told to".to_owned(),
            Err(panic) => panic.to_string(),
        };
        DevError::Part { part: self.name, code: ErrorCode::Internal, message }
    }

    async fn stop(&mut self) -> Result<(), DevError> {
        self.stop.cancel();
        let Some(mut task) = self.task.take() else { return Ok(()) };
        match tokio::time::timeout(STOP, &mut task).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(panic)) => {
                Err(DevError::Part { part: self.name, code: ErrorCode::Internal, message: panic.to_string() })
            }
            Err(_) => {
                // What it holds on to goes with the process; everything that counts is in Postgres.
                tracing::warn!(part = self.name, "did not stop in time");
                task.abort();
                Ok(())
            }
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
