//! Sessions: created once, seen by the right people, ended for good.

use gk_control_plane::store::actors;
use gk_control_plane::store::sessions::{
    self, CreateRefused, Created, EndOutcome, ExtendOutcome, ExtendRequest, ListFilter, SessionRecord, Viewer,
};
use gk_control_plane::store::{Ledger, Origin};
use gk_shared::ids::SessionId;
use gk_shared::session::{EndReason, Intent, SessionStatus};
use gk_shared::ttl::Ttl;
use gk_shared::wire::job::{Job, JobOutcome};
use std::time::Duration;

use crate::support::{Books, TAKEN, ended, minted_now, request};

#[tokio::test]
async fn fifty_requests_with_one_key_make_one_session_and_all_get_it() {
    let books = Books::open().await;
    let (_agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let key = books.wish(&ada).key;
    let wishes = (0..50).map(|_| {
        let wish = sessions::NewSession { key: key.clone(), ..books.wish(&ada) };
        let ledger = books.ledger.clone();
        tokio::spawn(async move { sessions::create(&ledger, &wish).await.expect("is not refused") })
    });
    let mut new = 0;
    let mut ids = std::collections::HashSet::new();
    for answer in wishes.collect::<Vec<_>>() {
        let created = answer.await.expect("does not panic");
        new += usize::from(matches!(created, Created::New(_)));
        ids.insert(created.into_session().id);
    }
    assert_eq!((new, ids.len()), (1, 1));
    assert_eq!(books.count("SELECT count(*) FROM jobs").await, 1);
    assert_eq!(books.count("SELECT count(*) FROM audit_events WHERE action = 'session.requested'").await, 1);
}

#[tokio::test]
async fn a_key_with_another_body_is_refused_belongs_to_one_actor_and_is_free_again_in_the_end() {
    let books = Books::open().await;
    let (_agent, ada, bob) = (books.agent("a1").await, books.person("ada").await, books.person("bob").await);
    let first = books.wish(&ada);
    let made = sessions::create(&books.ledger, &first).await.expect("creates").into_session();
    let other = sessions::NewSession { body_hash: [8; 32], key: first.key.clone(), ..books.wish(&ada) };
    let refused = sessions::create(&books.ledger, &other).await.expect_err("another body");
    assert!(matches!(refused, CreateRefused::IdempotencyMismatch), "{refused:?}");
    let bobs = sessions::NewSession { key: first.key.clone(), ..books.wish(&bob) };
    let bobs = sessions::create(&books.ledger, &bobs).await.expect("is another actor's key");
    assert_ne!(bobs.into_session().id, made.id);
    books.force("UPDATE idempotency_keys SET expires_at = now() - interval '1 second'").await;
    let later = sessions::create(&books.ledger, &other).await.expect("the key has lapsed");
    assert!(matches!(later, Created::New(_)));
}

#[tokio::test]
async fn a_create_that_cannot_be_served_says_why_and_leaves_nothing() {
    let books = Books::open().await;
    let ada = books.person("ada").await;
    let refusal = async |wish| sessions::create(&books.ledger, &wish).await.expect_err("is refused");
    assert!(matches!(refusal(books.wish(&ada)).await, CreateRefused::UnknownTarget));
    let _agent = books.agent("a1").await;
    let unknown = sessions::NewSession { role: "app_admin".parse().expect("is a name"), ..books.wish(&ada) };
    let refused = refusal(unknown).await;
    assert!(refused.to_string().contains("app_admin is not registered on pg-local"), "{refused}");
    books.force("UPDATE target_packs SET fault = 'it reaches pg_write_all_data'").await;
    let refused = refusal(books.wish(&ada)).await;
    assert!(refused.to_string().contains("pg_write_all_data"), "{refused}");
    books.force("UPDATE agents SET last_seen_at = now() - interval '10 minutes'").await;
    assert!(matches!(refusal(books.wish(&ada)).await, CreateRefused::NoAgent));
    for table in ["sessions", "jobs", "idempotency_keys", "audit_events WHERE action = 'session.requested'"] {
        assert_eq!(books.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_target_whose_clock_is_off_gets_no_new_sessions() {
    let books = Books::open().await;
    let (_agent, ada) = (books.agent("a1").await, books.person("ada").await);
    for (skew_ms, seconds) in [(30_001, 30), (-3_600_000, -3600)] {
        books.force(&format!("UPDATE targets SET clock_skew_ms = {skew_ms}")).await;
        let refused = sessions::create(&books.ledger, &books.wish(&ada)).await.expect_err("is refused");
        assert!(matches!(refused, CreateRefused::ClockSkew(found) if found == seconds), "{refused:?}");
    }
    for skew_ms in ["30000", "-30000", "NULL"] {
        books.force(&format!("UPDATE targets SET clock_skew_ms = {skew_ms}")).await;
        books.create(&ada).await;
    }
}

#[tokio::test]
async fn a_token_that_ends_while_its_request_is_under_way_makes_no_session() {
    let books = Books::open().await;
    let _agent = books.agent("a1").await;
    for (name, end) in [
        ("ada", "UPDATE tokens SET revoked_at = now() WHERE revoked_at IS NULL AND 'requester' = ANY (scopes)"),
        ("bob", "UPDATE tokens SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h'"),
        ("eve", "UPDATE actors SET disabled_at = now() WHERE name = 'eve'"),
    ] {
        // Its token was good when the door looked at it.
        let caller = books.person(name).await;
        books.force(end).await;
        let refused = sessions::create(&books.ledger, &books.wish(&caller)).await.expect_err("is refused");
        assert!(matches!(refused, CreateRefused::TokenEnded), "{name}: {refused:?}");
    }
    assert_eq!(books.count("SELECT count(*) FROM sessions").await, 0);
}

#[tokio::test]
async fn only_the_requester_and_those_who_see_all_find_a_session() {
    let books = Books::open().await;
    let (_agent, ada, bob) = (books.agent("a1").await, books.person("ada").await, books.person("bob").await);
    let session = books.create(&ada).await;
    let found = async |viewer| sessions::find(&books.ledger, session.id, viewer).await.expect("answers").is_some();
    assert!(found(Viewer::All).await);
    assert!(found(Viewer::Actor(ada.actor)).await);
    assert!(!found(Viewer::Actor(bob.actor)).await);
    assert!(matches!(books.revoke(&bob, session.id).await, EndOutcome::NotFound));
    assert_eq!(books.status(session.id).await, SessionStatus::Provisioning);
}

#[tokio::test]
async fn a_session_goes_from_request_to_proof_of_its_end_and_each_step_is_one_event() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, lease) = books.ready(&ada, &agent).await;
    assert_eq!(session.status(), SessionStatus::Ready);
    assert_eq!((lease.generation, lease.attempt), (2, 1));
    assert!(session.sealed_credential.is_some());
    let Job::CreateSession(job) = &lease.job else { panic!("{lease:?}") };
    assert_eq!((job.requester.user_id.as_str(), job.pack_version.as_str()), ("ada", "pg-1.0.0"));

    let EndOutcome::Ending(ending) = books.revoke(&ada, session.id).await else { panic!("was live") };
    assert_eq!(ending.status(), SessionStatus::Revoking);
    assert_eq!(ending.sealed_credential, None, "erased as soon as it is wanted absent");
    let lease = books.claim_one(&agent).await;
    assert_eq!(lease.generation, 3);
    assert_eq!(books.result(&agent, &lease, ended()).await, TAKEN);
    let over = books.find(session.id).await;
    assert_eq!(over.status(), SessionStatus::Revoked);
    assert!(over.cut_at.is_some() && over.ended_at.is_some() && over.ended_by.as_deref() == Some("ada"));
    assert!(matches!(books.revoke(&ada, session.id).await, EndOutcome::Already(_)));
    for action in ["requested", "created", "ending", "cut", "cleaned"] {
        assert_eq!(books.events(&format!("session.{action}"), session.id).await, 1, "{action}");
    }
}

#[tokio::test]
async fn a_session_that_no_agent_ever_had_is_over_at_once() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let session = books.create(&ada).await;
    let EndOutcome::Ending(over) = books.revoke(&ada, session.id).await else { panic!("was live") };
    assert_eq!(over.status(), SessionStatus::Revoked);
    assert!(books.claim(&agent).await.is_empty(), "its job is passed over");
}

#[tokio::test]
async fn twenty_revokes_at_once_end_it_once() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let all = (0..20).map(|_| books.revoke(&ada, session.id));
    let answers = futures_util::future::join_all(all).await;
    let first = answers.iter().filter(|answer| matches!(answer, EndOutcome::Ending(_))).count();
    assert_eq!(first, 1);
    assert_eq!(books.events("session.ending", session.id).await, 1);
    assert_eq!(books.find(session.id).await.facts.generation, 3);
}

#[tokio::test]
async fn the_wait_ends_when_the_session_settles_or_its_time_is_over() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let session = books.create(&ada).await;
    let settled = |status| status == SessionStatus::Ready;
    let short = Duration::from_millis(20);
    let early = sessions::wait(&books.ledger, session.id, Viewer::All, short, settled).await.expect("answers");
    assert_eq!(early.expect("is there").status(), SessionStatus::Provisioning);
    let ledger = books.ledger.clone();
    let id = session.id;
    let waiting = tokio::spawn(async move {
        sessions::wait(&ledger, id, Viewer::All, Duration::from_secs(10), settled).await.expect("answers")
    });
    let lease = books.claim_one(&agent).await;
    books.result(&agent, &lease, crate::support::minted(&lease)).await;
    let seen = waiting.await.expect("does not panic").expect("is there");
    assert_eq!(seen.status(), SessionStatus::Ready);
}

#[tokio::test]
async fn pages_neither_repeat_nor_skip_while_sessions_are_made() {
    let books = Books::open().await;
    let (_agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let mut made = Vec::new();
    for _ in 0..7 {
        made.push(books.create(&books.person("ada").await).await.id);
    }
    let page = async |after| list(&books.ledger, Viewer::Actor(ada.actor), after).await;
    let (first, next) = page(None).await;
    books.create(&books.person("ada").await).await;
    let (second, next) = page(next).await;
    let (third, end) = page(next).await;
    let seen: Vec<SessionId> = [first, second, third].concat().iter().map(|session| session.id).collect();
    made.reverse();
    assert_eq!(seen, made);
    assert_eq!(end, None);
}

async fn list(ledger: &Ledger, viewer: Viewer, after: Option<SessionId>) -> (Vec<SessionRecord>, Option<SessionId>) {
    let filter = ListFilter { viewer, status: None, target: None, live: false, after, limit: 3 };
    let page = sessions::list(ledger, &filter).await.expect("lists");
    (page.sessions, page.next)
}

#[tokio::test]
async fn lists_filter_by_status_target_and_life() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (ready, _) = books.ready(&ada, &agent).await;
    let over = books.create(&ada).await;
    books.revoke(&ada, over.id).await;
    let base = ListFilter { viewer: Viewer::All, status: None, target: None, live: false, after: None, limit: 50 };
    let ids = async |filter: ListFilter| {
        let page = sessions::list(&books.ledger, &filter).await.expect("lists");
        page.sessions.iter().map(|session| session.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(base.clone()).await.len(), 2);
    assert_eq!(ids(ListFilter { status: Some(SessionStatus::Ready), ..base.clone() }).await, [ready.id]);
    assert_eq!(ids(ListFilter { status: Some(SessionStatus::Revoked), ..base.clone() }).await, [over.id]);
    assert_eq!(ids(ListFilter { live: true, ..base.clone() }).await, [ready.id]);
    let elsewhere = Some("elsewhere".parse().expect("is a name"));
    assert!(ids(ListFilter { target: elsewhere, ..base }).await.is_empty());
}

#[tokio::test]
async fn a_credential_is_said_to_be_read_once() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let origin = || Origin::actor("ada", request());
    let mark = async || sessions::mark_credential_read(&books.ledger, origin(), session.id).await.expect("answers");
    assert!(mark().await);
    assert!(!mark().await);
    assert_eq!(books.events("session.credential_read", session.id).await, 1);
}

#[tokio::test]
async fn an_extension_moves_the_end_when_the_target_has_moved_it_and_never_past_what_was_asked() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let ask = |minutes, ceiling| ExtendRequest {
        id: session.id,
        viewer: Viewer::Actor(ada.actor),
        ttl: Ttl::from_minutes(minutes).expect("is a ttl"),
        ceiling: Ttl::from_minutes(ceiling).expect("is a ttl"),
        note: None,
    };
    let extend =
        async |wish| sessions::extend(&books.ledger, Origin::actor("ada", request()), &wish).await.expect("answers");
    assert!(matches!(extend(ask(60, 30)).await, ExtendOutcome::TooLong { .. }));
    assert!(matches!(extend(ask(60, 120)).await, ExtendOutcome::Asked(_)));
    assert!(matches!(extend(ask(60, 120)).await, ExtendOutcome::UnderWay));
    let lease = books.claim_one(&agent).await;
    let Job::ExtendSession(job) = &lease.job else { panic!("{lease:?}") };
    assert_eq!((job.ttl_seconds, lease.generation), (3600, 2));
    let greedy = minted_now() + Duration::from_secs(86_400);
    assert_eq!(books.result(&agent, &lease, JobOutcome::Extended { expires_at: greedy }).await, TAKEN);
    let end = books.find(session.id).await.expires_at.expect("is ready");
    assert!(end < minted_now() + Duration::from_secs(3605) && end > minted_now() + Duration::from_secs(3500));
    let before = books.count(JOBS).await;
    assert!(matches!(extend(ask(30, 120)).await, ExtendOutcome::NotLater { until } if until == end));
    assert_eq!(books.count(JOBS).await, before, "nothing was asked of an agent");
    assert!(matches!(extend(ask(70, 120)).await, ExtendOutcome::Asked(_)));
    let lease = books.claim_one(&agent).await;
    let early = minted_now() + Duration::from_secs(60);
    assert_eq!(books.result(&agent, &lease, JobOutcome::Extended { expires_at: early }).await, TAKEN);
    assert_eq!(books.find(session.id).await.expires_at, Some(end), "an end never moves backwards");
    let told = "SELECT count(*) FROM audit_events e, sessions s, jsonb_array_elements(canonical::jsonb -> 'facts') f
        WHERE e.action = 'session.extended' AND f ->> 0 = 'expires_at' AND (f ->> 1)::timestamptz = s.expires_at";
    assert_eq!(books.count(told).await, 2, "the log has the end as it is, not as the agent said");
    books.revoke(&ada, session.id).await;
    assert!(matches!(extend(ask(60, 120)).await, ExtendOutcome::Ended));
}

/// Between the wish and the agent that takes it up there may be minutes; they are no gift.
#[tokio::test]
async fn an_extension_counts_from_when_it_was_asked_for() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    let minutes = |minutes| Ttl::from_minutes(minutes).expect("is a ttl");
    let (ttl, ceiling) = (minutes(60), minutes(240));
    let wish = ExtendRequest { id: session.id, viewer: Viewer::All, ttl, ceiling, note: None };
    let asked = sessions::extend(&books.ledger, Origin::actor("ada", request()), &wish).await.expect("answers");
    assert!(matches!(asked, ExtendOutcome::Asked(_)));
    books.force("UPDATE jobs SET created_at = created_at - interval '20 minutes' WHERE kind = 'extend'").await;
    let lease = books.claim_one(&agent).await;
    let Job::ExtendSession(job) = &lease.job else { panic!("{lease:?}") };
    assert!((2390..=2400).contains(&job.ttl_seconds), "what is left of the hour: {}", job.ttl_seconds);
    let greedy = minted_now() + Duration::from_secs(3600);
    assert_eq!(books.result(&agent, &lease, JobOutcome::Extended { expires_at: greedy }).await, TAKEN);
    let end = books.find(session.id).await.expires_at.expect("is ready");
    let left = end.duration_since(minted_now()).as_secs();
    assert!((2300..=2402).contains(&left), "{left} s from now");
}

#[tokio::test]
async fn a_create_that_comes_while_its_actor_is_being_disabled_makes_nothing() {
    let books = Books::open().await;
    let (_agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let other = books.superuser().await;
    other.batch_execute("BEGIN; UPDATE actors SET disabled_at = now() WHERE name = 'ada'").await.expect("disables");
    let (wish, ledger) = (books.wish(&ada), books.ledger.clone());
    let create = tokio::spawn(async move { sessions::create(&ledger, &wish).await });
    books.locked_out(1).await;
    other.batch_execute("COMMIT").await.expect("commits");
    let refused = create.await.expect("does not panic").expect_err("is refused");
    assert!(matches!(refused, CreateRefused::TokenEnded), "{refused:?}");
    assert_eq!(books.count("SELECT count(*) FROM sessions").await, 0);
}

#[tokio::test]
async fn a_session_in_the_making_when_its_actor_is_disabled_ends_all_the_same() {
    let books = Books::open().await;
    let (_agent, ada) = (books.agent("a1").await, books.person("ada").await);
    // Holds the create in the middle: it has begun, and nobody sees its session yet.
    let other = books.superuser().await;
    other.batch_execute("BEGIN; LOCK TABLE audit_events IN EXCLUSIVE MODE").await.expect("locks");
    let (wish, ledger) = (books.wish(&ada), books.ledger.clone());
    let id = wish.id;
    let create = tokio::spawn(async move { sessions::create(&ledger, &wish).await });
    books.locked_out(1).await;
    let ledger = books.ledger.clone();
    let disable = tokio::spawn(async move { actors::disable(&ledger, Origin::system(), ada.actor).await });
    books.locked_out(2).await;
    other.batch_execute("ROLLBACK").await.expect("lets go");
    create.await.expect("does not panic").expect("came first");
    assert!(disable.await.expect("does not panic").expect("answers"));
    assert_eq!(books.find(id).await.facts.intent, Intent::Absent(EndReason::Revoked));
}

const JOBS: &str = "SELECT count(*) FROM jobs";

#[tokio::test]
async fn a_disabled_actor_loses_every_session() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (ready, _) = books.ready(&ada, &agent).await;
    let making = books.create(&ada).await;
    let admin = || Origin::actor("root", request());
    assert!(actors::disable(&books.ledger, admin(), ada.actor).await.expect("answers"));
    assert!(!actors::disable(&books.ledger, admin(), ada.actor).await.expect("answers"));
    for id in [ready.id, making.id] {
        assert_eq!(books.find(id).await.facts.intent, Intent::Absent(EndReason::Revoked));
    }
}
