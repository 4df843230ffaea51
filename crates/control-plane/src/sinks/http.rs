//! A receiver of signed POSTs.
//!
//! Always holds: https, or plain http to this very machine; a redirect is never followed; one delivery takes no
//! longer than it may, whatever the other side does; of an answer only its status and Retry-After are looked at.

use std::fmt;
use std::time::Duration;

use gk_edge::client::{Authorities, is_loopback};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Url, redirect};

use super::signature::Signer;

/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(3);
/// No receiver makes us wait longer than this.
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// Where an HTTP sink is.
#[derive(Clone, PartialEq, Eq)]
pub struct SinkUrl(Url);

/// Why a text is no address of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SinkUrlError {
    /// Not a URL of the right kind.
    #[error("an address is written like https://siem.example.com/gatekeeper, without user, password and fragment")]
    Malformed,
    /// Plain text over a network.
    #[error("plain http:// is only for this machine: use https://, or an address of the loopback interface")]
    Insecure,
}

impl std::str::FromStr for SinkUrl {
    type Err = SinkUrlError;

    fn from_str(text: &str) -> Result<Self, SinkUrlError> {
        let url: Url = text.parse().map_err(|_| SinkUrlError::Malformed)?;
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        match url.scheme() {
            "https" if bare && url.has_host() => Ok(Self(url)),
            "http" if bare && is_loopback(&url) => Ok(Self(url)),
            "http" if bare && url.has_host() => Err(SinkUrlError::Insecure),
            _ => Err(SinkUrlError::Malformed),
        }
    }
}

/// Scheme, host and port: what comes after them may be a secret of the receiver's.
impl fmt::Display for SinkUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for SinkUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// The machine offers no TLS set-up that works, or the authorities are of no use.
#[derive(Debug, thiserror::Error)]
#[error("no TLS client can be made")]
pub struct EndpointError(#[source] reqwest::Error);

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    /// No answer.
    #[error("{url} cannot be reached: {cause}")]
    Unreachable {
        /// Where.
        url: SinkUrl,
        /// What went wrong, down to its root.
        cause: String,
    },
    /// No answer in time.
    #[error("{url} has not answered within {patience:?}")]
    Late {
        /// Where.
        url: SinkUrl,
        /// How long it had.
        patience: Duration,
    },
    /// It points elsewhere.
    #[error("{url} answered {status}: a redirect is not followed, name the address that it points to")]
    Redirect {
        /// Where.
        url: SinkUrl,
        /// Its status.
        status: u16,
    },
    /// It does not take it.
    #[error("{url} answered {status}")]
    Refused {
        /// Where.
        url: SinkUrl,
        /// Its status.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
}

/// What is sent.
pub(super) struct Delivery<'a> {
    pub(super) id: &'a str,
    pub(super) body: &'a str,
    pub(super) at: Timestamp,
    pub(super) patience: Duration,
}

/// A receiver, and what to sign with.
#[derive(Debug, Clone)]
pub struct HttpEndpoint {
    url: SinkUrl,
    signer: Signer,
    http: reqwest::Client,
}

impl HttpEndpoint {
    /// A receiver at this address; `authorities` are trusted beside the system's own.
    ///
    /// # Errors
    /// The machine offers no TLS set-up that works.
    pub fn new(url: SinkUrl, signer: Signer, authorities: Option<&Authorities>) -> Result<Self, EndpointError> {
        gk_edge::install_tls();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("gatekeeper/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .redirect(redirect::Policy::none());
        if is_loopback(&url.0) {
            // A proxy has no business with the loopback interface.
            builder = builder.no_proxy();
        }
        if let Some(authorities) = authorities {
            builder = authorities.trusted_by(builder);
        }
        Ok(Self { url, signer, http: builder.build().map_err(EndpointError)? })
    }

    /// Sends it once.
    pub(super) async fn post(&self, delivery: &Delivery<'_>) -> Result<(), HttpError> {
        let Delivery { id, body, at, patience } = delivery;
        let request = self
            .http
            .post(self.url.0.clone())
            .timeout(*patience)
            .header(CONTENT_TYPE, "application/x-ndjson")
            .header("webhook-id", *id)
            .header("webhook-timestamp", at.as_second().to_string())
            .header("webhook-signature", self.signer.sign(id, *at, body))
            .body((*body).to_owned());
        let answer = request.send().await.map_err(|error| self.no_answer(&error, *patience))?;
        let (url, status) = (self.url.clone(), answer.status().as_u16());
        match status {
            200..=299 => Ok(()),
            300..=399 => Err(HttpError::Redirect { url, status }),
            _ => Err(HttpError::Refused { url, status, retry_after: retry_after(answer.headers()) }),
        }
    }

    fn no_answer(&self, error: &reqwest::Error, patience: Duration) -> HttpError {
        if error.is_timeout() {
            return HttpError::Late { url: self.url.clone(), patience };
        }
        // The outer error repeats the whole address.
        let mut cause: &dyn std::error::Error = error;
        while let Some(next) = cause.source() {
            cause = next;
        }
        HttpError::Unreachable { url: self.url.clone(), cause: cause.to_string() }
    }
}

/// Whole seconds; the other form of the header, a date, is as good as none.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_RETRY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_this_machine_and_shows_no_more_than_where_it_is() {
        for good in
            ["https://siem.example.com/x?token=1", "http://127.0.0.1:9/x", "http://localhost:9", "http://[::1]/"]
        {
            assert!(good.parse::<SinkUrl>().is_ok(), "{good}");
        }
        for bad in ["http://siem.example.com", "http://127.0.0.1.example.com/", "http://10.0.0.7/x"] {
            assert_eq!(bad.parse::<SinkUrl>(), Err(SinkUrlError::Insecure), "{bad}");
        }
        for bad in ["", "siem", "/x", "ftp://127.0.0.1", "https://me@siem.example.com", "https://x/#y", "file:///x"] {
            assert_eq!(bad.parse::<SinkUrl>(), Err(SinkUrlError::Malformed), "{bad}");
        }
        let url: SinkUrl = "https://siem.example.com:8443/s3cret?token=s3cret".parse().unwrap();
        assert_eq!(format!("{url} {url:?}"), "https://siem.example.com:8443 https://siem.example.com:8443");
    }

    #[test]
    fn a_receiver_may_ask_for_a_pause_and_not_for_a_long_one() {
        let of = |value: &str| retry_after(&[(RETRY_AFTER, value.parse().unwrap())].into_iter().collect());
        assert_eq!(of("7"), Some(Duration::from_secs(7)));
        assert_eq!(of("99999999"), Some(LONGEST_RETRY));
        assert_eq!(of("Wed, 21 Oct 2026 07:28:00 GMT"), None);
    }
}
