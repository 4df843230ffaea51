//! Waiting for something to become true, never for time to pass.

use std::fmt::Display;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(10);

/// Looks again and again until `look` is `Ok`, and gives what it found. The `Err` says what was seen instead.
///
/// # Panics
/// When `within` has passed, with `what` was waited for and what was seen last.
#[track_caller]
pub fn eventually<T, E: Display>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> impl Future<Output = T> {
    let asked_at = std::panic::Location::caller();
    async move {
        let start = Instant::now();
        loop {
            let seen = match look().await {
                Ok(found) => return found,
                Err(seen) => seen,
            };
            assert!(start.elapsed() < within, "{asked_at}: waited {within:?} until {what}; seen last: {seen}");
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_becomes_true_is_given_back() {
        let mut looks = 0;
        let found = eventually(Duration::from_secs(5), "three looks", async || {
            looks += 1;
            if looks == 3 { Ok(looks) } else { Err(format!("{looks} looks")) }
        });
        assert_eq!(found.await, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "until the moon is cheese; seen last: rock")]
    async fn what_stays_false_panics_with_what_was_seen() {
        eventually(Duration::from_millis(30), "the moon is cheese", async || Err::<(), _>("rock")).await;
    }
}
