//! Observations: what is on the target wins over what the ledger believes of it, and the intent wins over both.

use gk_control_plane::http::problem::ApiError;
use gk_control_plane::store::observe::{Sight, observe};
use gk_control_plane::store::sessions::{
    self, CreateRefused, Created, ExtendOutcome, ExtendRequest, SessionRecord, Viewer,
};
use gk_control_plane::store::tokens::AgentIdentity;
use gk_control_plane::store::{Origin, agents, cleanup, recovery};
use gk_shared::ids::SessionId;
use gk_shared::session::{Desired, EndReason, Intent, SessionStatus};
use gk_shared::ttl::Ttl;
use gk_shared::wire::agent::{AgentIdentityKind, EnrollAgent, Intents, Observation, ObservedRole, RoleState};
use gk_shared::wire::recovery::{AcceptedRecovery, LedgerMode};
use std::time::Duration;

use crate::support::{Books, TAKEN, ended, minted_now, request};

/// Makes everything that happened so far older than any look can be.
const AGES_AGO: &str = "UPDATE sessions SET ready_at = ready_at - interval '1 minute',
    cut_at = cut_at - interval '1 minute', ended_at = ended_at - interval '1 minute'";

fn role(session: SessionId, state: RoleState) -> ObservedRole {
    let armed = state == RoleState::Minted;
    ObservedRole { session_id: session, generation: 2, state, armed, backends: 0, valid_until: None, detail: None }
}

fn look(roles: Vec<ObservedRole>) -> Observation {
    let target = "pg-local".parse().expect("is a name");
    Observation { target, target_time: minted_now(), complete: true, roles, dropped: vec![], clock_jump_ms: 0 }
}

async fn report(books: &Books, agent: &AgentIdentity, seen: Observation) -> Intents {
    let origin = Origin::agent(agent.name.as_str(), request());
    match observe(&books.ledger, agent, origin, &seen).await.expect("answers") {
        Sight::Intents(intents) => intents,
        Sight::NotServed => panic!("serves it"),
    }
}

async fn over(books: &Books, agent: &AgentIdentity) -> SessionRecord {
    let ada = books.person("ada").await;
    let (session, _) = books.ready(&ada, agent).await;
    books.revoke(&ada, session.id).await;
    let lease = books.claim_one(agent).await;
    assert_eq!(books.result(agent, &lease, ended()).await, TAKEN);
    books.find(session.id).await
}

#[tokio::test]
async fn the_answer_names_the_intent_of_each_role_and_connections_are_noted() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let busy = ObservedRole { backends: 3, ..role(session.id, RoleState::Minted) };
    let answer = report(&books, &agent, look(vec![busy])).await;
    assert_eq!((answer.intents[0].desired, answer.intents[0].generation), (Desired::Present, 2));
    assert_eq!(books.find(session.id).await.backends, Some(3));
    let check = cleanup::check(&books.ledger, None, Duration::ZERO).await.expect("checks");
    assert!(check.targets[0].looked && check.targets[0].roles == 1);
    let other = Observation { target: "other".parse().expect("is a name"), ..look(vec![]) };
    let origin = Origin::agent("a1", request());
    assert!(matches!(observe(&books.ledger, &agent, origin, &other).await.expect("answers"), Sight::NotServed));
}

#[tokio::test]
async fn an_end_is_asked_for_with_the_highest_generation_that_the_target_knows() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (live, _) = books.ready(&ada, &agent).await;
    let (ending, _) = books.ready(&ada, &agent).await;
    books.revoke(&ada, ending.id).await;
    // What a target says after the ledger was restored from an older copy.
    let ahead = |id| ObservedRole { generation: 9, ..role(id, RoleState::Minted) };
    let answer = report(&books, &agent, look(vec![ahead(live.id), ahead(ending.id)])).await;
    let intent = |id| answer.intents.iter().find(|intent| intent.session_id == id).expect("is answered");
    assert_eq!((intent(ending.id).desired, intent(ending.id).generation), (Desired::Absent, 9));
    assert_eq!((intent(live.id).desired, intent(live.id).generation), (Desired::Present, 2), "no way to mint anew");
    let lost = ObservedRole { armed: false, ..ahead(live.id) };
    let answer = report(&books, &agent, look(vec![lost])).await;
    assert_eq!((answer.intents[0].desired, answer.intents[0].generation), (Desired::Absent, 10), "past it");
}

#[tokio::test]
async fn a_role_that_is_armed_though_it_is_proven_gone_is_ended_again_and_told_once() {
    let books = Books::open().await;
    let agent = books.agent("a1").await;
    let session = over(&books, &agent).await;
    let seen = || look(vec![role(session.id, RoleState::Minted)]);
    report(&books, &agent, seen()).await;
    assert_eq!(books.status(session.id).await, SessionStatus::Revoked, "the look may be older than the proof");
    books.force(AGES_AGO).await;
    let answer = report(&books, &agent, seen()).await;
    assert_eq!((answer.intents[0].desired, answer.intents[0].generation), (Desired::Absent, 4));
    assert_eq!(books.status(session.id).await, SessionStatus::Revoking);
    report(&books, &agent, seen()).await;
    assert_eq!(books.events("session.resurrected", session.id).await, 1);
    let lease = books.claim_one(&agent).await;
    assert_eq!(lease.generation, 4);
    assert_eq!(books.result(&agent, &lease, ended()).await, TAKEN);
    assert_eq!(books.status(session.id).await, SessionStatus::Revoked);
}

#[tokio::test]
async fn a_ready_role_that_is_not_there_any_more_is_lost_and_never_minted_again() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let making = books.create(&ada).await;
    report(&books, &agent, look(vec![])).await;
    assert_eq!(books.status(session.id).await, SessionStatus::Ready, "the look may be older than the mint");
    books.force(AGES_AGO).await;
    report(&books, &agent, Observation { complete: false, ..look(vec![]) }).await;
    assert_eq!(books.status(session.id).await, SessionStatus::Ready, "not all was looked at");
    report(&books, &agent, look(vec![])).await;
    let lost = books.find(session.id).await;
    assert_eq!(lost.facts.intent, Intent::Absent(EndReason::Failed));
    assert!(lost.error.is_some() && lost.sealed_credential.is_none());
    assert_eq!(books.events("session.lost", session.id).await, 1);
    assert_eq!(books.status(making.id).await, SessionStatus::Provisioning, "it was never ready");
}

#[tokio::test]
async fn what_the_agent_dropped_by_itself_is_over_and_has_expired_if_its_time_was_up() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (expired, _) = books.ready(&ada, &agent).await;
    books.force("UPDATE sessions SET expires_at = now() - interval '1 s'").await;
    let (lost, _) = books.ready(&ada, &agent).await;
    let (ending, _) = books.ready(&ada, &agent).await;
    books.revoke(&ada, ending.id).await;
    let dropped = vec![expired.id, lost.id, ending.id];
    report(&books, &agent, Observation { dropped: dropped.clone(), ..look(vec![]) }).await;
    assert_eq!(books.status(expired.id).await, SessionStatus::Expired);
    assert_eq!(books.status(lost.id).await, SessionStatus::Failed);
    assert_eq!(books.status(ending.id).await, SessionStatus::Revoked);
    for id in &dropped {
        assert_eq!(books.events("session.cleaned", id).await, 1);
        assert_eq!(books.events("session.cut", id).await, 1);
    }
    assert!(books.claim(&agent).await.is_empty(), "nothing is left to do");
    report(&books, &agent, Observation { dropped, ..look(vec![]) }).await;
    assert_eq!(books.events("session.cleaned", expired.id).await, 1);
}

#[tokio::test]
async fn a_role_that_cannot_log_in_because_its_time_is_up_by_the_targets_clock_has_expired() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let over = ObservedRole { armed: false, valid_until: Some(minted_now()), ..role(session.id, RoleState::Disarmed) };
    report(&books, &agent, look(vec![over])).await;
    assert_eq!(books.find(session.id).await.facts.intent, Intent::Absent(EndReason::Expired));
}

#[tokio::test]
async fn a_role_that_no_session_explains_is_told_once_and_shown_until_it_is_gone() {
    let books = Books::open().await;
    let agent = books.agent("a1").await;
    let stranger = SessionId::from_parts(1_700_000_000_000, [5; 10]);
    for _ in 0..3 {
        let answer =
            report(&books, &agent, look(vec![role(stranger, RoleState::Orphan), role(stranger, RoleState::Minted)]));
        let answer = answer.await;
        assert!(answer.intents.is_empty() && answer.unknown.contains(&stranger));
    }
    assert_eq!(books.events("orphan.seen", stranger).await, 1);
    let findings = async || cleanup::check(&books.ledger, None, Duration::ZERO).await.expect("checks").findings;
    let found = findings().await;
    assert_eq!((found.len(), found[0].session_id, found[0].status), (1, stranger, None));
    report(&books, &agent, look(vec![])).await;
    assert!(findings().await.is_empty());
}

#[tokio::test]
async fn a_target_without_an_agent_and_without_a_session_is_no_finding_unless_it_is_asked_for() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let mistyped = "pg-locla".parse().expect("is a name");
    let ask = EnrollAgent {
        name: "a2".parse().expect("is a name"),
        targets: vec![mistyped],
        ttl_seconds: None,
        identity: AgentIdentityKind::Token,
    };
    let hour = Duration::from_secs(3600);
    agents::enroll(&books.ledger, Origin::system(), &ask, hour).await.expect("enrols");
    let told = async |target: Option<&str>| {
        let target = target.map(|name| name.parse().expect("is a name"));
        let report = cleanup::check(&books.ledger, target.as_ref(), Duration::ZERO).await.expect("checks");
        report.targets.iter().map(|target| target.target.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(told(None).await, ["pg-local", "pg-locla"], "an agent could look at either");
    // An agent without a token that works is handed nothing, so it claims the end before it loses its own.
    books.revoke(&ada, session.id).await;
    let lease = books.claim_one(&agent).await;
    books.force("UPDATE tokens SET revoked_at = now() WHERE scopes = '{agent}'").await;
    assert_eq!(told(None).await, ["pg-local"], "a session may still be there");
    assert_eq!(books.result(&agent, &lease, ended()).await, TAKEN);
    assert!(told(None).await.is_empty());
    assert_eq!(told(Some("pg-locla")).await, ["pg-locla"]);
}

#[tokio::test]
async fn a_replaced_role_ends_its_session_and_a_jump_of_the_clock_is_told() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let seen = look(vec![ObservedRole { armed: true, ..role(session.id, RoleState::Replaced) }]);
    report(&books, &agent, Observation { clock_jump_ms: -3_600_000, ..seen }).await;
    let lost = books.find(session.id).await;
    assert_eq!(lost.status(), SessionStatus::Revoking);
    assert_eq!(lost.error.expect("says why").code, "role_replaced");
    assert_eq!(books.events("clock.jump", "pg-local").await, 1);
}

#[tokio::test]
async fn a_ledger_that_is_behind_its_target_hands_out_ends_alone_until_an_admin_accepts_it() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (live, _) = books.ready(&ada, &agent).await;
    let queued = books.create(&ada).await;
    let stranger = SessionId::from_parts(1_700_000_000_000, [5; 10]);
    let ahead = ObservedRole { generation: 9, ..role(live.id, RoleState::Minted) };
    let seen = || look(vec![ahead.clone(), role(stranger, RoleState::Minted)]);
    let answer = report(&books, &agent, seen()).await;
    assert_eq!(answer.unknown, [stranger], "it is left until its own end");
    let shown = async || recovery::show(&books.ledger).await.expect("answers");
    let recovery = shown().await;
    assert_eq!((recovery.mode, recovery.findings.len(), recovery.unknown.len()), (LedgerMode::Observe, 2, 1));
    report(&books, &agent, seen()).await;
    assert_eq!(books.events("ledger.behind", "ledger").await, 2, "each is told once");
    assert_eq!(books.find(live.id).await.facts.generation, 9, "and goes past what the target has seen");
    assert!(books.claim(&agent).await.is_empty(), "a session that was asked for is not made");
    books.revoke(&ada, live.id).await;
    let lease = books.claim_one(&agent).await;
    assert_eq!((lease.job.session(), lease.generation), (live.id, 10));

    let reason = "restored".parse().expect("is a reason");
    let accept = async |strict| {
        let origin = Origin::actor("ada", request());
        recovery::accept(&books.ledger, origin, (&reason, strict)).await.expect("answers")
    };
    assert_eq!(accept(false).await, Some(AcceptedRecovery { findings: 2, ending: 0 }));
    assert_eq!(accept(false).await, None, "there is nothing left");
    report(&books, &agent, seen()).await;
    assert_eq!(shown().await.mode, LedgerMode::Normal, "what was accepted is not found again");
    assert_eq!(books.claim_one(&agent).await.job.session(), queued.id);
    assert_eq!(accept(true).await, Some(AcceptedRecovery { findings: 0, ending: 1 }));
    let answer = report(&books, &agent, seen()).await;
    let ending = answer.intents.iter().find(|intent| intent.session_id == stranger).expect("is answered");
    assert_eq!((ending.desired, ending.generation, answer.unknown.len()), (Desired::Absent, 2, 0));
}

#[tokio::test]
async fn a_process_that_does_not_know_yet_that_the_ledger_is_behind_grants_nothing() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (live, _) = books.ready(&ada, &agent).await;
    let asked_before = books.wish(&ada);
    sessions::create(&books.ledger, &asked_before).await.expect("is made");
    report(&books, &agent, look(vec![ObservedRole { generation: 9, ..role(live.id, RoleState::Minted) }])).await;
    let before = books.count("SELECT count(*) FROM jobs").await;
    // These calls ask no notary: the ledger alone knows.
    let refused = sessions::create(&books.ledger, &books.wish(&ada)).await.expect_err("is refused");
    assert!(matches!(&refused, CreateRefused::LedgerBehind(why) if why.contains("generation")), "{refused:?}");
    assert_eq!(ApiError::from(refused).code(), "ledger_restored");
    let more = ExtendRequest {
        id: live.id,
        viewer: Viewer::Actor(ada.actor),
        ttl: Ttl::from_minutes(30).expect("is a ttl"),
        ceiling: Ttl::MAX,
        note: None,
    };
    let extend = async || {
        let origin = Origin::actor("ada", request());
        sessions::extend(&books.ledger, origin, &more).await.expect("answers")
    };
    assert!(matches!(extend().await, ExtendOutcome::LedgerBehind(_)));
    assert_eq!(books.count("SELECT count(*) FROM jobs").await, before, "nothing is kept for later");
    let again = sessions::create(&books.ledger, &asked_before).await.expect("was made before");
    assert!(matches!(again, Created::Again(_)), "{again:?}");

    let reason = "restored".parse().expect("is a reason");
    recovery::accept(&books.ledger, Origin::actor("ada", request()), (&reason, false)).await.expect("answers");
    assert!(matches!(extend().await, ExtendOutcome::Asked(_)));
    books.create(&ada).await;
}
