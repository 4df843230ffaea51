//! What the doctor makes of what it saw. Pure.

use gk_shared::names::TargetName;
use gk_shared::wire::agent::{EndpointHealth, EndpointRole, TargetPack};
use jiff::{SignedDuration, Timestamp};

use super::{Check, Verdict, now};
use crate::api::{ApiError, Sight};
use crate::bootstrap::{HELPERS_VERSION, RolePack, packs as our_packs};
use crate::config::{AgentConfig, Credential, Identity, IdentityError, IdentityFile, TargetConfig};
use crate::provider::{Failure, ProviderError};
use crate::renewal::{Due, due};

/// How helpers and packs come to a target.
pub(super) const BOOTSTRAP: &str = "gk-agent bootstrap --print | psql \"postgresql://DBA@HOST/DATABASE\"";
/// Times that people compare should not differ by more.
const MOST_SKEW: SignedDuration = SignedDuration::from_secs(5);
/// Checks of the helpers on what the server leaves open beside Gatekeeper: a DBA decides, and nothing breaks before.
/// `signal` needs a superuser's grant, which a DBA on a managed server may not get. Prepared transactions are not among
/// them: with one a user keeps his role from being dropped, and Postgres's own default has none.
const ADVISED: [&str; 6] = ["signal", "createrole", "public_create", "public_temp", "public_connect", "open_definers"];

pub(super) fn unreachable(target: &TargetConfig, error: &ProviderError) -> Check {
    let mend = match error.failure() {
        Failure::HelpersMissing => BOOTSTRAP.to_owned(),
        Failure::Unreachable
        | Failure::Busy
        | Failure::Unproven
        | Failure::Fenced
        | Failure::PastLease
        | Failure::PackRefused
        | Failure::ForeignRole
        | Failure::RoleReplaced
        | Failure::OverLimit(_)
        | Failure::Refused => format!(
            "check host, port, database, user and password_file of target {}, and pg_hba.conf for {}",
            target.name, target.user
        ),
    };
    let seen = format!("{}@{}:{}/{}: {error}", target.user, target.host, target.port, target.database);
    Check::finding(target.name.as_str(), "reachable", seen, mend)
}

pub(super) fn helpers(target: &str, version: &str) -> Check {
    if version == HELPERS_VERSION {
        return Check::well(target, "helpers_version", version);
    }
    let text = format!("the target has {version}, this agent speaks {HELPERS_VERSION}");
    Check::finding(target, "helpers_version", text, BOOTSTRAP)
}

/// Each pack of this build, as it is on the target.
pub(super) fn packs(target: &str, there: &[TargetPack], checks: &mut Vec<Check>) {
    checks.extend(our_packs().iter().map(|ours| pack(target, ours, there)));
}

fn pack(target: &str, ours: &RolePack, there: &[TargetPack]) -> Check {
    let name = format!("pack_{}", ours.name);
    let Some(found) = there.iter().find(|pack| pack.name == ours.name && pack.version == ours.version) else {
        return Check::finding(target, &name, format!("{} is not registered there", ours.version), BOOTSTRAP);
    };
    if found.digest != ours.digest {
        let text = format!("{} is there with other SQL ({} instead of {})", ours.version, found.digest, ours.digest);
        return Check::finding(
            target,
            &name,
            text,
            "bring agent and target to the same release, or release a new version of the pack",
        );
    }
    match &found.fault {
        Some(fault) => Check::finding(target, &name, fault.as_str(), BOOTSTRAP),
        None => Check::well(target, &name, ours.version),
    }
}

pub(super) fn skew(target: &str, theirs: Timestamp, ours: Timestamp) -> Check {
    let skew = theirs.duration_since(ours);
    let text = format!("its clock is {} ms from this machine's", skew.as_millis());
    if skew.abs() <= MOST_SKEW {
        return Check::well(target, "clock_skew", text);
    }
    let mend = "let both machines follow a time server; sessions end by the target's clock alone, so none lasts longer";
    Check::finding(target, "clock_skew", text, mend)
}

/// The servers of a target that has several: each has to answer, and one of them to take writes.
pub(super) fn servers(target: &str, seen: &[EndpointHealth], checks: &mut Vec<Check>) {
    if seen.is_empty() {
        return;
    }
    checks.extend(seen.iter().map(|server| self::server(target, server)));
    let primaries: Vec<String> = seen.iter().filter(|one| one.role == EndpointRole::Primary).map(place).collect();
    checks.push(match primaries.as_slice() {
        [one] => Check::well(target, "primary", format!("{one} takes writes")),
        [] => {
            let mend = "promote one of them, or name the one that was promoted in the agent's file";
            Check::finding(target, "primary", "no server of it takes writes: nothing can be made or disarmed", mend)
        }
        several => {
            let text = format!("{} all take writes; sessions are ended on each of them", several.join(" and "));
            let mend = "shut down the one that was replaced, or make a standby of it";
            Check::finding(target, "primary", text, mend)
        }
    });
}

fn place(server: &EndpointHealth) -> String {
    format!("{}:{}", server.host, server.port)
}

fn server(target: &str, server: &EndpointHealth) -> Check {
    let place = place(server);
    match (&server.error, server.behind_bytes) {
        (Some(error), _) => Check::finding(
            target,
            "endpoint",
            format!("{place} does not answer ({error}): no end of a session is proven meanwhile"),
            "bring it back, or take it out of `standbys` if it is gone for good",
        ),
        (None, Some(behind)) => {
            let text = format!("{place} is a {}, {behind} bytes behind", server.role.as_str());
            Check::well(target, "endpoint", text)
        }
        (None, None) => Check::well(target, "endpoint", format!("{place} is a {}", server.role.as_str())),
    }
}

/// What the helpers say of the target. Some of it would be better otherwise, and sessions are sound all the same.
///
/// With standbys `signal` is not among that: a standby that is behind does not know yet that `gk_owner` may end the
/// sessions of a role that was just disarmed.
pub(super) fn helpers_say(config: &TargetConfig, found: Check) -> Check {
    let target = config.name.as_str();
    let needed = found.name == "signal" && !config.standbys.is_empty();
    let advised = found.verdict == Verdict::Fix && ADVISED.contains(&found.name.as_str()) && !needed;
    let verdict = if advised { Verdict::Advice } else { found.verdict };
    Check { subject: target.to_owned(), verdict, ..found }
}

/// Whether sessions can be made with verifiers as this agent makes them.
pub(super) fn iterations(config: &TargetConfig, refused: Result<Option<String>, ProviderError>) -> Check {
    const NAME: &str = "scram_iterations";
    let (target, rounds) = (config.name.as_str(), config.scram_iterations);
    match refused {
        Ok(None) => Check::well(target, NAME, format!("the target takes verifiers of {rounds} rounds")),
        Ok(Some(why)) => {
            let mend = format!(
                "set scram_iterations as said, or on the target: \
                 SET ROLE gk_owner; UPDATE gk.setting SET value = {rounds} WHERE name = 'min_iterations';"
            );
            Check::finding(target, NAME, format!("it is {rounds}: {why}"), mend)
        }
        Err(error) => Check::finding(target, NAME, error.to_string(), BOOTSTRAP),
    }
}

/// The certificate that the agent shows, if it shows one.
pub(super) fn identity(file: &IdentityFile, read: Result<Identity, IdentityError>, now: Timestamp) -> Check {
    const NAME: &str = "identity";
    const AGAIN: &str =
        "gk agent enroll NAME --certificate --target TARGET --out FILE, then gk-agent enroll --token-file FILE";
    let validity = match read {
        Ok(identity) => identity.validity,
        Err(error) => return Check::finding(PLANE, NAME, error.to_string(), AGAIN),
    };
    let (place, until) = (file.path().display(), validity.until);
    match due(validity, now) {
        Due::No => Check::well(PLANE, NAME, format!("{place} holds until {until:.0}")),
        Due::Yes => Check::finding(
            PLANE,
            NAME,
            format!("{place} ends at {until:.0} and was not renewed yet"),
            "start the agent, which renews it; if it runs, its log says why it could not",
        ),
        Due::TooLate => Check::finding(PLANE, NAME, format!("{place} ended at {until:.0}"), AGAIN),
    }
}

/// What the checks of the control plane are about.
const PLANE: &str = "control plane";

pub(super) fn plane(config: &AgentConfig, sight: Result<Sight, ApiError>, checks: &mut Vec<Check>) {
    let url = &config.control_plane;
    match sight {
        Ok(sight) => {
            checks.push(Check::well(PLANE, "reachable", format!("{url}, version {}", sight.version)));
            let shown = match config.credential {
                Credential::Token(_) => "token",
                Credential::Certificate(_) => "certificate",
            };
            checks.push(Check::well(PLANE, shown, format!("it takes this agent's {shown}, for {}", sight.name)));
            checks.push(served(config, &sight));
            checks.push(skew(PLANE, sight.ledger_time, now()));
        }
        Err(ApiError::Refused(problem)) => {
            let text = format!("{url}: {} ({})", problem.detail, problem.code);
            checks.push(Check::finding(PLANE, "reachable", text, problem.hint));
        }
        Err(error @ (ApiError::Unreachable(_) | ApiError::Malformed(_))) => {
            let mend = "start it, or correct control_plane in the agent's configuration";
            checks.push(Check::finding(PLANE, "reachable", format!("{url}: {error}"), mend));
        }
        // The file was looked at before.
        Err(ApiError::Identity(_)) => {}
    }
}

/// Whether it will hand out jobs for each target that is configured here. Others that the agent is enrolled for may be
/// served by another process of it.
fn served(config: &AgentConfig, sight: &Sight) -> Check {
    const NAME: &str = "targets";
    let ours: Vec<&str> = config.targets.iter().map(|target| target.name.as_str()).collect();
    let mut enrolled: Vec<&str> = sight.targets.iter().map(TargetName::as_str).collect();
    let (well, unknown): (Vec<&str>, Vec<&str>) = ours.into_iter().partition(|name| enrolled.contains(name));
    if unknown.is_empty() {
        return Check::well(PLANE, NAME, format!("{} may serve {}", sight.name, well.join(", ")));
    }
    // An enrolment replaces what was there before.
    enrolled.extend(&unknown);
    let flags: String = enrolled.iter().map(|name| format!(" --target {name}")).collect();
    let text = format!("{} is not enrolled for {}: no session is made there", sight.name, unknown.join(", "));
    let mend = format!("gk agent enroll {}{flags} --out FILE, and let token_file name that file", sight.name);
    Check::finding(PLANE, NAME, text, mend)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Endpoint;

    fn there(ours: &RolePack) -> TargetPack {
        let (name, version, digest) = (ours.name.to_owned(), ours.version.to_owned(), ours.digest.clone());
        TargetPack { name, version, digest, fault: None }
    }

    #[test]
    fn a_pack_that_is_missing_altered_or_faulty_is_a_finding() {
        let ours = &our_packs()[0];
        let good = there(ours);
        assert!(pack("t", ours, std::slice::from_ref(&good)).is_well());
        let altered = TargetPack { digest: "sha256:00".to_owned(), ..good.clone() };
        let faulty = TargetPack { fault: Some("it reaches pg_read_all_data".to_owned()), ..good };
        for bad in [vec![], vec![altered], vec![faulty]] {
            let check = pack("t", ours, &bad);
            assert!(check.verdict == Verdict::Fix && !check.mend.is_empty(), "{check:?}");
        }
    }

    #[test]
    fn a_clock_far_from_ours_is_a_finding_either_way() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        assert!(skew("t", at(100), at(103)).is_well());
        assert!(!skew("t", at(100), at(110)).is_well());
        assert!(!skew("t", at(110), at(100)).is_well());
    }

    #[test]
    fn a_server_that_does_not_answer_and_two_or_no_primaries_are_findings() {
        let server = |port, role, error: Option<&str>| EndpointHealth {
            host: "db".to_owned(),
            port,
            role,
            written: false,
            behind_bytes: None,
            error: error.map(str::to_owned),
            unreachable_seconds: None,
        };
        let judged = |seen: &[EndpointHealth]| {
            let mut checks = Vec::new();
            servers("t", seen, &mut checks);
            checks.iter().filter(|check| !check.is_well()).map(|check| check.name.clone()).collect::<Vec<_>>()
        };
        let (primary, standby) = (server(1, EndpointRole::Primary, None), server(2, EndpointRole::Standby, None));
        assert!(judged(&[]).is_empty() && judged(&[primary.clone(), standby.clone()]).is_empty());
        assert_eq!(judged(&[primary.clone(), server(2, EndpointRole::Unknown, Some("gone"))]), ["endpoint"]);
        assert_eq!(judged(&[primary.clone(), primary]), ["primary"]);
        assert_eq!(judged(&[standby.clone(), standby]), ["primary"]);
    }

    #[test]
    fn other_helpers_are_mended_by_a_bootstrap() {
        assert!(helpers("t", HELPERS_VERSION).is_well());
        assert!(helpers("t", "pg-9.9.9").mend.contains("bootstrap --print"));
    }

    #[test]
    fn what_a_dba_may_leave_as_it_is_is_advice_and_a_hole_is_not() {
        let alone = TargetConfig::new("t".parse().expect("a name"), "db", 1, "app", None);
        let standbys = vec![Endpoint { host: "db2".to_owned(), port: 1 }];
        let pair = TargetConfig { standbys, ..alone.clone() };
        let missing = Check::finding("", "signal", "seen", "mend");
        assert_eq!(helpers_say(&pair, missing).verdict, Verdict::Fix, "a standby that is behind needs it");
        let said = |name: &str, ok: bool| {
            let found = if ok { Check::well("", name, "") } else { Check::finding("", name, "seen", "mend") };
            helpers_say(&alone, found).verdict
        };
        assert_eq!(said("public_connect", false), Verdict::Advice);
        assert_eq!(said("signal", false), Verdict::Advice);
        assert_eq!(said("public_connect", true), Verdict::Well);
        assert_eq!(said("pg_hba", false), Verdict::Fix);
        assert_eq!(said("prepared_transactions", false), Verdict::Fix, "they can keep a role from being dropped");
        assert_eq!(said("owner", false), Verdict::Fix);
    }
}
