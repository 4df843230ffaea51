//! Renews the agent's certificate long before its end, and takes a new one that somebody put into its file.
//!
//! Always holds: the key of each certificate is made here and leaves this machine never; the file holds a whole pair at
//! every moment, and what works is not given up before what follows it is on disk.

use std::sync::Arc;
use std::time::Duration;

use gk_edge::certificate::Validity;
use gk_edge::pki::{PkiError, new_request};
use gk_shared::wire::agent::CertifyAgent;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::api::{ApiError, PlaneClient};
use crate::config::{IdentityError, IdentityFile};

/// Between two looks, at the most; short lives are looked at more often.
const LOOK: Duration = Duration::from_secs(60);
const LEAST_LOOK: Duration = Duration::from_millis(500);

/// Why there is no new certificate.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The key could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The control plane did not give one.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// It could not be kept.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// What is to be done about a certificate at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    No,
    /// It has used up two thirds of its time: fetch the next.
    Yes,
    /// It has ended, and cannot fetch anything any more.
    TooLate,
}

/// What is to be done about a certificate that holds like this.
#[must_use]
pub fn due(validity: Validity, now: Timestamp) -> Due {
    let (from, until, now) = (validity.from.as_second(), validity.until.as_second(), now.as_second());
    if now >= until {
        Due::TooLate
    } else if (now - from) * 3 >= (until - from) * 2 {
        Due::Yes
    } else {
        Due::No
    }
}

/// Looks after the certificate until `stop`. Ends at once where the agent shows a token.
pub(crate) async fn run(api: Arc<PlaneClient>, clock: fn() -> Timestamp, stop: CancellationToken) {
    let Some(file) = api.identity_file().cloned() else { return };
    let mut shown = file.read().ok().map(|identity| identity.validity);
    let mut said = String::new();
    loop {
        let done = tend(&api, &file, &mut shown, clock()).await;
        let now =
            done.map_or_else(|error| format!("the agent's certificate is not renewed: {error}"), |()| String::new());
        if now != said && !now.is_empty() {
            tracing::warn!("{now}");
        }
        said = now;
        let pause = shown.map_or(LOOK, |validity| {
            let life = validity.until.duration_since(validity.from).unsigned_abs();
            (life / 20).clamp(LEAST_LOOK, LOOK)
        });
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

async fn tend(
    api: &PlaneClient,
    file: &IdentityFile,
    shown: &mut Option<Validity>,
    now: Timestamp,
) -> Result<(), RenewalError> {
    let there = file.read()?.validity;
    if *shown != Some(there) {
        api.reload_identity()?;
        *shown = Some(there);
        tracing::info!(until = %there.until, "another certificate is shown");
    }
    match due(there, now) {
        Due::No => Ok(()),
        Due::Yes => {
            renew(api, file).await?;
            api.reload_identity()?;
            *shown = Some(file.read()?.validity);
            Ok(())
        }
        Due::TooLate => {
            let text =
                format!("it ended at {:.0}: enrol the agent again (gk-agent enroll --token-file FILE)", there.until);
            Err(IdentityError::Unusable(text).into())
        }
    }
}

/// Fetches the next certificate and keeps it.
async fn renew(api: &PlaneClient, file: &IdentityFile) -> Result<(), RenewalError> {
    let made = new_request()?;
    let certified = api.certify(&CertifyAgent { request: made.public }).await?;
    file.write(&made.key, &certified.certificate)?;
    tracing::info!(until = %certified.expires_at, "the agent's certificate was renewed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_time_is_left_and_not_after_its_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let validity = Validity { from: at(1000), until: at(1300) };
        for (now, expected) in
            [(900, Due::No), (1199, Due::No), (1200, Due::Yes), (1299, Due::Yes), (1300, Due::TooLate)]
        {
            assert_eq!(due(validity, at(now)), expected, "{now}");
        }
    }
}
