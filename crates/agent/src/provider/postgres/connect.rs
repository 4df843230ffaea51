//! Connections to one target: how they are opened, what every one of them is set to, and the pools they wait in.
//!
//! Always holds: a session of ours reports a commit only when it is durable, waits for no lock longer than 3 s and runs
//! no statement longer than 10 s; the settings travel with the start of the session, so they win over `ALTER ROLE … SET`.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use tokio_postgres::Client;
use tokio_postgres::config::TargetSessionAttrs;

use crate::config::{Endpoint, TargetConfig};
use crate::provider::error::{Failure, ProviderError};

/// How long opening a connection may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a call waits for a free connection.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for making sessions: a mint costs the target CPU, so a few keep it busy.
const WORK_CONNECTIONS: usize = 4;
/// Connections that only ends, sweeps and looks use, so that they never wait behind mints.
const URGENT_CONNECTIONS: usize = 2;
/// Connections to a server while another is written to.
const SIDE_CONNECTIONS: usize = 2;

const SETTINGS: &str = "-c synchronous_commit=on -c statement_timeout=10000 -c lock_timeout=3000 \
                        -c idle_in_transaction_session_timeout=10000 -c client_min_messages=warning -c datestyle=ISO";
/// The deadman's one statement runs for as long as there is something to watch, and must outlive its client.
const DEADMAN_SETTINGS: &str = "-c synchronous_commit=on -c statement_timeout=0 -c lock_timeout=3000 \
                                -c idle_in_transaction_session_timeout=0 -c client_connection_check_interval=0 \
                                -c client_min_messages=error -c datestyle=ISO";

/// What the server refuses, the doctor cannot do by mistake.
const LOOK_SETTINGS: &str = "-c default_transaction_read_only=on -c statement_timeout=10000 -c lock_timeout=3000 \
                             -c idle_in_transaction_session_timeout=10000 -c client_min_messages=warning -c datestyle=ISO";

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Calls of helpers.
    Helpers,
    /// Calls of those that only read.
    Look,
    /// `CALL gk.deadman(…)`.
    Deadman,
}

/// The pools of one server of a target.
#[derive(Debug)]
pub(super) struct Pools {
    /// For making sessions.
    pub(super) work: Pool,
    /// For ending them and for looking.
    pub(super) urgent: Pool,
    /// For looking, and for cutting where nothing is written.
    pub(super) side: Pool,
}

/// The pools of a server of `target`. If it has several, those that write take only one that is written to: a server that
/// has become a standby meanwhile is found out before anything is asked of it.
pub(super) fn pools(target: &TargetConfig, place: &Endpoint, (purpose, several): (Purpose, bool)) -> Pools {
    let any = settings(target, place, &target.database, purpose);
    let mut writing = any.clone();
    if several && purpose == Purpose::Helpers {
        writing.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    Pools {
        work: pool(target, writing.clone(), WORK_CONNECTIONS),
        urgent: pool(target, writing, URGENT_CONNECTIONS),
        side: pool(target, any, SIDE_CONNECTIONS),
    }
}

fn pool(target: &TargetConfig, config: tokio_postgres::Config, size: usize) -> Pool {
    let manager =
        Manager::from_config(config, target.tls.connector(), ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(size)
        .runtime(Runtime::Tokio1)
        .create_timeout(Some(CONNECT_TIMEOUT))
        .wait_timeout(Some(WAIT_TIMEOUT))
        .recycle_timeout(Some(CONNECT_TIMEOUT))
        .build()
        .expect("a runtime is named, which is all that building a pool asks for")
}

/// The driver's settings for a connection to `database` on this server of a target.
fn settings(target: &TargetConfig, place: &Endpoint, database: &str, purpose: Purpose) -> tokio_postgres::Config {
    let mut config = tokio_postgres::Config::new();
    let options = match purpose {
        Purpose::Helpers => SETTINGS,
        Purpose::Look => LOOK_SETTINGS,
        Purpose::Deadman => DEADMAN_SETTINGS,
    };
    config
        .host(&place.host)
        .port(place.port)
        .dbname(database)
        .user(&target.user)
        .application_name(purpose.name())
        .options(options)
        .ssl_mode(target.tls.wanted())
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(5))
        .keepalives_interval(Duration::from_secs(2))
        .keepalives_retries(3)
        .tcp_user_timeout(Duration::from_secs(10));
    if let Some(password) = &target.password {
        config.password(password.expose());
    }
    config
}

impl Purpose {
    /// What the server's activity view shows. On a standby a deadman is known by it.
    const fn name(self) -> &'static str {
        match self {
            Self::Helpers | Self::Look => "gk-agent",
            Self::Deadman => "gk-deadman",
        }
    }
}

/// Opens one connection outside the pools; it closes when the client is dropped.
pub(super) async fn open(
    target: &TargetConfig,
    place: &Endpoint,
    (database, purpose): (&str, Purpose),
) -> Result<Client, ProviderError> {
    let config = settings(target, place, database, purpose);
    let opened = tokio::time::timeout(CONNECT_TIMEOUT, config.connect(target.tls.connector())).await;
    let (client, connection) =
        opened.map_err(|_| ProviderError::new(Failure::Unreachable, "no connection within 5 s"))??;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to the target broke");
        }
    });
    Ok(client)
}

impl From<PoolError> for ProviderError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(error) => Self::from(error),
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::new(Failure::Busy, "all of the agent's connections to the target are in use")
            }
            PoolError::Timeout(TimeoutType::Create | TimeoutType::Recycle) => {
                Self::new(Failure::Unreachable, "no connection within 5 s")
            }
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                Self::new(Failure::Unreachable, format!("no connection: {error}"))
            }
        }
    }
}
