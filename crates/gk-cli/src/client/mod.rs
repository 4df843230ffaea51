//! The control plane, as a caller sees it: one method a call, typed in and typed out.
//!
//! Always holds: a redirect is never followed and the token goes to the address it was given for; plain http goes to
//! this machine alone; every call carries a request id; an answer that cannot be read is a difference of versions, never
//! a panic. `gk` and the benchmark both use it.

mod address;
mod admin;
mod failure;
mod mint;
mod sessions;

use std::time::Duration;

use gk_edge::client::Authorities;
use gk_shared::idempotency::IdempotencyKey;
use gk_shared::ids::RequestId;
use gk_shared::problem::Problem;
use gk_shared::secret::BearerToken;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, StatusCode, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use address::{Address, AddressError};
pub use admin::AuditQuery;
pub use failure::{CallError, CertificateFault, ClientError};
pub use gk_edge::install_tls;
pub use mint::{OneTimeKey, Opened};
pub(crate) use mint::{fresh_key, is_coming};
pub use sessions::{SessionFilter, Wait};

/// Header in which the control plane tells its version.
const VERSION_HEADER: &str = "x-gatekeeper-version";
const REQUEST_HEADER: &str = "x-request-id";
/// No answer of ours is larger; a server that sends more is not one of ours.
const MOST_BYTES: usize = 32 * 1024 * 1024;
const CONNECT: Duration = Duration::from_secs(5);
/// How long a call without a wait may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A control plane and the token to call it with.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    address: Address,
    token: Option<BearerToken>,
    trace: fn(&str),
    shown: bool,
}

/// One call.
pub(super) struct Call<'a> {
    method: Method,
    path: &'a str,
    query: Vec<(&'static str, String)>,
    body: Option<serde_json::Value>,
    key: Option<&'a IdempotencyKey>,
    wait: Duration,
}

impl<'a> Call<'a> {
    fn get(path: &'a str) -> Self {
        Self { method: Method::GET, path, query: Vec::new(), body: None, key: None, wait: Duration::ZERO }
    }

    fn post(path: &'a str, body: &impl Serialize) -> Self {
        let body = serde_json::to_value(body).expect("requests have text keys and finite numbers only");
        Self { method: Method::POST, body: Some(body), ..Self::get(path) }
    }

    fn query(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    fn query_if(self, name: &'static str, value: Option<impl std::fmt::Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Lets the server wait this long before it answers.
    fn waiting(self, wait: Duration) -> Self {
        if wait.is_zero() {
            return self;
        }
        let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self { wait, ..self.query("wait", format!("{secs}s")) }
    }
}

impl Client {
    /// A client for this address. Calls without a token are answered with `not_logged_in`.
    ///
    /// # Errors
    /// The machine offers no TLS set-up that works.
    pub fn new(address: Address, token: Option<BearerToken>) -> Result<Self, ClientError> {
        Self::trusting(address, token, None)
    }

    /// The same, with authorities that are trusted beside the system's own.
    ///
    /// # Errors
    /// The machine offers no TLS set-up that works.
    pub fn trusting(
        address: Address,
        token: Option<BearerToken>,
        authorities: Option<&Authorities>,
    ) -> Result<Self, ClientError> {
        gk_edge::install_tls();
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("gk/", env!("CARGO_PKG_VERSION")));
        if address.is_loopback() {
            builder = builder.no_proxy();
        }
        if let Some(authorities) = authorities {
            builder = authorities.trusted_by(builder);
        }
        let http = builder.build().map_err(|error| ClientError::Setup(error.to_string()))?;
        Ok(Self { http, address, token, trace: |_| (), shown: false })
    }

    /// The same client, telling `trace` of each call: method, path, status, request id, and never a header or a body.
    #[must_use]
    pub fn traced(mut self, trace: fn(&str)) -> Self {
        (self.trace, self.shown) = (trace, true);
        self
    }

    /// Where it calls.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    async fn call<T: DeserializeOwned>(&self, call: Call<'_>) -> Result<T, CallError> {
        let request = RequestId::from_parts(crate::machine::unix_ms(), *crate::machine::random()).to_string();
        let name = format!("{} {}", call.method, call.path);
        let sent = self.send(call, &request).await;
        let (answered, shown) = match &sent {
            Ok(response) => (request_of(response.headers()), response.status().to_string()),
            Err(error) => (None, error.to_string()),
        };
        let request = answered.unwrap_or(request);
        if self.shown {
            (self.trace)(&format!("{name} {shown} {request}"));
        }
        let read = match sent {
            Ok(response) => self.read(response).await,
            Err(error) => Err(error),
        };
        read.map_err(|error| CallError { error, request })
    }

    async fn send(&self, call: Call<'_>, request: &str) -> Result<Response, ClientError> {
        let url = self.address.path(call.path);
        let mut builder = self.http.request(call.method, url).query(&call.query).header(REQUEST_HEADER, request);
        if let Some(token) = &self.token {
            builder = builder.bearer_auth(token.expose());
        }
        if let Some(key) = call.key {
            builder = builder.header("idempotency-key", key.as_str());
        }
        if let Some(body) = &call.body {
            builder = builder.json(body);
        }
        builder.timeout(PATIENCE + call.wait).send().await.map_err(|error| failure::sort(&self.address, &error))
    }

    async fn read<T: DeserializeOwned>(&self, response: Response) -> Result<T, ClientError> {
        let status = response.status();
        if status.is_redirection() {
            let to = response.headers().get("location").and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
            return Err(ClientError::Redirect { address: self.address.to_string(), to: to.to_owned() });
        }
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let server = header(VERSION_HEADER).map(str::to_owned);
        let retry_after = header(RETRY_AFTER.as_str()).and_then(|after| after.parse().ok());
        let body = self.body(response).await?;
        let not_ours = || ClientError::NotOurs {
            address: self.address.to_string(),
            status: status.as_u16(),
            server: server.clone().or_else(|| version_in(&body)),
        };
        if status.is_success() {
            // An empty answer reads as null, so that calls without a result are calls like all others.
            let text: &[u8] = if body.is_empty() { b"null" } else { &body };
            return serde_json::from_slice(text).map_err(|_| not_ours());
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Refused { problem: Box::new(problem), retry_after }),
            // Between us and the control plane stands something that cannot reach it.
            Err(_) if is_gateway(status) => Err(ClientError::Unreachable {
                address: self.address.to_string(),
                cause: format!("something before it answered {status}"),
            }),
            Err(_) => Err(not_ours()),
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure::sort(&self.address, &error))? {
            if body.len() + chunk.len() > MOST_BYTES {
                return Err(ClientError::NotOurs { address: self.address.to_string(), status, server: None });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

fn request_of(headers: &HeaderMap) -> Option<String> {
    headers.get(REQUEST_HEADER).and_then(|id| id.to_str().ok()).map(str::to_owned)
}

/// Some answers tell the version in their body.
fn version_in(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    value.get("version")?.as_str().map(str::to_owned)
}

fn is_gateway(status: StatusCode) -> bool {
    [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT].contains(&status)
}
