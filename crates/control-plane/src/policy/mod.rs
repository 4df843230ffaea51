//! Policy: who may have which role on which target, and for how long. Default deny.
//!
//! Pure: rules come from a TOML file that was checked whole, [`Policy::decide`] reads no clock, no ledger and no file.
//! A [`Permit`] is made here alone, and creating or extending a session uses one up, so that no code path grants
//! anything that no rule allows.

mod decide;
mod parse;

use gk_shared::names::{ActorName, GroupName, PackName, TargetName};
use gk_shared::ttl::Ttl;

pub use decide::{Ask, Denied, Permit};

/// Everyone that a rule can be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Whoever has a token: `*`.
    Everyone,
    /// One actor: `user:dana`.
    User(ActorName),
    /// The members of a group: `group:dev`.
    Group(GroupName),
}

impl Who {
    fn is(&self, asker: &Asker<'_>) -> bool {
        match self {
            Self::Everyone => true,
            Self::User(name) => name == asker.name,
            Self::Group(group) => asker.groups.contains(group),
        }
    }
}

/// One name, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern<T> {
    /// `*`.
    Any,
    /// This one.
    Only(T),
}

impl<T: PartialEq> Pattern<T> {
    fn is(&self, name: &T) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only == name,
        }
    }
}

/// Whether a rule wants a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonRule {
    /// No session without one.
    Required,
    /// It may be left out.
    Optional,
}

/// One rule of the policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    name: String,
    who: Vec<Who>,
    targets: Vec<Pattern<TargetName>>,
    roles: Vec<Pattern<PackName>>,
    max_ttl: Ttl,
    reason: ReasonRule,
}

impl Rule {
    fn covers(&self, asker: &Asker<'_>, target: &TargetName) -> bool {
        self.who.iter().any(|who| who.is(asker)) && self.targets.iter().any(|pattern| pattern.is(target))
    }

    fn allows_everything(&self) -> bool {
        self.who.contains(&Who::Everyone) && self.targets.contains(&Pattern::Any) && self.roles.contains(&Pattern::Any)
    }
}

/// Roles of Postgres and of Gatekeeper itself are no packs, whatever a rule says.
fn is_reserved(role: &PackName) -> bool {
    let name = role.as_str();
    name == "postgres" || name.starts_with("pg_") || name.starts_with("gk_")
}

/// Who asks, as rules see them.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The actor.
    pub name: &'a ActorName,
    /// Its groups.
    pub groups: &'a [GroupName],
}

/// A role that an asker may have on a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The role pack.
    pub role: PackName,
    /// The longest that may be asked for.
    pub max_ttl: Ttl,
    /// The rule that says so.
    pub rule: String,
}

/// The rules, in the order of their file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    rules: Vec<Rule>,
    ceiling: Ttl,
}

impl Policy {
    /// The policy that allows nothing.
    #[must_use]
    pub const fn deny_all(ceiling: Ttl) -> Self {
        Self { rules: Vec::new(), ceiling }
    }

    /// The longest that any session may last as a whole, extensions included.
    #[must_use]
    pub const fn ceiling(&self) -> Ttl {
        self.ceiling
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no rule, so that nobody gets anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether any rule lets `asker` have something on `target`: without one the target is not there for them.
    #[must_use]
    pub fn sees(&self, asker: &Asker<'_>, target: &TargetName) -> bool {
        self.rules.iter().any(|rule| rule.covers(asker, target))
    }

    /// Which of `packs` the asker may have on `target`, each with its longest time.
    #[must_use]
    pub fn allowed(&self, asker: &Asker<'_>, target: &TargetName, packs: &[PackName]) -> Vec<Allowed> {
        let best = |role: &PackName| {
            let rules = self.rules_for(asker, target, role);
            let rule = rules.max_by_key(|rule| rule.max_ttl)?;
            Some(Allowed { role: role.clone(), max_ttl: rule.max_ttl, rule: rule.name.clone() })
        };
        packs.iter().filter_map(best).collect()
    }

    /// What is not wrong but deserves a second look; `config check` and the log show it.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.rules.is_empty() {
            found.push("there is no rule, so nobody gets anything".to_owned());
        }
        for rule in self.rules.iter().filter(|rule| rule.allows_everything()) {
            found.push(format!("rule \"{}\" lets everyone have every role on every target", rule.name));
        }
        found
    }

    fn rules_for<'s>(
        &'s self,
        asker: &'s Asker<'_>,
        target: &'s TargetName,
        role: &'s PackName,
    ) -> impl Iterator<Item = &'s Rule> {
        self.rules.iter().filter(move |rule| {
            !is_reserved(role) && rule.covers(asker, target) && rule.roles.iter().any(|roles| roles.is(role))
        })
    }
}
