//! What is logged, and in which form. All of it goes to stderr.

use super::keys::{Faults, Keys};
use super::plane::Environment;

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// How to log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// The form of a line.
    pub format: LogFormat,
    /// What is logged, as tracing's filters are written: `info`, or `warn,gk_control_plane=debug`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

impl std::str::FromStr for LogFormat {
    type Err = &'static str;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected \"text\" or \"json\""),
        }
    }
}

impl LogConfig {
    pub(crate) fn read(mut keys: Keys, environment: Environment<'_>, faults: &mut Faults) -> Self {
        let default = Self::default();
        let mut format = keys.parsed("format", faults).unwrap_or(default.format);
        if let Some(word) = environment("GK_LOG_FORMAT") {
            match word.parse() {
                Ok(chosen) => format = chosen,
                Err(error) => faults.add("GK_LOG_FORMAT", error),
            }
        }
        let written = keys.text("filter", faults).map(|filter| ("log.filter", filter));
        let from = |name: &'static str| environment(name).filter(|text| !text.is_empty()).map(|text| (name, text));
        let (key, filter) =
            from("GK_LOG").or_else(|| from("LOG_LEVEL")).or(written).unwrap_or(("log.filter", default.filter));
        if let Err(error) = filter.parse::<tracing_subscriber::EnvFilter>() {
            faults.add(
                key,
                format!(
                    "expected error, warn, info, debug, trace or a filter such as warn,gk_control_plane=debug: {error}"
                ),
            );
        }
        keys.finish(&["format", "filter"], faults);
        Self { format, filter }
    }
}
