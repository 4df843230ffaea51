//! The pump of one sink: looks what it has not got, delivers it, notes that, and tries again for as long as it takes.

use std::time::Duration;

use gk_shared::problem::ErrorCode;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::delivery::{DeliveryError, Outlet};
use super::{Content, Means, Pace, SinkConfig, SinkName};
use crate::http::metrics::Metrics;
use crate::http::problem::chain;
use crate::store::sinks::{self, Turn};
use crate::store::{Ledger, StoreError};

/// How long the last delivery may take when the process stops.
const LAST: Duration = Duration::from_secs(2);

/// What delivers to one sink.
pub(super) struct Pump {
    name: SinkName,
    content: Content,
    pace: Pace,
    outlet: Outlet,
    ledger: Ledger,
    metrics: Metrics,
    /// Names this process, as long as it runs.
    holder: Uuid,
    registered: bool,
    trouble: Trouble,
}

/// What a round did.
enum Round {
    /// There is nothing to deliver, or another process delivers.
    Idle,
    /// Everything that there was is delivered.
    Delivered,
    /// A full batch is delivered, so there is more.
    Full,
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
}

impl RoundError {
    const fn code(&self) -> ErrorCode {
        match self {
            Self::Store(error) => error.code(),
            Self::Delivery(error) => error.code(),
        }
    }
}

impl Pump {
    pub(super) fn new(sink: &SinkConfig, means: &Means) -> Self {
        let holder = uuid::Builder::from_random_bytes(means.ledger.random_bytes()).into_uuid();
        Self {
            name: sink.name.clone(),
            content: sink.content,
            pace: sink.pace,
            outlet: Outlet::new(sink, means.machine),
            ledger: means.ledger.clone(),
            metrics: means.metrics.clone(),
            holder,
            registered: false,
            trouble: Trouble::default(),
        }
    }

    async fn deliver(&mut self, stop: &CancellationToken) {
        loop {
            // Whatever was written before the stop is seen by the round that begins after it.
            let last = stop.is_cancelled();
            let done = self.round().await;
            let pause = match &done {
                Ok(Round::Full) => Duration::ZERO,
                Ok(Round::Delivered | Round::Idle) => self.pace.period,
                Err(error) => self.failed(error).await,
            };
            if matches!(done, Ok(Round::Delivered | Round::Full)) {
                self.trouble.ends(&self.name);
            }
            if last && !matches!(done, Ok(Round::Full)) {
                return;
            }
            stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    async fn round(&mut self) -> Result<Round, RoundError> {
        if !self.registered {
            sinks::register(&self.ledger, &self.name).await?;
            self.registered = true;
        }
        let turn = sinks::turn(&self.ledger, &self.name, self.content, self.holder).await?;
        let standing = match turn {
            Turn::Ours(standing) => standing,
            // Whatever was wrong may be still.
            Turn::Resting => return Ok(Round::Idle),
            // Done, or another process' trouble by now.
            Turn::Idle | Turn::Theirs => {
                self.trouble = Trouble::default();
                return Ok(Round::Idle);
            }
        };
        self.trouble.tries = standing.tries;
        let mut batch = sinks::batch(&self.ledger, self.content, standing).await?;
        if !sinks::begin(&self.ledger, &self.name, self.holder, &batch).await? {
            return Ok(Round::Idle);
        }
        let lines = std::mem::take(&mut batch.lines);
        if !lines.is_empty() {
            self.outlet.deliver(lines).await?;
        }
        sinks::finish(&self.ledger, &self.name, self.holder, &batch).await?;
        Ok(if batch.full { Round::Full } else { Round::Delivered })
    }

    /// Notes a failure, for all who deliver to this sink, and gives the pause after it.
    async fn failed(&mut self, error: &RoundError) -> Duration {
        self.trouble.tell(&self.name, error);
        match error {
            // Nobody was bothered, and everything waits for the ledger. The row may be gone with one that was put back.
            RoundError::Store(_) => {
                self.registered = false;
                self.ledger.jittered(self.pace.first_pause)
            }
            RoundError::Delivery(error) => {
                self.metrics.sink_failed(self.name.as_str());
                let pause = self.ledger.jittered(self.trouble.pause(&self.pace));
                let pause = pause.max(error.retry_after().unwrap_or_default());
                if let Err(error) = sinks::refused(&self.ledger, &self.name, self.holder, pause).await {
                    tracing::debug!(sink = %self.name, %error, "that a sink takes nothing was not noted for others");
                }
                pause
            }
        }
    }
}

/// Delivers until `stop`, and then what there is, once.
pub(super) async fn run(mut pump: Pump, stop: CancellationToken) {
    let late = async {
        stop.cancelled().await;
        tokio::time::sleep(LAST).await;
    };
    tokio::select! {
        () = pump.deliver(&stop) => {}
        () = late => tracing::warn!(sink = %pump.name, "an audit sink has not got everything: the rest follows at the next start"),
    }
    // Others need not wait until it is clear that nobody delivers.
    let released = tokio::time::timeout(LAST, sinks::release(&pump.ledger, &pump.name, pump.holder)).await;
    if !matches!(released, Ok(Ok(()))) {
        tracing::debug!(sink = %pump.name, "a sink was not handed over");
    }
}

/// A sink that takes nothing: how often it was tried, and what was said of it.
#[derive(Debug, Default)]
struct Trouble {
    tries: u32,
    since: Option<Instant>,
    said: String,
}

impl Trouble {
    /// Says what is wrong, once for each kind of wrong.
    fn tell(&mut self, name: &SinkName, error: &RoundError) {
        self.since.get_or_insert_with(Instant::now);
        let said = chain(error).to_string();
        if said != self.said {
            let code = error.code().as_str();
            tracing::warn!(code, sink = %name, error = said, "an audit sink gets nothing: it is tried again, and loses nothing");
            self.said = said;
        }
    }

    fn ends(&mut self, name: &SinkName) {
        if let Some(since) = self.since {
            tracing::info!(sink = %name, away = ?since.elapsed(), tries = self.tries, "an audit sink takes deliveries again");
        }
        *self = Self::default();
    }

    /// The pause before the next try.
    fn pause(&mut self, pace: &Pace) -> Duration {
        let pause = pace.first_pause.saturating_mul(1_u32.checked_shl(self.tries).unwrap_or(u32::MAX));
        self.tries = self.tries.saturating_add(1);
        pause.min(pace.last_pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_once_something_was_delivered() {
        let mut trouble = Trouble::default();
        let name: SinkName = "siem".parse().unwrap();
        let seconds = |trouble: &mut Trouble| trouble.pause(&Pace::default()).as_secs();
        assert_eq!([(); 8].map(|()| seconds(&mut trouble)), [1, 2, 4, 8, 16, 32, 60, 60]);
        (0..100).for_each(|_| assert_eq!(seconds(&mut trouble), 60));
        trouble.ends(&name);
        assert_eq!(seconds(&mut trouble), 1);
    }
}
