//! The control plane over plain HTTP, as a caller without `gk` meets it.

use reqwest::Method;
use serde_json::Value;
use std::sync::Once;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// An answer: its status and its body, which is null where it is no JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Value,
}

impl Answer {
    /// The body, after a look at the status.
    #[track_caller]
    #[expect(clippy::must_use_candidate, reason = "the look is what it is for")]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// Whether the request was carried out.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The text under this key; empty where there is none.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.body[key].as_str().unwrap_or_default()
    }
}

/// The address of a control plane on this port.
#[must_use]
pub fn url_of(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// A caller with a token.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Api {
    /// A caller of the control plane at `base`.
    #[must_use]
    pub fn new(base: &str, token: &str) -> Self {
        static TLS: Once = Once::new();
        // It fails only where a provider was installed before, and then that one serves.
        TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("the client needs nothing");
        Self { http, base: base.to_owned(), token: token.to_owned() }
    }

    /// The same caller with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Asks for `path`.
    ///
    /// # Errors
    /// Nobody answers, or the answer breaks off.
    pub async fn get(&self, path: &str) -> Result<Answer, reqwest::Error> {
        self.send(Method::GET, path, None, None).await
    }

    /// Sends `body` to `path`.
    ///
    /// # Errors
    /// Nobody answers, or the answer breaks off.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        self.send(Method::POST, path, Some(body), None).await
    }

    /// Asks for a session.
    ///
    /// # Errors
    /// Nobody answers, or the answer breaks off.
    pub async fn create(&self, key: &str, query: &str, body: &Value) -> Result<Answer, reqwest::Error> {
        self.send(Method::POST, &format!("/v1/sessions{query}"), Some(body), Some(key)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }
}
