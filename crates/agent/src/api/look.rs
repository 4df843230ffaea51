//! A look at the control plane that changes nothing there: for the doctor, which may run beside an agent, or without one.

use gk_shared::ids::JobId;
use gk_shared::wire::job::{RenewJob, RenewedJob};
use jiff::Timestamp;
use serde::Deserialize;

use super::{ApiError, CALL_TIMEOUT, Call, PlaneClient, read_answer, reason};

/// The control plane, as an agent finds it that only looks.
#[derive(Debug)]
pub struct Sight {
    /// Its version.
    pub version: String,
    /// Its clock, to the second; none if something between us takes the header away.
    pub time: Option<Timestamp>,
}

/// As much of `/readyz` as is needed.
#[derive(Deserialize)]
struct Ready {
    version: String,
}

impl PlaneClient {
    /// Looks whether the control plane serves, what time it is there, and whether it takes our token.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn look(&self) -> Result<Sight, ApiError> {
        let asked = self.http.get(self.base.at("/v1/readyz")).timeout(CALL_TIMEOUT).send().await;
        let answer = asked.map_err(|error| ApiError::Unreachable(reason(&error)))?;
        let time = answer.headers().get("date").and_then(|date| date.to_str().ok()).and_then(http_date);
        let Ready { version } = read_answer(answer).await?;
        self.show_token().await?;
        Ok(Sight { version, time })
    }

    /// Renews a lease that nobody can hold: to be told so takes a token that works, and changes nothing.
    async fn show_token(&self) -> Result<(), ApiError> {
        let nobodys = RenewJob { lease_token: "none".to_owned(), generation: 1 };
        let path = format!("/v1/agent/jobs/{}/renew", JobId::from_parts(0, [0; 10]));
        match self.post::<RenewedJob>(&path, &nobodys, Call { timeout: CALL_TIMEOUT, request_id: None }).await {
            Ok(_) => Err(ApiError::Malformed("it renewed a lease that there is not".to_owned())),
            Err(error) if error.is_stale() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// `Sun, 22 Nov 2026 05:00:00 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_header_is_read_to_the_second() {
        let read = http_date("Sun, 22 Nov 2026 05:00:07 GMT");
        assert_eq!(read, Some("2026-11-22T05:00:07Z".parse().expect("a time")));
        assert_eq!(http_date("today"), None);
    }
}
