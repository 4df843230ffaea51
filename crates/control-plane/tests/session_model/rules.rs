//! What holds: from one step to the next, at every moment, and when all has settled.

use gk_shared::session::{EndReason, Intent, Observed, SessionStatus};

use super::{Known, Target, is_wanted};

type Verdict = Result<(), String>;

fn must(holds: bool, rule: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(rule()) }
}

/// From one step to the next.
pub(super) fn step(before: &Known, now: &Known) -> Verdict {
    let (old, new) = (&before.facts, &now.facts);
    must(new.generation >= old.generation, || {
        format!("the generation went back from {} to {}", old.generation, new.generation)
    })?;
    must(is_wanted(old) || old.intent == new.intent, || {
        format!("the intent changed from {:?} to {:?}", old.intent, new.intent)
    })?;
    must(is_wanted(old) == is_wanted(new) || new.generation > old.generation, || {
        "an end without a generation of its own".to_owned()
    })?;
    must(now.events.starts_with(&before.events), || "an event was taken back".to_owned())?;
    must(old == new || !changed_for_people(before, now) || now.events.len() > before.events.len(), || {
        format!("{} became {} without an event", before.status, now.status)
    })
}

/// Whether the word changed in a way that the log has to tell of.
fn changed_for_people(before: &Known, now: &Known) -> bool {
    before.status != now.status
}

/// At every moment. `calm`: nobody but agents touched the target.
pub(super) fn place(now: &Known, (target, calm): (&Target, bool)) -> Verdict {
    must(now.status == word(now), || format!("{} is said of {:?}", now.status, now.facts))?;
    let endings = now.count("session.ending") + now.count("session.failed");
    must(endings == usize::from(!is_wanted(&now.facts)), || format!("{endings} events of its end"))?;
    must(now.count("session.created") <= 1, || "it was created twice".to_owned())?;
    must(!comes_after(now, "session.created", &["session.ending", "session.failed"]), || {
        "it was created after its end".to_owned()
    })?;
    let proofs = 1 + now.count("session.resurrected");
    must(now.count("session.cleaned") <= proofs, || "its end was told twice".to_owned())?;
    must(!now.status.is_over() || now.count("session.cleaned") >= 1, || "it is over and no event says so".to_owned())?;
    if !calm {
        return Ok(());
    }
    must(now.count("session.lost") == 0, || "called lost, and nobody touched it".to_owned())?;
    must(now.status != SessionStatus::Ready || target.armed().is_some(), || "ready, and nobody can log in".to_owned())?;
    must(!now.facts.end.cut || target.armed().is_none(), || "cut, and somebody can log in".to_owned())?;
    must(!now.status.is_over() || target.is_empty(), || "over, and the role is there".to_owned())
}

/// Whether one word comes behind one of the others.
fn comes_after(now: &Known, word: &str, others: &[&str]) -> bool {
    let first = now.events.iter().position(|event| others.contains(&event.as_str()));
    first.is_some_and(|first| now.events[first..].iter().any(|event| event == word))
}

/// When nothing more happens by itself.
pub(super) fn settled(now: &Known, target: &Target) -> Verdict {
    match now.facts.intent {
        Intent::Present => must(now.status == SessionStatus::Ready && target.armed().is_some(), || {
            format!("wanted, and in the end {} with {target}", now.status)
        }),
        Intent::Absent(_) => must(now.status.is_over() && target.is_empty(), || {
            format!("unwanted, and in the end {} with {target}", now.status)
        }),
    }
}

/// The word for these facts, said another way: the first line that fits.
fn word(now: &Known) -> SessionStatus {
    let facts = &now.facts;
    let Intent::Absent(reason) = facts.intent else {
        let armed = facts.observed == Observed::Armed;
        return if armed { SessionStatus::Ready } else { SessionStatus::Provisioning };
    };
    if facts.end.dropped {
        return match reason {
            EndReason::Revoked => SessionStatus::Revoked,
            EndReason::Expired => SessionStatus::Expired,
            EndReason::Failed => SessionStatus::Failed,
            EndReason::Denied => SessionStatus::Denied,
            EndReason::Cancelled => SessionStatus::Cancelled,
        };
    }
    let stuck = facts.end.cut && facts.end.blocked.is_some();
    if stuck { SessionStatus::Quarantined } else { SessionStatus::Revoking }
}
