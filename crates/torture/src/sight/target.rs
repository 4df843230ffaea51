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
const FENCE: &str = "-- sight::fence
    SELECT session, gen, state, role_oid, valid_until, encode(verifier_sha, 'hex') FROM gk.fence
     WHERE state <> 'closed' OR closed_at > clock_timestamp() - interval '60 seconds'";
const BACKENDS: &str = "-- sight::backends
    SELECT usesysid, count(*) FROM pg_stat_activity WHERE usesysid IS NOT NULL GROUP BY 1";

/// Looks at a target and remembers how far its clock ever got.
#[derive(Debug)]
pub struct TargetEye {
    eye: Eye,
    high_water: Timestamp,
}

impl TargetEye {
    /// Will look with this connection string of a superuser.
    #[must_use]
    pub const fn new(dsn: String) -> Self {
        Self { eye: Eye::new(dsn), high_water: Timestamp::UNIX_EPOCH }
    }

    /// A look; none if it does not answer.
    pub async fn look(&mut self) -> Option<TargetSight> {
        let roles = self.eye.ask(ROLES).await?;
        let fence = self.eye.ask(FENCE).await?;
        let backends = self.eye.ask(BACKENDS).await?;
        let now: Timestamp = roles.first()?.get(5);
        self.high_water = self.high_water.max(now);
        let behind = Duration::try_from(self.high_water.duration_since(now)).unwrap_or_default();
        Some(TargetSight {
            high_water: self.high_water,
            behind,
            roles: roles.iter().filter_map(role).collect(),
            fence: fence.iter().filter_map(fence_row).collect(),
            backends: backends.iter().map(|row| (row.get(0), row.get(1))).collect::<BTreeMap<u32, i64>>(),
        })
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
        verifier: row.get(5),
    };
    Some((row.get::<_, &str>(0).parse().ok()?, seen))
}
