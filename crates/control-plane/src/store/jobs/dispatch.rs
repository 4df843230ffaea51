//! Direct dispatch: an agent that waits in this process is leased a session's job in the transaction that makes or ends
//! the session, so that nobody has to look for it.
//!
//! Always holds: it is a short cut and nothing depends on it. Jobs that wait in the queue go first, the ledger has the
//! last word on who may be leased what, and a job whose agent has left goes back into the queue.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gk_shared::ids::{AgentId, TargetId};
use gk_shared::names::TargetName;
use gk_shared::wire::job::{ClaimJobs, LeasedJob};
use tokio::sync::oneshot;

use crate::store::row::Reader;
use crate::store::tokens::AgentIdentity;
use crate::store::{Ledger, StoreError};
use crate::wakeups::Wake;

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

/// An agent that was waiting and now waits for what comes of one request.
#[derive(Debug)]
pub(in crate::store) struct Candidate {
    /// The agent.
    pub(in crate::store) agent: AgentId,
    to: oneshot::Sender<LeasedJob>,
}

impl Dispatch {
    /// Who has waited longest for a session to make on the target of this name.
    pub(in crate::store) fn to_make(&self, target: &TargetName) -> Option<Candidate> {
        let mut board = self.board();
        let id = *board.targets.get(target)?;
        board.take(Kind::Beginnings, (target, id))
    }

    /// Who has waited longest for a session to end on this target.
    pub(in crate::store) fn to_end(&self, target: &TargetName, id: TargetId) -> Option<Candidate> {
        self.board().take(Kind::Ends, (target, id))
    }

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
    fn take(&mut self, kind: Kind, (name, id): (&TargetName, TargetId)) -> Option<Candidate> {
        let fits =
            |waiting: &Waiting| waiting.kind == kind && waiting.serves.contains(&id) && !waiting.except.contains(name);
        let place = self.waiting.iter().position(fits)?;
        self.waiting.remove(place).map(|Waiting { agent, to, .. }| Candidate { agent, to })
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

    /// Waits no longer. Whoever has been taken for a request is told first what comes of it.
    pub(super) async fn leave(mut self) -> Option<LeasedJob> {
        if self.remove() { None } else { self.job().await }
    }

    /// True if the claim was still waiting.
    fn remove(&self) -> bool {
        let mut board = self.ledger.dispatch().board();
        let before = board.waiting.len();
        board.waiting.retain(|waiting| waiting.number != self.number);
        board.waiting.len() < before
    }
}

/// Hands the job to the agent that it is leased to.
pub(in crate::store) fn hand_over(ledger: &Ledger, to: Candidate, job: LeasedJob) {
    if let Err(job) = to.to.send(job) {
        return_to_queue(ledger.clone(), job);
    }
}

/// The agent that it is leased to has left: nobody else need wait for the lease's end.
fn return_to_queue(ledger: Ledger, job: LeasedJob) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        if let Err(error) = give_back(&ledger, &job).await {
            tracing::debug!(%error, "a job whose agent has left waits for the end of its lease");
        }
    });
}

const GIVE_BACK: &str = "-- jobs::give_back
    UPDATE jobs SET state = 'queued', run_at = now() WHERE id = $1 AND lease_token = $2 AND state = 'leased'
    RETURNING target_id, kind";

async fn give_back(ledger: &Ledger, leased: &LeasedJob) -> Result<(), StoreError> {
    let row = ledger.opt(GIVE_BACK, &[&leased.job.id().uuid(), &leased.lease_token]).await?;
    if let Some(row) = row {
        let row = Reader::new(&row, "job");
        let target = row.id("target_id", TargetId::from_uuid)?;
        ledger.wakeups().wake(if row.get::<&str>("kind")? == "create" {
            Wake::Beginnings(target)
        } else {
            Wake::Ends(target)
        });
    }
    Ok(())
}

impl Drop for Place {
    fn drop(&mut self) {
        self.remove();
        // What is sent from now on goes back to its sender.
        self.from.close();
        if let Ok(job) = self.from.try_recv() {
            return_to_queue(self.ledger.clone(), job);
        }
    }
}
