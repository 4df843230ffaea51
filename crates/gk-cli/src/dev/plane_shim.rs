//! Temporary, until the control plane's lib has these.
use gk_control_plane::config::{LedgerConfig, PlaneConfig};
pub(crate) use gk_control_plane::store::migrate;
use gk_control_plane::store::{self, StoreError};
pub(crate) async fn serve(
    _: PlaneConfig,
    _: tokio::net::TcpListener,
    _: tokio_util::sync::CancellationToken,
) -> Result<(), StoreError> {
    std::future::pending().await
}
pub(crate) async fn admin_token(
    config: &LedgerConfig,
    name: gk_shared::names::ActorName,
    life: std::time::Duration,
) -> Result<store::tokens::MadeToken, StoreError> {
    let ledger = store::Ledger::new(
        config,
        std::sync::Arc::new(store::SystemRandomness),
        gk_control_plane::wakeups::Wakeups::new().0,
    )?;
    store::tokens::admin(&ledger, name, life).await
}
