//! What is true on the target: its own catalog, activity and books.

use super::Eye;
use crate::evidence::{FenceSight, RoleSight, TargetSight};
use gk_shared::ids::SessionId;
use gk_shared::names::RoleName;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::Row;

const ROLES: &str = "-- sight::roles
    SELECT r.rolname::text, r.oid, r.rolcanlogin,
           r.rolcanlogin AND coalesce(r.rolvaliduntil > clock_timestamp(), true),
           coalesce(shobj_description(r.oid, 'pg_authid') LIKE 'gatekeeper sess_%', false), clock_timestamp()
      FROM (SELECT 1) one LEFT JOIN pg_roles r ON r.rolname ~ '^gk_[0-9a-hjkmnp-tv-z]{26}$'";
const SPARES: &str = "-- sight::spares
    SELECT r.rolname::text, r.rolcanlogin FROM pg_roles r
     WHERE r.rolname ~ '^gkspare_[0-9a-f]{32}$' AND shobj_description(r.oid, 'pg_authid') LIKE 'gatekeeper spare %'";
const FENCE: &str = "-- sight::fence
    SELECT session, gen, state, role_oid, valid_until, encode(verifier_sha, 'hex') FROM gk.fence
     WHERE state <> 'closed' OR closed_at > clock_timestamp() - interval '60 seconds'";
const BACKENDS: &str = "-- sight::backends
    SELECT usesysid, count(*) FROM pg_stat_activity WHERE usesysid IS NOT NULL GROUP BY 1";

/// Looks at a target and keeps a clock that goes on where the target's is set back.
#[derive(Debug)]
pub struct TargetEye {
    eye: Eye,
    last: Timestamp,
    ahead: Duration,
    // The ends as they were first seen: by the target's clock, and by the steady one.
    ends: BTreeMap<SessionId, (Timestamp, Timestamp)>,
}

impl TargetEye {
    /// Will look with this connection string of a superuser.
    #[must_use]
    pub const fn new(dsn: String) -> Self {
        Self { eye: Eye::new(dsn), last: Timestamp::UNIX_EPOCH, ahead: Duration::ZERO, ends: BTreeMap::new() }
    }

    /// A look; none if it does not answer.
    pub async fn look(&mut self) -> Option<TargetSight> {
        let roles = self.eye.ask(ROLES).await?;
        let spares = self.eye.ask(SPARES).await?;
        let fence = self.eye.ask(FENCE).await?;
        let backends = self.eye.ask(BACKENDS).await?;
        let clock: Timestamp = roles.first()?.get(5);
        self.ahead += Duration::try_from(self.last.duration_since(clock)).unwrap_or_default();
        self.last = clock;
        let mut fence: BTreeMap<_, _> = fence.iter().filter_map(fence_row).collect();
        for (id, row) in &mut fence {
            row.steady_end = row.valid_until.and_then(|end| self.steady_end(*id, end));
        }
        Some(TargetSight {
            clock,
            steady: clock + self.ahead,
            roles: roles.iter().filter_map(role).collect(),
            spares: spares.iter().map(|row| (row.get(0), row.get(1))).collect(),
            fence,
            backends: backends.iter().map(|row| (row.get(0), row.get(1))).collect(),
        })
    }

    /// Counted from the first look at which it has not come. A session is seen long before its end, so one that is over
    /// at first sight was made by a process of the server that noticed sooner that the clock was set back.
    fn steady_end(&mut self, id: SessionId, end: Timestamp) -> Option<Timestamp> {
        match self.ends.get(&id) {
            Some((known, steady)) if *known == end => Some(*steady),
            Some(_) | None if end <= self.last => None,
            Some(_) | None => Some(self.ends.entry(id).insert_entry((end, end + self.ahead)).get().1),
        }
    }
}

fn role(row: &Row) -> Option<(SessionId, RoleSight)> {
    let name: RoleName = row.get::<_, Option<&str>>(0)?.parse().ok()?;
    let seen = RoleSight { oid: row.get(1), can_login: row.get(2), armed: row.get(3), marked: row.get(4) };
    Some((name.session(), seen))
}

fn fence_row(row: &Row) -> Option<(SessionId, FenceSight)> {
    let seen = FenceSight {
        generation: row.get(1),
        state: row.get(2),
        role_oid: row.get(3),
        valid_until: row.get(4),
        steady_end: None,
        verifier: row.get(5),
    };
    Some((row.get::<_, &str>(0).parse().ok()?, seen))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small number is in range")
    }

    #[test]
    fn an_end_is_counted_by_the_clock_at_which_it_was_still_to_come() {
        let mut eye = TargetEye::new(String::new());
        let [first, second] = [1, 2].map(|n| SessionId::from_parts(1_700_000_000_000, [n; 10]));
        eye.last = at(3600);
        assert_eq!(eye.steady_end(first, at(3900)), Some(at(3900)));
        assert_eq!(eye.steady_end(second, at(300)), None, "made by somebody whose clock is an hour back already");
        (eye.last, eye.ahead) = (at(1), Duration::from_secs(3600));
        assert_eq!(eye.steady_end(first, at(3900)), Some(at(3900)), "a clock that is set back lengthens nothing");
        assert_eq!(eye.steady_end(second, at(300)), Some(at(3900)));
        assert_eq!(eye.steady_end(second, at(600)), Some(at(4200)), "an extension");
        eye.last = at(700);
        assert_eq!(eye.steady_end(second, at(600)), Some(at(4200)), "it stays when it is over");
    }
}
