//! The system's keyring, asked with a limit: where nobody answers within two seconds there is none.

use std::sync::mpsc;
use std::time::Duration;

use gk_shared::secret::{BearerToken, SecretText};

use super::TokenError;
use crate::context::ContextName;

const SERVICE: &str = "gatekeeper";
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs `ask` on a thread of its own, because a keyring may wait for ever for somebody to unlock it.
fn within_patience<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, keyring::Error> + Send + 'static,
) -> Result<T, TokenError> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        // Nobody listens any more once the patience is over.
        let _ = sender.send(ask());
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(answer) => answer.map_err(|error| TokenError::Keyring(error.to_string())),
        Err(_) => Err(TokenError::Keyring("it did not answer within 2 s".to_owned())),
    }
}

/// The token of a context, if the keyring has one.
pub(super) fn load(context: &ContextName) -> Result<Option<BearerToken>, TokenError> {
    let name = context.to_string();
    let found = within_patience(move || match keyring::Entry::new(SERVICE, &name)?.get_password() {
        Ok(text) => Ok(Some(SecretText::from(text))),
        Err(keyring::Error::NoEntry) => Ok(None),
        Err(error) => Err(error),
    })?;
    found.map(|text| BearerToken::parse(text.expose()).map_err(TokenError::Typed)).transpose()
}

/// Saves the token of a context.
pub(crate) fn save(context: &ContextName, token: &BearerToken) -> Result<(), TokenError> {
    let (name, token) = (context.to_string(), token.clone());
    within_patience(move || keyring::Entry::new(SERVICE, &name)?.set_password(token.expose()))
}

/// Removes the token of a context; that there is none is no fault.
pub(crate) fn forget(context: &ContextName) -> Result<(), TokenError> {
    let name = context.to_string();
    within_patience(move || match keyring::Entry::new(SERVICE, &name)?.delete_credential() {
        Ok(()) | Err(keyring::Error::NoEntry) => Ok(()),
        Err(error) => Err(error),
    })
}
