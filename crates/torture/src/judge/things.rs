//! I8 and I10: secrets stay where they belong, and what users made stays theirs or their heir's.

use super::{Found, Invariant, Rule};
use crate::evidence::Evidence;

#[derive(Debug, Default)]
pub(super) struct Secrets;

impl Rule for Secrets {
    fn invariant(&self) -> Invariant {
        Invariant::I8
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        let Evidence::Search(search) = evidence else { return };
        (0..search.secrets).for_each(|_| found.checked());
        for place in &search.found {
            found.violated(place, "a password is in it");
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Objects;

impl Rule for Objects {
    fn invariant(&self) -> Invariant {
        Invariant::I10
    }

    fn see(&mut self, evidence: &Evidence, found: &mut Found<'_>) {
        let Evidence::Object(object) = evidence else { return };
        found.holds(object.found == Some(object.rows), &object.name, || {
            format!("{} rows were put into it, and there are {:?}", object.rows, object.found)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{heard, violated};
    use super::*;
    use crate::evidence::{Object, Search};

    #[test]
    fn a_secret_that_was_found_is_told_with_its_place() {
        let search = |found: &[&str]| {
            Evidence::Search(Search { secrets: 3, found: found.iter().map(|&place| place.to_owned()).collect() })
        };
        assert!(heard(&[search(&[])]).is_empty());
        let wrong = heard(&[search(&["plane.log"])]);
        assert_eq!(violated(&wrong), [Invariant::I8]);
        assert!(wrong[0].what.contains("plane.log"));
    }

    #[test]
    fn a_table_that_is_gone_or_lost_rows_is_found() {
        let table = |found| Evidence::Object(Object { name: "mine".to_owned(), rows: 7, found });
        assert!(heard(&[table(Some(7))]).is_empty());
        assert_eq!(violated(&heard(&[table(Some(6))])), [Invariant::I10]);
        assert_eq!(violated(&heard(&[table(None)])), [Invariant::I10]);
    }
}
