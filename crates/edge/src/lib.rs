//! The edges of the programs: how they listen, how they speak TLS, and what they leave behind when they crash.
//!
//! Every program needs the same care at its edges, so it is written once: [`accept`] bounds what a connection may cost,
//! [`server`] is TLS for those who call, [`client`] for calls out, [`postgres`] for the driver, [`certificate`] reads
//! certificates, [`pki`] makes those of agents, and
//! [`harden`] asks the system for what a daemon needs.
//!
//! Always holds: nothing here knows about sessions, policy or settings files; bytes of keys and certificates come in.
#![forbid(unsafe_code)]

#[cfg(feature = "server")]
pub mod accept;
pub mod certificate;
pub mod client;
pub mod harden;
#[cfg(feature = "pki")]
pub mod pki;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "server")]
mod room;
#[cfg(feature = "server")]
pub mod server;
#[cfg(any(feature = "server", feature = "postgres"))]
pub mod unchecked;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// Makes `ring` the one provider of cryptography for TLS. Needed once in a process, harmless when repeated.
pub fn install_tls() {
    // It fails only where a provider was installed before; that one is the same.
    let _ = ring::default_provider().install_default();
}

/// The provider by itself, for configurations that name it.
#[cfg(any(feature = "server", feature = "postgres"))]
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
