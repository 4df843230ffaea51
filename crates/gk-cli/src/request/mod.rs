//! Asking for a session, as `session create`, `exec` and `connect` do it.
//!
//! Always holds: a session that this process began and cannot hand over is ended or named. Ctrl-C, `kill` and a terminal
//! that goes away end it; a wait that is over keeps its one-time key in a file of mode 0600, so that `gk session dsn`
//! can still open it.

pub(crate) mod choice;
mod kept;
mod stop;
mod wanted;

use std::time::Duration;

use gk_shared::dsn::PgDsn;
use gk_shared::idempotency::IdempotencyKey;
use gk_shared::ids::SessionId;
use gk_shared::problem::ErrorCode;
use gk_shared::session::SessionStatus;
use gk_shared::wire::session::{CreateSession, RevokeSession, SessionView};
use tokio::time::Instant;

use crate::app::App;
use crate::client::{Client, OneTimeKey, is_coming};
use crate::convert::not_provided;
use crate::error::CliError;

pub(crate) use kept::KeptKeys;
pub(crate) use stop::Stop;
use stop::Stops;
pub(crate) use wanted::{Wanted, WantedFlags, given};

/// How long gk tries to end a session that it cannot hand over.
pub(crate) const END_BUDGET: Duration = Duration::from_secs(5);

/// To whom the credential is sealed.
#[derive(Debug)]
pub(crate) enum Sealing {
    /// To a key that only this process has.
    OneTime(OneTimeKey),
    /// To the caller's token: any later call with that token can read it.
    Token,
}

/// A request for a session.
#[derive(Debug)]
pub(crate) struct Ask {
    /// What is asked for.
    pub(crate) request: CreateSession,
    /// Makes a repeat the same request.
    pub(crate) key: IdempotencyKey,
    /// Who can open it.
    pub(crate) sealing: Sealing,
    /// How long to wait for it.
    pub(crate) wait: Duration,
}

/// A session that is ready.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The session.
    pub(crate) view: SessionView,
    /// Its login.
    pub(crate) dsn: PgDsn,
    /// How long it took.
    pub(crate) took: Duration,
    /// The key that opens it again.
    pub(crate) one_time: Option<OneTimeKey>,
}

/// What became of a request that was not refused.
#[derive(Debug)]
pub(crate) enum Made {
    /// It is ready.
    Ready(Box<Ready>),
    /// It is on its way.
    Coming(Box<SessionView>, Sealing),
}

impl Ask {
    /// A request with a one-time key.
    pub(crate) fn sealed(request: CreateSession, wait: Duration) -> Self {
        let one_time = OneTimeKey::fresh();
        let request = CreateSession { recipient_public_key: Some(one_time.public()), ..request };
        Self { request, key: crate::client::fresh_key(), sealing: Sealing::OneTime(one_time), wait }
    }

    /// A request whose credential any call with the same token can read.
    pub(crate) fn by_token(request: CreateSession, key: IdempotencyKey, wait: Duration) -> Self {
        Self { request, key, sealing: Sealing::Token, wait }
    }
}

/// Asks, and waits until the session is ready, has failed, or the wait is over. Where policy wants a reason and somebody
/// sits at the terminal, they are asked for it: a refused request has made nothing, so it can be sent again.
pub(crate) async fn make(app: &App, client: &Client, mut ask: Ask) -> Result<Made, CliError> {
    let mut stops = Stops::listen()?;
    match attempt(app, client, &ask, &mut stops).await {
        Ok(view) => settle(view, ask.sealing),
        Err(error)
            if error.code() == Some(ErrorCode::ReasonRequired) && ask.request.reason.is_none() && app.may_ask() =>
        {
            ask.request.reason = Some(asked_reason(app, &mut stops).await?);
            let view = attempt(app, client, &ask, &mut stops).await?;
            settle(view, ask.sealing)
        }
        Err(error) => Err(error),
    }
}

/// A session as it was at the end of the wait, and how long that took.
type Awaited = (SessionView, Duration);

/// A signal ends what was begun.
async fn attempt(app: &App, client: &Client, ask: &Ask, stops: &mut Stops) -> Result<Awaited, CliError> {
    let begun = Instant::now();
    let first = format!("asking for {} on {}", ask.request.role, ask.request.target);
    let mut progress = app.out.progress(&first);
    let waited = tokio::select! {
        waited = wait_for(client, ask, &mut progress, begun + ask.wait) => waited,
        stop = stops.next() => {
            drop(progress);
            return Err(stopped(client, ask, stop).await);
        }
    };
    drop(progress);
    waited.map(|view| (view, begun.elapsed()))
}

/// The reason, unless a signal comes first: by now it no longer kills a `gk` that sits at the question.
async fn asked_reason(app: &App, stops: &mut Stops) -> Result<String, CliError> {
    tokio::select! {
        answer = app.ask_meanwhile("--reason", "Reason") => answer,
        stop = stops.next() => Err(CliError::new(ErrorCode::Interrupted, format!("{}: nothing was made", stop.word()))
            .exit_as(stop.exit())
            .next("Nothing is left to do.")),
    }
}

fn settle((view, took): Awaited, sealing: Sealing) -> Result<Made, CliError> {
    if is_coming(&view) {
        return Ok(Made::Coming(Box::new(view), sealing));
    }
    if view.status != SessionStatus::Ready {
        return Err(not_provided(&view).request(Some(view.correlation_id.clone())));
    }
    opened(view, sealing, took).map(|ready| Made::Ready(Box::new(ready)))
}

async fn wait_for(
    client: &Client,
    ask: &Ask,
    progress: &mut crate::output::Progress,
    deadline: Instant,
) -> Result<SessionView, CliError> {
    let view = client.create_session(&ask.request, &ask.key, ask.wait).await?;
    if is_coming(&view) && Instant::now() < deadline {
        progress.step("policy ok");
        progress.step("agent minting");
    }
    Ok(client.settled(view, deadline, is_coming).await?)
}

/// Opens the credential of a session that is ready.
pub(crate) fn opened(view: SessionView, sealing: Sealing, took: Duration) -> Result<Ready, CliError> {
    let gone = |what: &str| {
        CliError::new(ErrorCode::CredentialGone, format!("session {}: {what}", view.session_id))
            .request(Some(view.correlation_id.clone()))
    };
    let (text, one_time) = match sealing {
        Sealing::OneTime(key) => {
            let dsn = key.open(&view).map_err(|error| gone(&error.to_string()))?;
            (gk_shared::secret::SecretText::from(dsn), Some(key))
        }
        Sealing::Token => {
            let dsn = view.dsn.clone();
            (dsn.ok_or_else(|| gone("its credential was sealed to a one-time key, or to another token"))?, None)
        }
    };
    let dsn = PgDsn::parse(text.expose()).map_err(|error| gone(&error.to_string()))?;
    Ok(Ready { view, dsn, took, one_time })
}

/// Stopped by a signal: the same request again names the session that was begun, and then it is ended.
async fn stopped(client: &Client, ask: &Ask, stop: Stop) -> CliError {
    let word = stop.word();
    let error = |what: String| CliError::new(ErrorCode::Interrupted, format!("{word}: {what}")).exit_as(stop.exit());
    let named = tokio::time::timeout(END_BUDGET, client.create_session(&ask.request, &ask.key, Duration::ZERO)).await;
    match named {
        Ok(Ok(view)) => match end(client, view.session_id, stop.reason()).await {
            Ok(()) => error(format!("session {} is being ended", view.session_id)).next("Nothing is left to do."),
            Err(_) => error(format!("session {} could not be ended", view.session_id))
                .next(format!("gk session revoke {}", view.session_id)),
        },
        Ok(Err(_)) | Err(_) => {
            error("whether a session was made is not known".to_owned()).next("See `gk session list`.")
        }
    }
}

/// Ends a session within the budget; after that its own time ends it.
pub(crate) async fn end(client: &Client, id: SessionId, why: &str) -> Result<(), CliError> {
    let body = RevokeSession { reason: Some(why.to_owned()) };
    match tokio::time::timeout(END_BUDGET, client.revoke_session(id, &body, Duration::ZERO)).await {
        Ok(answer) => answer.map(|_| ()).map_err(CliError::from),
        Err(_) => Err(CliError::new(ErrorCode::ControlPlaneUnreachable, "the control plane did not answer within 5 s")),
    }
}

/// The wait is over and the session is not: keeps what opens it later, or withdraws it.
pub(crate) async fn leave_coming(app: &App, client: &Client, view: &SessionView, sealing: Sealing) -> CliError {
    let id = view.session_id;
    let timeout = CliError::new(ErrorCode::WaitTimeout, format!("session {id} is not ready yet ({})", view.status))
        .request(Some(view.correlation_id.clone()));
    let later = format!("`gk session dsn {id}` when it is ready, or gk session revoke {id}");
    let key = match sealing {
        Sealing::Token => return timeout.next(later),
        Sealing::OneTime(key) => key,
    };
    let kept = app.paths().and_then(|paths| KeptKeys::new(&paths).keep(client.address(), view, &key));
    match kept {
        Ok(()) => timeout.why("it goes on by itself; its one-time key is kept in a file of yours").next(later),
        Err(_) => match end(client, id, "nobody can open its credential any more").await {
            Ok(()) => timeout.why("its one-time key could not be kept, so it was ended").next("Run the command again."),
            Err(_) => timeout.why("its one-time key could not be kept").next(format!("gk session revoke {id}")),
        },
    }
}
