//! The decision itself: one request against the rules.

use gk_shared::names::{PackName, TargetName};
use gk_shared::reason::{Reason, ReasonError};
use gk_shared::ttl::{Ttl, TtlError};

use super::{Asker, Policy, ReasonRule, Rule};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Where.
    pub target: &'a TargetName,
    /// What.
    pub role: &'a PackName,
    /// For how long.
    pub ttl: Ttl,
    /// Why.
    pub reason: Option<&'a Reason>,
}

/// Proof that a rule allows what was asked for. Only [`Policy::decide`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a permit that is not used grants nothing"]
pub struct Permit {
    rule: String,
    max_ttl: Ttl,
    ttl: Ttl,
}

impl Permit {
    /// The rule that allows it.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// The longest that the rule allows.
    #[must_use]
    pub const fn max_ttl(&self) -> Ttl {
        self.max_ttl
    }

    /// The time that was asked for and is allowed.
    #[must_use]
    pub const fn ttl(&self) -> Ttl {
        self.ttl
    }
}

/// Why it is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No rule shows the asker this target; said in the words for a target that does not exist.
    #[error("there is no target `{0}` that you may use")]
    Target(TargetName),
    /// The asker may see the target, and no rule has this role for them.
    #[error("no rule of the policy lets you use `{role}` on `{target}`")]
    Role {
        /// Where.
        target: TargetName,
        /// What.
        role: PackName,
    },
    /// Too long.
    #[error(transparent)]
    Ttl(#[from] TtlError),
    /// The rule wants to know why.
    #[error(transparent)]
    Reason(#[from] ReasonError),
}

impl Policy {
    /// Decides a request for a new session. The first rule that allows it as it stands does; where none does, the one
    /// with the longest time says why.
    ///
    /// # Errors
    /// No rule allows it.
    pub fn decide(&self, asker: &Asker<'_>, ask: &Ask<'_>) -> Result<Permit, Denied> {
        if !self.sees(asker, ask.target) {
            return Err(Denied::Target(ask.target.clone()));
        }
        let mut nearest: Option<(&Rule, Denied)> = None;
        for rule in self.rules_for(asker, ask.target, ask.role) {
            match rule.permit(ask) {
                Ok(permit) => return Ok(permit),
                Err(why) if nearest.as_ref().is_none_or(|(best, _)| best.max_ttl < rule.max_ttl) => {
                    nearest = Some((rule, why));
                }
                Err(_) => {}
            }
        }
        let role = || Denied::Role { target: ask.target.clone(), role: ask.role.clone() };
        Err(nearest.map_or_else(role, |(_, why)| why))
    }
}

impl Rule {
    fn permit(&self, ask: &Ask<'_>) -> Result<Permit, Denied> {
        let of = format!("this target (rule \"{}\" of the policy, role {})", self.name, ask.role);
        ask.ttl.check_limit(self.max_ttl, &of)?;
        match (self.reason, ask.reason) {
            (ReasonRule::Required, None) => Err(ReasonError::Required.into()),
            (ReasonRule::Required | ReasonRule::Optional, _) => {
                Ok(Permit { rule: self.name.clone(), max_ttl: self.max_ttl, ttl: ask.ttl })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_shared::names::{ActorName, GroupName};

    const RULES: &str = r#"
        [[rule]]
        name = "dev-read"
        who = ["group:dev", "user:dana"]
        targets = ["pg-local"]
        roles = ["app_read"]
        max_ttl = "4h"
        reason = "required"

        [[rule]]
        name = "short-without-words"
        who = ["*"]
        targets = ["pg-local"]
        roles = ["app_read"]
        max_ttl = "5m"
        reason = "optional"
    "#;

    fn policy() -> Policy {
        Policy::parse(RULES, Ttl::from_minutes(240).unwrap()).unwrap()
    }

    /// Asks as `who`; a name with `@group` asks as a member of that group.
    fn ask(who: &str, target: &str, role: &str, ttl: &str, reason: Option<&str>) -> Result<Permit, Denied> {
        let (name, group) = who.split_once('@').unwrap_or((who, ""));
        let name: ActorName = name.parse().unwrap();
        let groups: Vec<GroupName> = group.parse().into_iter().collect();
        let (target, role) = (target.parse().unwrap(), role.parse().unwrap());
        let reason: Option<Reason> = reason.map(|text| text.parse().unwrap());
        let ask = Ask { target: &target, role: &role, ttl: ttl.parse().unwrap(), reason: reason.as_ref() };
        policy().decide(&Asker { name: &name, groups: &groups }, &ask)
    }

    #[test]
    fn the_first_rule_that_fits_permits() {
        assert_eq!(ask("dana", "pg-local", "app_read", "1h", Some("debug")).unwrap().rule(), "dev-read");
        assert_eq!(ask("eve@dev", "pg-local", "app_read", "4h", Some("debug")).unwrap().rule(), "dev-read");
        assert_eq!(ask("dana", "pg-local", "app_read", "5m", None).unwrap().rule(), "short-without-words");
        assert_eq!(ask("eve", "pg-local", "app_read", "5m", None).unwrap().rule(), "short-without-words");
    }

    #[test]
    fn a_denial_names_what_the_nearest_rule_wants() {
        let long = ask("dana", "pg-local", "app_read", "241m", Some("debug")).unwrap_err();
        assert_eq!(
            long.to_string(),
            "241m is above the limit of 240m for this target (rule \"dev-read\" of the policy, role app_read)"
        );
        let silent = ask("dana", "pg-local", "app_read", "1h", None).unwrap_err();
        assert_eq!(silent, Denied::Reason(ReasonError::Required));
        let other = ask("eve", "pg-local", "app_read", "1h", Some("debug")).unwrap_err();
        assert_eq!(
            other.to_string(),
            "60m is above the limit of 5m for this target (rule \"short-without-words\" of the policy, role app_read)"
        );
    }

    #[test]
    fn a_role_without_a_rule_is_denied_and_a_target_without_one_is_not_there() {
        for role in ["postgres", "pg_read_server_files", "gk_owner", "app_write"] {
            let denied = ask("dana", "pg-local", role, "5m", Some("debug")).unwrap_err();
            assert!(matches!(denied, Denied::Role { .. }), "{denied:?}");
        }
        let unseen = ask("dana", "pg-prod", "app_read", "5m", Some("debug")).unwrap_err();
        assert!(matches!(unseen, Denied::Target(_)), "{unseen:?}");
    }

    #[test]
    fn no_rule_however_wide_covers_a_role_that_is_no_pack() {
        let open = "[[rule]]\nname='open'\nwho=['*']\ntargets=['*']\nroles=['*']\nmax_ttl='1h'\nreason='optional'\n";
        let policy = Policy::parse(open, Ttl::from_minutes(240).unwrap()).unwrap();
        let (name, target) = ("dana".parse().unwrap(), "pg-local".parse().unwrap());
        for (role, permitted) in [("app_read", true), ("postgres", false), ("pg_monitor", false), ("gk_owner", false)] {
            let role = role.parse().unwrap();
            let ask = Ask { target: &target, role: &role, ttl: "5m".parse().unwrap(), reason: None };
            assert_eq!(policy.decide(&Asker { name: &name, groups: &[] }, &ask).is_ok(), permitted, "{role}");
        }
    }

    #[test]
    fn only_packs_with_a_rule_are_allowed_each_with_its_longest_time() {
        let name: ActorName = "dana".parse().unwrap();
        let packs = ["app_read".parse().unwrap(), "app_write".parse().unwrap()];
        let allowed = policy().allowed(&Asker { name: &name, groups: &[] }, &"pg-local".parse().unwrap(), &packs);
        let shown: Vec<_> =
            allowed.iter().map(|one| (one.role.as_str(), one.max_ttl.as_secs(), one.rule.as_str())).collect();
        assert_eq!(shown, [("app_read", 4 * 3600, "dev-read")]);
    }
}
