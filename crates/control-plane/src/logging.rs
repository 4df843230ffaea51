//! The log: to stderr, as text for people or as one JSON object a line for machines.
//!
//! What must not be in it cannot be: secrets have types that print as `[REDACTED]`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{LogConfig, LogFormat};

/// Starts logging.
///
/// # Errors
/// This process logs already.
pub fn start(config: &LogConfig) -> Result<(), TryInitError> {
    // The filter was read once before, with the settings; what it cannot read is left out.
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(EnvFilter::new(&config.filter));
    match config.format {
        LogFormat::Text => lines.with_ansi(false).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).finish().try_init(),
    }
}
