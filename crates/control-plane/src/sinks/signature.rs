//! The signature of a delivery, as Standard Webhooks has it: HMAC-SHA-256 over id, time and body.
//!
//! It tells the receiver who sends, and that nobody changed anything on the way. What the log itself says is proven by its
//! chain and by signed checkpoints, whoever carried it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// What begins a secret.
const PREFIX: &str = "whsec_";
/// How long one is, in bytes.
const LENGTH: std::ops::RangeInclusive<usize> = 24..=64;

/// Why a text is no secret. Never repeats any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it holds no webhook secret: write whsec_ and 24 to 64 random bytes in base64; two of them, with a space between, while one replaces the other"
)]
pub struct WebhookSecretError;

/// The secrets that deliveries are signed with: one, or two while the one replaces the other.
#[derive(Clone)]
pub struct Signer(Vec<Zeroizing<Vec<u8>>>);

impl fmt::Debug for Signer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Signer([REDACTED])")
    }
}

impl std::str::FromStr for Signer {
    type Err = WebhookSecretError;

    fn from_str(text: &str) -> Result<Self, WebhookSecretError> {
        let secrets = text.split(' ').map(secret).collect::<Option<Vec<_>>>().ok_or(WebhookSecretError)?;
        if secrets.len() <= 2 { Ok(Self(secrets)) } else { Err(WebhookSecretError) }
    }
}

fn secret(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let secret = Zeroizing::new(STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?);
    LENGTH.contains(&secret.len()).then_some(secret)
}

impl Signer {
    /// The value of `webhook-signature` for a delivery at this time, in seconds since 1970.
    pub(super) fn sign(&self, id: &str, at: Timestamp, body: &str) -> String {
        let one = |secret: &Zeroizing<Vec<u8>>| {
            let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
            mac.update(format!("{id}.{}.", at.as_second()).as_bytes());
            mac.update(body.as_bytes());
            format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
        };
        self.0.iter().map(one).collect::<Vec<_>>().join(" ")
    }
}

/// The id of a delivery: the same for the same bytes to the same sink, so that a repeated one is known as such.
pub(super) fn webhook_id(sink: &str, body: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"gatekeeper/sink v1\0");
    hash.update(sink.as_bytes());
    hash.update(b"\0");
    hash.update(body.as_bytes());
    format!("msg_{}", gk_shared::seal::hex(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's own libraries.
    #[test]
    fn a_signature_is_what_other_implementations_of_standard_webhooks_make() {
        let signer: Signer = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let signed = signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", at, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_has_its_prefix_and_enough_bytes_and_is_never_shown() {
        let good = format!("whsec_{}", STANDARD.encode([7; 32]));
        let both: Signer = format!("{good} whsec_{}", STANDARD.encode([8; 24])).parse().unwrap();
        assert_eq!(both.sign("id", Timestamp::UNIX_EPOCH, "x").split(' ').count(), 2);
        assert_eq!(format!("{both:?}"), "Signer([REDACTED])");
        let short = format!("whsec_{}", STANDARD.encode([7; 23]));
        let three = format!("{good} {good} {good}");
        for bad in ["", "whsec_", "whsec_!!", &good[6..], &short, &three, &format!("{good}  {good}")] {
            assert!(matches!(bad.parse::<Signer>(), Err(WebhookSecretError)), "{bad}");
        }
    }

    #[test]
    fn an_id_is_of_the_bytes_and_the_sink() {
        assert_eq!(webhook_id("a", "x"), webhook_id("a", "x"));
        assert_ne!(webhook_id("a", "x"), webhook_id("b", "x"));
        assert_ne!(webhook_id("a", "x"), webhook_id("a", "y"));
        assert!(!webhook_id("a", "x").contains('.'), "the signed text is split at dots");
    }
}
