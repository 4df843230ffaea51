//! Idempotency keys: a key that is taken is kept as it is, byte for byte, or two requests become one.

use gk_shared::idempotency::IdempotencyKey;

use crate::shape::{assert_message, text};

/// A key is kept byte for byte or refused.
pub fn check(bytes: &[u8]) {
    let text = text(bytes);
    let wanted = (8..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    match text.parse::<IdempotencyKey>() {
        Ok(key) => {
            assert!(wanted, "{text:?} was taken");
            assert_eq!(key.as_str(), text);
            let json = serde_json::to_string(&key).expect("a text");
            assert_eq!(serde_json::from_str::<IdempotencyKey>(&json).expect("reads back"), key);
        }
        Err(error) => {
            assert!(!wanted, "{text:?} was refused: {error}");
            assert_message(&error.to_string());
        }
    }
}
