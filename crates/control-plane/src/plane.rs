//! What all handlers of one process share.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use gk_edge::server::ServerTls;
use tokio_util::sync::CancellationToken;

use crate::config::{AgentAuthority, Limits, PlaneConfig};
use crate::http::familiar::Familiar;
use crate::http::metrics::{Metrics, OnceIn};
use crate::http::rates::Rates;
use crate::machine::Machine;
use crate::notary::Notary;
use crate::policy::Policy;
use crate::sinks::{Content, SinkName};
use crate::store::{Lane, Ledger, StoreError, sinks, status};

/// How long the ledger's numbers are told without asking it again.
const GAUGES_HOLD: Duration = Duration::from_secs(1);

/// The control plane, as handlers hold it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Plane(Arc<Parts>);

/// The parts of it.
#[derive(Debug)]
pub struct Parts {
    /// The ledger.
    pub ledger: Ledger,
    /// Who may have what.
    pub policy: Policy,
    /// How long a session may take to be made.
    pub provision_deadline: Duration,
    /// What callers may do.
    pub limits: Limits,
    /// How much of that they have used.
    pub rates: Rates,
    /// Tokens that have worked here.
    pub familiar: Familiar,
    /// The numbers of this process.
    pub metrics: Metrics,
    /// When the ledger's numbers were read.
    gauges: OnceIn,
    /// TLS on the port.
    pub tls: Option<Arc<ServerTls>>,
    /// What certifies agents.
    pub agents: Option<AgentAuthority>,
    /// What signs the audit log, and stops grants when it went back.
    pub notary: Notary,
    /// Who gets copies of it.
    pub sinks: Vec<(SinkName, Content)>,
    /// Clock and randomness.
    pub machine: Machine,
    /// Set when the process is to end.
    pub stop: CancellationToken,
}

impl Deref for Plane {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Plane {
    /// A plane with these settings, on this ledger.
    #[must_use]
    pub fn new(config: &PlaneConfig, ledger: Ledger, stop: CancellationToken) -> Self {
        Self(Arc::new(Parts {
            ledger,
            policy: config.policy.clone(),
            provision_deadline: config.provision_deadline,
            limits: config.limits.clone(),
            rates: Rates::new(&config.limits),
            familiar: Familiar::default(),
            gauges: OnceIn::new(GAUGES_HOLD),
            metrics: Metrics::default(),
            tls: config.tls.clone(),
            agents: config.agents.clone(),
            notary: Notary::new(&config.audit),
            sinks: config.audit.sinks.iter().map(|sink| (sink.name.clone(), sink.content)).collect(),
            machine: Machine::system(),
            stop,
        }))
    }

    /// Runs `work`, unless the process is to end first.
    pub async fn until_stop<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(work).await
    }

    /// Brings the ledger's numbers in the metrics up to date, unless that was done a moment ago: anybody may ask for
    /// them, as often as they like.
    ///
    /// # Errors
    /// The ledger does not answer.
    pub async fn refresh_gauges(&self) -> Result<(), StoreError> {
        for lane in [Lane::Normal, Lane::Ending] {
            self.metrics.show_pool(lane, self.ledger.pool_use(lane));
        }
        self.metrics.show_regression((self.notary.regression().is_some(), self.notary.may_grant().is_err()));
        let tls = self.tls.as_ref();
        self.metrics.show_certificate(tls.map(|tls| tls.validity().until.duration_since(self.machine.now())));
        let read = async {
            self.metrics.show(&status::gauges(&self.ledger).await?);
            self.metrics.show_sinks(&sinks::gauges(&self.ledger, &self.sinks).await?);
            Ok(())
        };
        self.gauges.run(read).await
    }
}
