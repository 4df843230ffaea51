//! Signals as `gk` catches them.
//!
//! Always holds: what the caller had ignored stays ignored, so `nohup` and a shell's background jobs keep their meaning,
//! for `gk` and for a child that it starts.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the caller had ignored when `gk` began, a bit each; none where the system does not tell.
pub(crate) struct Ignored(u64);

impl Ignored {
    /// As it is now, before one of them is caught.
    pub(crate) fn now() -> Self {
        Self::read(&std::fs::read_to_string("/proc/self/status").unwrap_or_default())
    }

    fn read(status: &str) -> Self {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        Self(mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default())
    }

    fn has(&self, kind: SignalKind) -> bool {
        self.0 >> (kind.as_raw_value() - 1) & 1 == 1
    }

    /// Catches a signal from now on, unless it is ignored.
    pub(crate) fn catch(&self, kind: SignalKind) -> std::io::Result<Source> {
        if self.has(kind) { Ok(Source(None)) } else { signal(kind).map(|signal| Source(Some(signal))) }
    }
}

/// One signal. What comes before somebody waits for it is kept.
pub(crate) struct Source(Option<Signal>);

impl Source {
    /// Waits for the next one; for ever where it is ignored.
    pub(crate) async fn next(&mut self) {
        if let Some(signal) = &mut self.0
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_caller_ignores_is_read_from_the_kernels_mask() {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let ignored = Ignored::read("Name:\tgk\nSigIgn:\t0000000000001001\n");
        assert_eq!(kinds.map(|kind| ignored.has(kind)), [false, false, true]);
        assert_eq!(kinds.map(|kind| Ignored::read("").has(kind)), [false; 3]);
    }
}
