//! What control plane and agent log, in a file: the terminal belongs to the person.

use super::error::DevError;
use super::layout::DevDir;
use crate::env::Env;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;

/// A log longer than this is set aside at the next start.
const LIMIT: u64 = 16 * 1024 * 1024;

/// Sends everything that is logged in this process to the directory's log file; `GK_LOG` says how much.
pub(crate) fn to_file(dir: &DevDir, env: &Env) -> Result<(), DevError> {
    let path = dir.log();
    if fs::metadata(&path).is_ok_and(|meta| meta.len() > LIMIT) {
        fs::rename(&path, path.with_extension("log.1")).map_err(DevError::io("setting aside", &path))?;
    }
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    let file = opened.map_err(DevError::io("opening", &path))?;
    let wanted = env.text("GK_LOG").ok().flatten().unwrap_or("info");
    let filter = EnvFilter::try_new(wanted).unwrap_or_else(|_| EnvFilter::new("info"));
    // It fails where logging was set up before, as under a test: then that one serves.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(file)).try_init();
    Ok(())
}
