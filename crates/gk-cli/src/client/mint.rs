//! A session with its credential: asked for with a one-time key, opened here and nowhere else.

use std::convert::Infallible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gk_shared::dsn::PgDsn;
use gk_shared::idempotency::IdempotencyKey;
use gk_shared::seal::{RecipientSecret, SealError, SealedCredential};
use gk_shared::secret::SecretDsn;
use gk_shared::session::SessionStatus;
use gk_shared::wire::session::{CreateSession, SessionView};
use rand::{TryCryptoRng, TryRng};
use zeroize::Zeroizing;

use super::sessions::Wait;
use super::{CallError, Client, ClientError};

/// A key pair for one session. What it was made from can be kept where the user asks for that; the key itself cannot.
pub struct OneTimeKey {
    seed: Zeroizing<[u8; 32]>,
    secret: RecipientSecret,
}

impl std::fmt::Debug for OneTimeKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("OneTimeKey([REDACTED])")
    }
}

impl OneTimeKey {
    /// The key of these random bytes.
    #[must_use]
    pub fn from_seed(seed: Zeroizing<[u8; 32]>) -> Self {
        let secret = RecipientSecret::generate(&mut Given(seed.clone()));
        Self { seed, secret }
    }

    /// A fresh key.
    #[must_use]
    pub fn fresh() -> Self {
        Self::from_seed(crate::machine::random())
    }

    /// The public half, as a request carries it.
    #[must_use]
    pub fn public(&self) -> String {
        self.secret.public().to_string()
    }

    /// What [`from_seed`](Self::from_seed) takes, as text for a file of mode 0600.
    pub(crate) fn seed_text(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64.encode(self.seed.as_slice()))
    }

    /// The inverse of `seed_text`.
    pub(crate) fn from_seed_text(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).ok()?);
        let mut seed = Zeroizing::new([0; 32]);
        if bytes.len() != seed.len() {
            return None;
        }
        seed.copy_from_slice(&bytes);
        Some(Self::from_seed(seed))
    }

    /// Opens the credential of a session that was asked for with this key.
    ///
    /// # Errors
    /// There is none, or it does not open with this key.
    pub fn open(&self, view: &SessionView) -> Result<SecretDsn, SealError> {
        let sealed: SealedCredential = view.sealed_credential.as_deref().ok_or(SealError::MalformedBlob)?.parse()?;
        self.secret.open(&sealed, view.session_id, &view.target)
    }
}

/// A source of "randomness" that gives out a seed and stops: it turns the seed into the key and nothing else.
struct Given(Zeroizing<[u8; 32]>);

impl TryRng for Given {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("a key is made from bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("a key is made from bytes")
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.copy_from_slice(&self.0[..to.len()]);
        Ok(())
    }
}

impl TryCryptoRng for Given {}

/// A session that is ready, and the login it stands for.
#[derive(Debug)]
pub struct Opened {
    /// The session.
    pub view: SessionView,
    /// The login.
    pub dsn: PgDsn,
}

impl Client {
    /// Asks for a session with a one-time key, waits until it is ready, and opens its credential: what `gk session
    /// create` does, and what the benchmark measures.
    ///
    /// # Errors
    /// A call failed, the session failed, or it is not ready within `wait`.
    pub async fn open_session(&self, asked: CreateSession, wait: Wait) -> Result<Opened, CallError> {
        let one_time = OneTimeKey::fresh();
        let asked = CreateSession { recipient_public_key: Some(one_time.public()), ..asked };
        let deadline = tokio::time::Instant::now() + wait.duration();
        let view = self.create_session(&asked, &fresh_key(), wait.duration()).await?;
        let view = self.settled(view, deadline, is_coming).await?;
        let request = view.correlation_id.clone();
        let failed = |error| CallError { error, request: request.clone() };
        match view.status {
            SessionStatus::Ready => {
                let dsn = one_time.open(&view).map_err(|error| failed(error.into()))?;
                let dsn = PgDsn::parse(dsn.expose()).map_err(|_| failed(SealError::MalformedBlob.into()))?;
                Ok(Opened { view, dsn })
            }
            SessionStatus::PendingApproval | SessionStatus::Provisioning => {
                Err(failed(ClientError::NotReady(Box::new(view))))
            }
            SessionStatus::Revoking
            | SessionStatus::Quarantined
            | SessionStatus::Revoked
            | SessionStatus::Expired
            | SessionStatus::Failed
            | SessionStatus::Denied
            | SessionStatus::Cancelled => Err(failed(ClientError::NotProvided(Box::new(view)))),
        }
    }
}

/// Whether a session may still get ready by itself.
pub(crate) fn is_coming(view: &SessionView) -> bool {
    match view.status {
        SessionStatus::PendingApproval | SessionStatus::Provisioning => true,
        SessionStatus::Ready
        | SessionStatus::Revoking
        | SessionStatus::Quarantined
        | SessionStatus::Revoked
        | SessionStatus::Expired
        | SessionStatus::Failed
        | SessionStatus::Denied
        | SessionStatus::Cancelled => false,
    }
}

/// A key for a request that is made once.
pub(crate) fn fresh_key() -> IdempotencyKey {
    let text = gk_shared::seal::hex(crate::machine::random::<16>().as_slice());
    text.parse().expect("32 hex digits are a good key")
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::ids::SessionId;
    use gk_shared::seal::{Purpose, RecipientKey};

    #[test]
    fn a_key_kept_as_text_is_the_same_key_again() {
        let key = OneTimeKey::from_seed(Zeroizing::new([7; 32]));
        let again = OneTimeKey::from_seed_text(&key.seed_text()).expect("reads back");
        assert_eq!(key.public(), again.public());
        assert!(OneTimeKey::from_seed_text("AAAA").is_none());
        assert_eq!(format!("{key:?}"), "OneTimeKey([REDACTED])");
    }

    #[test]
    fn it_opens_what_an_agent_sealed_to_it() {
        let key = OneTimeKey::fresh();
        let to: RecipientKey = key.public().parse().expect("a good key");
        let (session, target) = (SessionId::from_parts(1, [1; 10]), "pg-local".parse().expect("a name"));
        let dsn = SecretDsn::from("postgresql://u:p@h:1/d");
        let sealed =
            SealedCredential::seal(&dsn, &to, &Purpose { session, target: &target, generation: 1 }, &mut rand::rng())
                .expect("seals");
        let view = serde_json::from_value(serde_json::json!({
            "sessionId": session, "status": "ready", "target": target, "role": "app_read", "packVersion": "pg-1.0.0",
            "requester": "dana", "createdAt": "2026-11-22T00:00:00Z", "ttlSeconds": 60, "databaseUser": "gk_x",
            "sealedCredential": sealed.to_string(), "correlationId": "req_x",
        }));
        assert_eq!(key.open(&view.expect("a view")).expect("opens"), dsn);
    }
}
