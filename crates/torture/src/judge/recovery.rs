//! I12: once a fault is gone a new session works and everything else comes to rest, without a hand.

use super::{Found, Invariant, Rule};
use crate::evidence::Evidence;

#[derive(Debug, Default)]
pub(super) struct Recovers;

impl Rule for Recovers {
    fn invariant(&self) -> Invariant {
        Invariant::I12
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        let Evidence::Recovery(recovery) = evidence else { return };
        found.checked();
        if let Err(still) = &recovery.took {
            found.violated(&recovery.fault, still.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{heard, violated};
    use super::*;
    use crate::evidence::Recovery;
    use std::time::Duration;

    #[test]
    fn a_fault_after_which_nothing_works_is_found() {
        let after = |took| Evidence::Recovery(Recovery { fault: "F2".to_owned(), took });
        assert!(heard(&[after(Ok(Duration::from_secs(3)))]).is_empty());
        assert_eq!(violated(&heard(&[after(Err("no session".to_owned()))])), [Invariant::I12]);
    }
}
