//! Direct dispatch: an agent that waits in this process is leased a session's job in the transaction that makes or ends
//! the session, so that nobody has to look for it.
//!
//! Always holds: it is a short cut and nothing depends on it. Jobs that wait in the queue go first, the ledger has the
//! last word on who may be leased what, and a job whose agent has left goes back into the queue.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gk_shared::ids::{AgentId, JobId, TargetId};
use gk_shared::names::TargetName;
use gk_shared::wire::job::{ClaimJobs, Job, LeasedJob};
use tokio::sync::oneshot;

use super::lease_ms;
use crate::store::random::lease_token;
use crate::store::row::Reader;
use crate::store::tokens::AgentIdentity;
use crate::store::{Lane, Ledger, StoreError};
use crate::wakeups::Wake;

/// How long a claim that has something else to do waits for what comes of a request.
const SOON: Duration = Duration::from_millis(100);
/// When a job that nobody will hear of is put back into the queue.
const GIVE_BACK_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(1)];

/// Claims of this process that wait, the longest waiting first.
#[derive(Debug, Clone, Default)]
pub(in crate::store) struct Dispatch(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    waiting: VecDeque<Waiting>,
    /// Names of targets that sessions were made on. A name that means another target by now is refused by the ledger.
    targets: HashMap<TargetName, TargetId>,
    last: u64,
}

/// What a claim waits for. One that waits for both counts for ends: those must not wait for each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    /// Sessions to end.
    Ends,
    /// Sessions to make.
    Beginnings,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    kind: Kind,
    agent: AgentId,
    serves: Vec<TargetId>,
    except: Vec<TargetName>,
    to: oneshot::Sender<LeasedJob>,
}

/// A claim that waits. It waits no longer when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    number: u64,
    from: oneshot::Receiver<LeasedJob>,
    ledger: Ledger,
}

/// An agent that was waiting, and the job that a transaction is about to lease to it. If this is dropped before the job was
/// handed over, what the transaction leased all the same goes back into the queue.
#[derive(Debug)]
pub(in crate::store) struct Offer {
    agent: AgentId,
    job: JobId,
    token: String,
    ledger: Ledger,
    to: Option<oneshot::Sender<LeasedJob>>,
}

impl Dispatch {
    /// How many claims wait.
    pub(in crate::store) fn waiting(&self) -> usize {
        self.board().waiting.len()
    }

    /// Notes what a target is called.
    pub(in crate::store) fn learn(&self, name: &TargetName, id: TargetId) {
        let mut board = self.board();
        if board.targets.get(name) != Some(&id) {
            board.targets.insert(name.clone(), id);
        }
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn take(
        &mut self,
        kind: Kind,
        (name, id): (&TargetName, TargetId),
    ) -> Option<(AgentId, oneshot::Sender<LeasedJob>)> {
        let fits =
            |waiting: &Waiting| waiting.kind == kind && waiting.serves.contains(&id) && !waiting.except.contains(name);
        let place = self.waiting.iter().position(fits)?;
        self.waiting.remove(place).map(|Waiting { agent, to, .. }| (agent, to))
    }
}

impl Offer {
    /// To who has waited longest for a session to make on the target of this name.
    pub(in crate::store) fn to_make(ledger: &Ledger, target: &TargetName, job: JobId) -> Option<Self> {
        let mut board = ledger.dispatch().board();
        let id = *board.targets.get(target)?;
        let found = board.take(Kind::Beginnings, (target, id));
        drop(board);
        Some(Self::of(ledger, found?, job))
    }

    /// To who has waited longest for a session to end on this target.
    pub(in crate::store) fn to_end(ledger: &Ledger, target: (&TargetName, TargetId), job: JobId) -> Option<Self> {
        let found = ledger.dispatch().board().take(Kind::Ends, target);
        Some(Self::of(ledger, found?, job))
    }

    fn of(ledger: &Ledger, (agent, to): (AgentId, oneshot::Sender<LeasedJob>), job: JobId) -> Self {
        Self { agent, job, token: lease_token(ledger.randomness()), ledger: ledger.clone(), to: Some(to) }
    }

    /// The agent.
    pub(in crate::store) const fn agent(&self) -> AgentId {
        self.agent
    }

    /// What the lease will be known by.
    pub(in crate::store) fn token(&self) -> &str {
        &self.token
    }

    /// Nothing was leased: the agent looks for itself.
    pub(in crate::store) fn withdraw(mut self) {
        self.to = None;
    }

    /// Tells the agent of the job that was leased to it, with the generation that it carries.
    pub(in crate::store) fn hand_over(mut self, job: Job, generation: i64) {
        let Some(to) = self.to.take() else { return };
        let lease_token = self.token.clone();
        if to.send(LeasedJob { job, lease_token, lease_ms: lease_ms(), generation, attempt: 1 }).is_err() {
            return_to_queue(self.ledger.clone(), self.job, std::mem::take(&mut self.token));
        }
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        if self.to.take().is_some() {
            return_to_queue(self.ledger.clone(), self.job, std::mem::take(&mut self.token));
        }
    }
}

impl Place {
    /// A place for a claim that found nothing.
    pub(super) fn take(ledger: &Ledger, agent: &AgentIdentity, ask: &ClaimJobs) -> Self {
        let (to, from) = oneshot::channel();
        let mut board = ledger.dispatch().board();
        board.last += 1;
        let number = board.last;
        let kind = if ask.revoke_slots > 0 { Kind::Ends } else { Kind::Beginnings };
        let (serves, except) = (agent.targets.clone(), ask.except_targets.clone());
        board.waiting.push_back(Waiting { number, kind, agent: agent.id, serves, except, to });
        drop(board);
        Self { number, from, ledger: ledger.clone() }
    }

    /// A job; `None` if the request that the agent was taken for came to nothing.
    pub(super) async fn job(&mut self) -> Option<LeasedJob> {
        (&mut self.from).await.ok()
    }

    /// Waits no longer. Whoever has been taken for a request is told first what comes of it, if that comes soon: what is
    /// leased later goes back into the queue.
    pub(super) async fn leave(mut self) -> Option<LeasedJob> {
        match self.remove() {
            true => None,
            false => tokio::time::timeout(SOON, self.job()).await.ok().flatten(),
        }
    }

    /// True if the claim was still waiting.
    fn remove(&self) -> bool {
        let mut board = self.ledger.dispatch().board();
        let before = board.waiting.len();
        board.waiting.retain(|waiting| waiting.number != self.number);
        board.waiting.len() < before
    }
}

/// The agent that it is leased to has left, or will never hear of it: nobody else need wait for the lease's end. The
/// transaction that leases it may still be on its way.
fn return_to_queue(ledger: Ledger, job: JobId, token: String) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        for pause in GIVE_BACK_AFTER {
            tokio::time::sleep(pause).await;
            match give_back(&ledger, job, &token).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::debug!(%error, "a job whose agent has left waits for the end of its lease"),
            }
        }
    });
}

const GIVE_BACK: &str = "-- jobs::give_back
    UPDATE jobs SET state = 'queued', run_at = now() WHERE id = $1 AND lease_token = $2 AND state = 'leased'
    RETURNING target_id, kind";

/// True if it was leased so, and is queued now.
async fn give_back(ledger: &Ledger, job: JobId, token: &str) -> Result<bool, StoreError> {
    let rows = ledger.query_in(Lane::Ending, GIVE_BACK, &[&job.uuid(), &token]).await?;
    if let Some(row) = rows.first() {
        let row = Reader::new(row, "job");
        let target = row.id("target_id", TargetId::from_uuid)?;
        let begins = row.get::<&str>("kind")? == "create";
        ledger.wakeups().wake(if begins { Wake::Beginnings(target) } else { Wake::Ends(target) });
    }
    Ok(!rows.is_empty())
}

impl Drop for Place {
    fn drop(&mut self) {
        self.remove();
        // What is sent from now on goes back to its sender.
        self.from.close();
        if let Ok(job) = self.from.try_recv() {
            return_to_queue(self.ledger.clone(), job.job.id(), job.lease_token);
        }
    }
}
