//! An observation as it is sent: in pages that the control plane's body limit lets through. Pure.

use gk_shared::ids::SessionId;
use gk_shared::names::TargetName;
use gk_shared::wire::agent::{Observation, ObservedRole};

use crate::provider::Observed;

/// The control plane takes 4 MiB of an observation; this leaves room for what stands around the roles.
const PAGE_BYTES: usize = 3 * 1024 * 1024;
/// The rest waits for the next look.
const PAGE_DROPPED: usize = 4096;
/// More of a role's detail than this helps nobody.
const MAX_DETAIL: usize = 500;

/// The pages of one observation; at least one, so that the control plane hears that a target is empty, too.
pub(super) fn pages(target: &TargetName, observed: &Observed, dropped: &[SessionId]) -> Vec<Observation> {
    let mut groups: Vec<Vec<ObservedRole>> = vec![Vec::new()];
    let mut bytes = 0;
    for role in observed.roles.iter().cloned().map(shortened) {
        let size = serde_json::to_vec(&role).map_or(PAGE_BYTES, |json| json.len() + 1);
        if bytes + size > PAGE_BYTES && bytes > 0 {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        groups.last_mut().expect("there is always one").push(role);
    }
    let complete = groups.len() == 1;
    let mut dropped = dropped.chunks(PAGE_DROPPED);
    let clock_jump_ms = i64::try_from(observed.clock_jump.as_millis()).unwrap_or(i64::MAX);
    let pages = groups.into_iter().enumerate().map(|(n, roles)| Observation {
        target: target.clone(),
        target_time: observed.at,
        complete,
        roles,
        dropped: dropped.next().map(<[_]>::to_vec).unwrap_or_default(),
        clock_jump_ms: if n == 0 { clock_jump_ms } else { 0 },
    });
    pages.collect()
}

fn shortened(mut role: ObservedRole) -> ObservedRole {
    role.detail = role.detail.map(|detail| detail.chars().take(MAX_DETAIL).collect());
    role
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::wire::agent::RoleState;

    fn observed(count: u16) -> Observed {
        let role = |n: u16| {
            let mut random = [0; 10];
            random[..2].copy_from_slice(&n.to_be_bytes());
            ObservedRole {
                session_id: SessionId::from_parts(1_700_000_000_000, random),
                generation: 1,
                state: RoleState::Stuck,
                armed: false,
                backends: 0,
                valid_until: None,
                detail: Some("x".repeat(5000)),
            }
        };
        let roles = (0..count).map(role).collect();
        Observed { at: jiff::Timestamp::UNIX_EPOCH, clock_jump: jiff::SignedDuration::from_secs(3), roles, alone: true }
    }
    fn target() -> TargetName {
        "pg-local".parse().expect("a name")
    }

    #[test]
    fn a_small_look_is_one_complete_page_and_an_empty_one_too() {
        for count in [0, 3] {
            let pages = pages(&target(), &observed(count), &[]);
            assert_eq!((pages.len(), pages[0].complete, pages[0].roles.len()), (1, true, usize::from(count)));
            assert_eq!(pages[0].clock_jump_ms, 3000);
        }
    }

    #[test]
    fn a_large_look_is_cut_into_pages_that_fit_and_none_claims_to_be_all() {
        let all = pages(&target(), &observed(6000), &[]);
        assert!(all.len() > 1);
        assert_eq!(all.iter().map(|page| page.roles.len()).sum::<usize>(), 6000);
        for page in &all {
            assert!(!page.complete);
            assert!(serde_json::to_vec(page).expect("JSON").len() < 4 * 1024 * 1024);
        }
        assert_eq!(all.iter().map(|page| page.clock_jump_ms).sum::<i64>(), 3000, "a jump is told once");
    }
}
