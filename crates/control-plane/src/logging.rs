//! The log: to stderr, as text for people or as one JSON object a line for machines.
//!
//! What must not be in it cannot be: secrets have types that print as `[REDACTED]`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::util::TryInitError;

use crate::config::{LogConfig, LogFormat};

/// Starts logging.
///
/// # Errors
/// This process logs already.
pub fn start(config: &LogConfig) -> Result<(), TryInitError> {
    // The driver's debug lines hold the parameters of statements: hashes of tokens, sealed credentials, what people
    // wrote. They are shown only to those who name the driver. What the filter cannot read was refused with the settings.
    let filter = EnvFilter::new(format!("tokio_postgres=info,{}", config.filter));
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter);
    match config.format {
        LogFormat::Text => lines.with_ansi(false).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).finish().try_init(),
    }
}
