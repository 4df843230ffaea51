//! Jobs: claimed by one, reported by the one who holds them, tried again for ever where it has to be.

use std::collections::HashSet;
use std::time::Duration;

use gk_control_plane::store::jobs::{self, Completion};
use gk_control_plane::store::{Origin, agents};
use gk_shared::problem::ErrorCode;
use gk_shared::session::{EndReason, Intent, SessionStatus};
use gk_shared::wire::agent::{AgentIdentityKind, EnrollAgent};
use gk_shared::wire::job::{Job, JobOutcome, RenewJob};
use gk_testkit::eventually;

use crate::support::{Books, TAKEN, ended, minted, minted_until, refused, sealed, slots, stuck};

#[tokio::test]
async fn twenty_workers_claim_two_hundred_jobs_and_none_twice() {
    let books = Books::open().await;
    let (one, two) = (books.agent("a1").await, books.agent("a2").await);
    let ada = books.person("ada").await;
    for _ in 0..200 {
        books.create(&ada).await;
    }
    // The cap bounds what is in the making at once; here it would only slow the race down.
    let mut claimed = HashSet::new();
    let mut total = 0;
    while total < 200 {
        let workers = (0..20).map(|worker| {
            let (ledger, agent) = (books.ledger.clone(), if worker % 2 == 0 { one.clone() } else { two.clone() });
            tokio::spawn(async move { jobs::claim(&ledger, &agent, &slots(3, 3, 0)).await.expect("claims") })
        });
        let mut round = 0;
        for leases in futures_util::future::join_all(workers).await {
            for lease in leases.expect("does not panic") {
                round += 1;
                assert!(claimed.insert(lease.job.id()), "{lease:?} was claimed twice");
            }
        }
        assert!(round > 0, "only {total} were ever claimed");
        total += round;
        books.force("UPDATE jobs SET state = 'done', finished_at = now() WHERE state = 'leased'").await;
    }
    assert_eq!(claimed.len(), 200);
    assert_eq!(books.count("SELECT count(*) FROM sessions WHERE generation = 2").await, 200);
}

#[tokio::test]
async fn no_more_than_the_cap_of_a_target_is_in_the_making_at_once() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let cap = usize::try_from(jobs::TARGET_CAP).expect("is small");
    for _ in 0..cap + 5 {
        books.create(&ada).await;
    }
    let claim = async || jobs::claim(&books.ledger, &agent, &slots(128, 0, 0)).await.expect("claims").len();
    assert_eq!(claim().await, cap);
    assert_eq!(claim().await, 0);
}

#[tokio::test]
async fn ends_come_before_beginnings_and_only_the_agents_own_targets_count() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    books.create(&ada).await;
    books.revoke(&ada, session.id).await;
    let stranger = EnrollAgent {
        name: "b1".parse().expect("is a name"),
        targets: vec!["elsewhere".parse().expect("is a name")],
        ttl_seconds: None,
        identity: AgentIdentityKind::Token,
    };
    let life = Duration::from_secs(60);
    let stranger = agents::enroll(&books.ledger, Origin::system(), &stranger, life).await.expect("enrols");
    let stranger = books.who(stranger.token.expose()).await;
    assert!(books.claim(&stranger).await.is_empty());
    let mut away = slots(4, 4, 0);
    away.except_targets = vec!["pg-local".parse().expect("is a name")];
    assert!(jobs::claim(&books.ledger, &agent, &away).await.expect("claims").is_empty());
    let jobs = books.claim(&agent).await;
    assert!(matches!(jobs[0].job, Job::RevokeSession(_)) && matches!(jobs[1].job, Job::CreateSession(_)), "{jobs:?}");
}

#[tokio::test]
async fn a_waiting_agent_gets_a_job_as_soon_as_there_is_one() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let ledger = books.ledger.clone();
    let waiting =
        tokio::spawn(async move { jobs::claim(&ledger, &agent, &slots(1, 1, 20_000)).await.expect("claims") });
    let session = books.create(&ada).await;
    let jobs = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("in time").expect("does not panic");
    assert_eq!(jobs[0].job.session(), session.id);
}

#[tokio::test]
async fn a_result_with_a_lapsed_lease_changes_nothing_once_another_agent_has_the_job() {
    let books = Books::open().await;
    let (one, two, ada) = (books.agent("a1").await, books.agent("a2").await, books.person("ada").await);
    let session = books.create(&ada).await;
    let old = books.claim_one(&one).await;
    assert!(books.claim(&two).await.is_empty(), "it is leased");
    books.force("UPDATE jobs SET run_at = now() - interval '1 second'").await;
    let new = books.claim_one(&two).await;
    assert_eq!((new.generation, new.attempt), (old.generation + 1, 2));
    assert_eq!(books.result(&one, &old, minted(&old)).await, Completion::Stale);
    assert_eq!(books.result(&one, &new, minted(&new)).await, Completion::Stale, "another agent's lease");
    assert_eq!(books.status(session.id).await, SessionStatus::Provisioning);
    let held = RenewJob { lease_token: old.lease_token, generation: old.generation };
    assert_eq!(jobs::renew(&books.ledger, &one, old.job.id(), &held).await.expect("answers"), None);
    let held = RenewJob { lease_token: new.lease_token.clone(), generation: new.generation };
    assert!(jobs::renew(&books.ledger, &two, new.job.id(), &held).await.expect("answers").is_some());
    assert_eq!(books.result(&two, &new, minted(&new)).await, TAKEN);
    assert_eq!(books.status(session.id).await, SessionStatus::Ready);
}

#[tokio::test]
async fn a_repeated_result_gets_the_same_answer_and_another_result_for_the_same_lease_is_refused() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let session = books.create(&ada).await;
    let lease = books.claim_one(&agent).await;
    let result = minted(&lease);
    assert_eq!(books.result(&agent, &lease, result.clone()).await, TAKEN);
    let before = books.find(session.id).await;
    assert_eq!(books.result(&agent, &lease, result).await, Completion::Repeated);
    let longer = minted_until(&lease, crate::support::minted_now() + Duration::from_secs(86_400));
    assert_eq!(books.result(&agent, &lease, longer).await, Completion::Stale);
    assert_eq!(books.find(session.id).await.expires_at, before.expires_at);
    assert_eq!(books.events("session.created", session.id).await, 1);
}

#[tokio::test]
async fn an_agent_cannot_make_a_session_last_longer_than_it_was_granted_for() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let session = books.create(&ada).await;
    let lease = books.claim_one(&agent).await;
    let year = minted_until(&lease, crate::support::minted_now() + Duration::from_secs(31_000_000));
    assert_eq!(books.result(&agent, &lease, year).await, TAKEN);
    let end = books.find(session.id).await.expires_at.expect("is ready");
    assert!(end < crate::support::minted_now() + Duration::from_secs(15 * 60 + 5));
}

#[tokio::test]
async fn a_revoke_that_overtakes_its_mint_wins_and_the_role_is_cleaned_up() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let session = books.create(&ada).await;
    let create = books.claim_one(&agent).await;
    books.revoke(&ada, session.id).await;
    assert_eq!(books.status(session.id).await, SessionStatus::Revoking);
    assert_eq!(books.result(&agent, &create, minted(&create)).await, Completion::Stale);
    let held = RenewJob { lease_token: create.lease_token.clone(), generation: create.generation };
    assert_eq!(jobs::renew(&books.ledger, &agent, create.job.id(), &held).await.expect("answers"), None);
    let revoke = books.claim_one(&agent).await;
    assert!(revoke.generation > create.generation, "the fence on the target lets the later one win");
    assert_eq!(books.result(&agent, &revoke, ended()).await, TAKEN);
    assert_eq!(books.status(session.id).await, SessionStatus::Revoked);
    assert_eq!(books.find(session.id).await.sealed_credential, None);
}

#[tokio::test]
async fn a_hundred_races_of_mint_and_revoke_leave_no_session_ready_that_was_revoked() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    for _ in 0..100 {
        let session = books.create(&ada).await;
        let lease = books.claim_one(&agent).await;
        let outcome = minted(&lease);
        let (_, _) = tokio::join!(books.revoke(&ada, session.id), books.result(&agent, &lease, outcome));
        let after = books.find(session.id).await;
        assert_eq!(after.status(), SessionStatus::Revoking);
        assert_eq!(after.sealed_credential, None);
        let revoke = books.claim_one(&agent).await;
        assert_eq!(books.result(&agent, &revoke, ended()).await, TAKEN);
    }
}

#[tokio::test]
async fn a_foreign_role_or_a_bad_blob_ends_the_session_and_names_the_agent() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    for (code, bad) in [(ErrorCode::RoleMismatch, true), (ErrorCode::BadSealedBlob, false)] {
        let session = books.create(&ada).await;
        let lease = books.claim_one(&agent).await;
        let JobOutcome::Minted { role_name, expires_at, .. } = minted(&lease) else { panic!("is a mint") };
        let role_name = if bad { "postgres".to_owned() } else { role_name };
        let sealed_credential = if bad { sealed(lease.generation) } else { sealed(lease.generation - 1) };
        let outcome = JobOutcome::Minted { role_name, expires_at, sealed_credential };
        assert_eq!(books.result(&agent, &lease, outcome).await, Completion::Refused(code));
        let found = books.find(session.id).await;
        assert_eq!(found.facts.intent, Intent::Absent(EndReason::Failed));
        assert_eq!(found.error.expect("says why").code, code.as_str());
        assert_eq!(books.events("agent.refused", session.id).await, 1);
        let revoke = books.claim_one(&agent).await;
        assert_eq!(books.result(&agent, &revoke, ended()).await, TAKEN);
    }
}

#[tokio::test]
async fn a_retryable_refusal_comes_back_later_and_a_final_one_fails_the_session() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let session = books.create(&ada).await;
    let lease = books.claim_one(&agent).await;
    let busy = refused("target_busy", true);
    assert_eq!(books.result(&agent, &lease, busy.clone()).await, TAKEN);
    assert_eq!(books.result(&agent, &lease, busy).await, Completion::Repeated);
    assert!(books.claim(&agent).await.is_empty(), "not before its pause is over");
    let lease = eventually(Duration::from_secs(5), "the job is back", async || match books.claim(&agent).await.pop() {
        Some(lease) => Ok(lease),
        None => Err("nothing"),
    });
    let lease = lease.await;
    assert_eq!((lease.attempt, lease.generation), (2, 3));
    assert_eq!(books.result(&agent, &lease, refused("pack_refused", false)).await, TAKEN);
    let failed = books.find(session.id).await;
    assert_eq!(failed.status(), SessionStatus::Revoking, "the outcome is unknown, so it is cleaned up");
    let revoke = books.claim_one(&agent).await;
    assert_eq!(books.result(&agent, &revoke, ended()).await, TAKEN);
    let failed = books.find(session.id).await;
    assert_eq!(failed.status(), SessionStatus::Failed);
    assert_eq!(failed.error.expect("is kept for the requester").code, "pack_refused");
}

#[tokio::test]
async fn fifty_ends_that_are_stuck_are_tried_for_ever_and_hold_up_no_other() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let mut poisoned = Vec::new();
    for _ in 0..50 {
        let (session, _) = books.ready(&ada, &agent).await;
        books.revoke(&ada, session.id).await;
        let lease = books.claim_one(&agent).await;
        assert_eq!(books.result(&agent, &lease, stuck("owns a prepared transaction")).await, TAKEN);
        // Out of the way until all of them are there.
        books.force("UPDATE jobs SET run_at = now() + interval '1 hour' WHERE state = 'queued'").await;
        poisoned.push(session.id);
    }
    let (normal, _) = books.ready(&ada, &agent).await;
    books.force("UPDATE jobs SET run_at = now() - interval '1 minute' WHERE state = 'queued'").await;
    books.revoke(&ada, normal.id).await;
    let first = jobs::claim(&books.ledger, &agent, &slots(0, 1, 0)).await.expect("claims");
    assert_eq!(first[0].job.session(), normal.id, "what fails again and again stands behind");
    let found = books.find(poisoned[0]).await;
    assert_eq!(found.status(), SessionStatus::Quarantined);
    assert_eq!(found.view().blocked.as_deref(), Some("owns a prepared transaction"));
    let again = jobs::claim(&books.ledger, &agent, &slots(0, 128, 0)).await.expect("claims");
    assert_eq!(again.len(), 50);
    assert_eq!(books.result(&agent, &again[0], stuck("owns a prepared transaction")).await, TAKEN);
    assert_eq!(books.events("session.quarantined", again[0].job.session()).await, 1, "told once");
    let pause = "SELECT (extract(epoch FROM max(run_at) - now()) * 1000)::bigint FROM jobs WHERE state = 'queued'";
    assert!((1..=75_000).contains(&books.count(pause).await), "it comes back by itself, within the cap");
    assert_eq!(books.result(&agent, &again[1], ended()).await, TAKEN);
    assert_eq!(books.status(again[1].job.session()).await, SessionStatus::Revoked);
}

#[tokio::test]
async fn what_a_target_said_cannot_break_the_ledger_or_steer_a_terminal() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let session = books.create(&ada).await;
    let lease = books.claim_one(&agent).await;
    assert_eq!(books.result(&agent, &lease, refused("mint\0_failed\u{1b}[2J", false)).await, TAKEN);
    let error = books.find(session.id).await.error.expect("says why");
    assert_eq!(error.code, "mint\u{FFFD}_failed\u{FFFD}[2J");
    let revoke = books.claim_one(&agent).await;
    assert_eq!(books.result(&agent, &revoke, stuck("a\0b")).await, TAKEN);
    assert_eq!(books.find(session.id).await.view().blocked.as_deref(), Some("a\u{FFFD}b"));
}

#[tokio::test]
async fn a_quarantined_role_that_is_no_longer_blocked_but_not_gone_is_told_once() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    books.revoke(&ada, session.id).await;
    for outcome in [stuck("a"), JobOutcome::Ended { dropped: false, blocked: None }, ended()] {
        books.force("UPDATE jobs SET run_at = now() WHERE state = 'queued'").await;
        let lease = books.claim_one(&agent).await;
        assert_eq!(books.result(&agent, &lease, outcome).await, TAKEN);
    }
    assert_eq!(books.status(session.id).await, SessionStatus::Revoked);
    assert_eq!(books.events("session.cleaned", session.id).await, 1);
}
