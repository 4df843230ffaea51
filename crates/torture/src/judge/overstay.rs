//! How long something wrong has gone on without a break, while everything that should mend it was there.

use std::collections::BTreeMap;
use std::time::Duration;

/// Stop watches, one for each thing that is wrong.
#[derive(Debug)]
pub struct Overstay<K> {
    since: BTreeMap<K, Duration>,
}

impl<K> Default for Overstay<K> {
    fn default() -> Self {
        Self { since: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Overstay<K> {
    /// What is wrong now, and gives what has been for longer than `bound`. While nothing can mend it nothing counts.
    pub fn look(&mut self, now: Duration, counts: bool, wrong: impl IntoIterator<Item = K>, bound: Duration) -> Vec<K> {
        let before = std::mem::take(&mut self.since);
        if counts {
            let since = |key: &K| before.get(key).copied().unwrap_or(now);
            self.since = wrong.into_iter().map(|key| (key.clone(), since(&key))).collect();
        }
        let late = self.since.iter().filter(|(_, since)| now.saturating_sub(**since) > bound);
        late.map(|(key, _)| key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_wrong_without_a_break_while_it_counts_is_late() {
        let (mut watch, second) = (Overstay::default(), Duration::from_secs);
        assert!(watch.look(second(0), true, ["a"], second(5)).is_empty());
        assert!(watch.look(second(4), true, ["a", "b"], second(5)).is_empty());
        assert_eq!(watch.look(second(6), true, ["a", "b"], second(5)), ["a"]);
        assert!(watch.look(second(7), true, ["b"], second(5)).is_empty(), "a was right for a moment");
        assert!(watch.look(second(8), false, ["b"], second(5)).is_empty(), "nobody could mend it");
        assert!(watch.look(second(13), true, ["b"], second(5)).is_empty(), "the watch begins anew");
        assert_eq!(watch.look(second(19), true, ["b"], second(5)), ["b"]);
    }
}
