//! Reads the policy file, and refuses rules that cannot mean what somebody hoped.

use std::fmt;
use std::str::FromStr;

use gk_shared::ttl::Ttl;

use super::{Pattern, Policy, ReasonRule, Rule, Who};
use crate::config::{Fault, Faults, Keys};

const RULE_KEYS: &[&str] = &["name", "who", "targets", "roles", "max_ttl", "reason"];

impl Policy {
    /// Reads the rules in `text`. `ceiling` is the longest that any session may last.
    ///
    /// # Errors
    /// Every fault in the file, each with its rule and key.
    pub fn parse(text: &str, ceiling: Ttl) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let mut table: toml::Table =
            toml::from_str(text).map_err(|error| vec![Fault::of_toml("policy", &error, text)])?;
        let rules = match table.remove("rule") {
            None => Vec::new(),
            Some(toml::Value::Array(rules)) => read_rules(rules, ceiling, &mut faults),
            Some(_) => {
                faults.add("rule", "write each rule as a table of its own under [[rule]]");
                Vec::new()
            }
        };
        Keys::root(table).finish(&["rule"], &mut faults);
        if faults.0.is_empty() { Ok(Self { rules, ceiling }) } else { Err(faults.0) }
    }
}

fn read_rules(values: Vec<toml::Value>, ceiling: Ttl, faults: &mut Faults) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for (place, value) in values.into_iter().enumerate() {
        let path = format!("rule[{}]", place + 1);
        let toml::Value::Table(table) = value else {
            faults.add(path, "write each rule as a table of its own under [[rule]]");
            continue;
        };
        let Some(rule) = read_rule(Keys::at(table, path.clone()), ceiling, faults) else { continue };
        if rules.iter().any(|other| other.name == rule.name) {
            faults.add(
                format!("{path}.name"),
                format!("two rules are called \"{}\": audit events would name both", rule.name),
            );
        }
        rules.push(rule);
    }
    rules
}

fn read_rule(mut keys: Keys, ceiling: Ttl, faults: &mut Faults) -> Option<Rule> {
    let name = keys.text("name", faults);
    let who = list(&mut keys, "who", faults);
    let targets = list(&mut keys, "targets", faults);
    let roles = list(&mut keys, "roles", faults);
    let max_ttl: Option<Ttl> = keys.parsed("max_ttl", faults);
    let reason = reason_rule(&mut keys, faults);
    for (key, missing) in [("name", name.is_none()), ("max_ttl", max_ttl.is_none())] {
        if missing && !faults.0.iter().any(|fault| fault.key == keys.name(key)) {
            faults.add(keys.name(key), "is missing");
        }
    }
    if let Some(error) = max_ttl.and_then(|ttl| ttl.check_limit(ceiling, "any session (session.max_ttl)").err()) {
        faults.add(keys.name("max_ttl"), error);
    }
    if name
        .as_ref()
        .is_some_and(|name| name.trim().is_empty() || name.len() > 100 || name.chars().any(char::is_control))
    {
        faults.add(keys.name("name"), "expected 1 to 100 printable characters");
    }
    keys.finish(RULE_KEYS, faults);
    Some(Rule { name: name?, who: who?, targets: targets?, roles: roles?, max_ttl: max_ttl?, reason: reason? })
}

/// The list under `key`, which must hold something: an empty one would make a rule that nobody can satisfy.
fn list<T: FromStr<Err: fmt::Display>>(keys: &mut Keys, key: &str, faults: &mut Faults) -> Option<Vec<T>> {
    let texts = keys.texts(key, faults)?;
    let name = keys.name(key);
    if texts.is_empty() {
        faults.add(name, "is empty, so nobody could satisfy the rule: name somebody or something, or remove the rule");
        return None;
    }
    let before = faults.0.len();
    let read = |text: &String| text.parse().map_err(|error| faults.add(&name, error)).ok();
    let list = texts.iter().filter_map(read).collect();
    (faults.0.len() == before).then_some(list)
}

fn reason_rule(keys: &mut Keys, faults: &mut Faults) -> Option<ReasonRule> {
    match keys.text("reason", faults).as_deref() {
        // Silence asks for more, not for less.
        None | Some("required") => Some(ReasonRule::Required),
        Some("optional") => Some(ReasonRule::Optional),
        Some(other) => {
            faults
                .add(keys.name("reason"), format!("expected \"required\" or \"optional\", got \"{}\"", shorten(other)));
            None
        }
    }
}

/// Why a text names nobody.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` names nobody: write \"user:NAME\", \"group:NAME\" or \"*\"")]
pub struct WhoError(String);

impl FromStr for Who {
    type Err = WhoError;
    fn from_str(text: &str) -> Result<Self, WhoError> {
        let bad = || WhoError(shorten(text));
        match text.split_once(':') {
            None if text == "*" => Ok(Self::Everyone),
            Some(("user", name)) => name.parse().map(Self::User).map_err(|_| bad()),
            Some(("group", name)) => name.parse().map(Self::Group).map_err(|_| bad()),
            None | Some(_) => Err(bad()),
        }
    }
}

impl<T: FromStr> FromStr for Pattern<T> {
    type Err = T::Err;
    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "*" { Ok(Self::Any) } else { text.parse().map(Self::Only) }
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(40).map(|found| if found.is_control() { '?' } else { found }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let parsed = Policy::parse(text, Ttl::from_minutes(240).unwrap());
        parsed.unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_fault_of_every_rule_is_named_at_once() {
        let text = r#"
            colour = "red"
            [[rule]]
            name = "a"
            who = []
            targets = ["pg local"]
            roles = ["app_read"]
            max_ttl = "5h"
            quorum = 0
            [[rule]]
            who = ["dana"]
            targets = ["*"]
            roles = ["app_read"]
            max_ttl = "never"
            reason = "maybe"
        "#;
        let found = faults(text).join("\n");
        for says in [
            "colour: unknown key",
            "rule[1].who: is empty",
            "rule[1].targets: target name `pg local`",
            "rule[1].max_ttl: 5h is above the limit of 4h",
            "rule[1].quorum: unknown key",
            "rule[2].name: is missing",
            "rule[2].who: `dana` names nobody",
            "rule[2].max_ttl: `never` is not a ttl",
            "rule[2].reason: expected",
        ] {
            assert!(found.contains(says), "{says} is not in:\n{found}");
        }
    }

    #[test]
    fn two_rules_of_one_name_and_broken_toml_are_refused() {
        let rule = "[[rule]]\nname='a'\nwho=['*']\ntargets=['*']\nroles=['*']\nmax_ttl='1h'\n";
        assert!(faults(&rule.repeat(2))[0].contains("two rules are called"));
        assert!(faults("[[rule]\n")[0].starts_with("policy: line 1"));
    }

    #[test]
    fn a_rule_that_allows_everything_and_a_file_without_rules_are_findings() {
        let ceiling = Ttl::from_minutes(240).unwrap();
        let open = "[[rule]]\nname='open'\nwho=['*']\ntargets=['*']\nroles=['*']\nmax_ttl='1h'\n";
        assert!(Policy::parse(open, ceiling).unwrap().findings()[0].contains("rule \"open\" lets everyone"));
        assert!(Policy::parse("", ceiling).unwrap().findings()[0].contains("nobody gets anything"));
    }
}
