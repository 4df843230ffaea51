//! Tokens: known by their hashes, dead when they should be.

use std::time::Duration;

use gk_control_plane::store::actors::{self, ActorKind, ActorSpec};
use gk_control_plane::store::tokens::{self, Authentication, NewToken};
use gk_control_plane::store::{Origin, agents, packs, status, targets};
use gk_shared::secret::BearerToken;
use gk_shared::wire::agent::TargetPack;
use gk_shared::wire::token::Scope;

use crate::support::{Books, health, heartbeat, request};

#[tokio::test]
async fn a_token_works_until_it_is_revoked_over_or_its_owner_is_disabled() {
    let books = Books::open().await;
    let answer = async |token: &BearerToken| tokens::authenticate(&books.ledger, token).await.expect("answers");
    assert!(matches!(answer(&BearerToken::generate([9; 32])).await, Authentication::Invalid));
    let (ada, token) = books.person_with_token("ada").await;
    assert!(matches!(answer(&token).await, Authentication::Known(_)));
    assert!(tokens::revoke(&books.ledger, Origin::system(), ada.token).await.expect("answers"));
    assert!(tokens::revoke(&books.ledger, Origin::system(), ada.token).await.expect("a repeat is fine"));
    assert!(matches!(answer(&token).await, Authentication::Invalid));
    let (_, token) = books.person_with_token("ada").await;
    books.force("UPDATE tokens SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h'").await;
    assert!(matches!(answer(&token).await, Authentication::Expired { at, now } if at <= now));
    let (bob, token) = books.person_with_token("bob").await;
    actors::disable(&books.ledger, Origin::system(), bob.actor).await.expect("disables");
    assert!(matches!(answer(&token).await, Authentication::Invalid));
}

#[tokio::test]
async fn no_token_is_in_the_ledger_and_its_last_use_is_noted() {
    let books = Books::open().await;
    let (ada, token) = books.person_with_token("ada").await;
    let secret = token.expose().to_owned();
    let dump = std::process::Command::new(books.pg.program("pg_dump"))
        .arg(books.pg.superuser_dsn("ledger"))
        .output()
        .expect("dumps");
    let text = String::from_utf8_lossy(&dump.stdout);
    assert!(text.contains("CREATE TABLE public.tokens") && !text.contains(&secret));
    let listed = tokens::list(&books.ledger).await.expect("lists");
    let mine = listed.iter().find(|view| view.token_id == ada.token).expect("is listed");
    assert!(mine.last_used_at.is_some());
    assert_eq!((mine.actor.as_str(), mine.scopes.as_slice()), ("ada", [Scope::Requester].as_slice()));
}

#[tokio::test]
async fn groups_are_replaced_only_when_they_are_given() {
    let books = Books::open().await;
    let make = async |groups: Option<Vec<&str>>| {
        let groups = groups.map(|names| names.iter().map(|name| name.parse().expect("is a name")).collect());
        let actor = ActorSpec { name: "ci".parse().expect("is a name"), kind: ActorKind::Service, groups, email: None };
        let new = NewToken { actor, scopes: vec![Scope::Requester], life: Duration::from_secs(60) };
        let made = tokens::create(&books.ledger, Origin::actor("root", request()), &new).await.expect("makes");
        match tokens::authenticate(&books.ledger, &made.token).await.expect("answers") {
            Authentication::Known(caller) => caller,
            other => panic!("{other:?}"),
        }
    };
    let first = make(Some(vec!["dev", "ops"])).await;
    assert_eq!(first.groups.len(), 2);
    assert_eq!(first.kind, ActorKind::Service);
    let second = make(None).await;
    assert_eq!((second.groups.len(), second.actor), (2, first.actor));
    assert!(make(Some(vec![])).await.groups.is_empty());
}

#[tokio::test]
async fn the_catalog_shows_what_agents_reported_and_refuses_targets_that_are_not_theirs() {
    let books = Books::open().await;
    let agent = books.agent("a1").await;
    let mut report = heartbeat();
    report.targets.push(health("other"));
    let answer = agents::heartbeat(&books.ledger, &agent, &report, "1.2.3").await.expect("answers");
    assert_eq!(answer.version, "1.2.3");
    assert_eq!(answer.refused_targets, ["other".parse().expect("is a name")]);
    let found = targets::list(&books.ledger).await.expect("lists");
    assert_eq!(found.len(), 1);
    assert!(found[0].view.reachable && found[0].view.port == Some(5432));
    assert_eq!(found[0].packs, ["app_read".parse().expect("is a name")]);
    assert_eq!(packs::list(&books.ledger).await.expect("lists")[0].targets.len(), 1);
    let mut down = heartbeat();
    down.targets[0].reachable = false;
    down.targets[0].packs.clear();
    agents::heartbeat(&books.ledger, &agent, &down, "1.2.3").await.expect("answers");
    let found = targets::find(&books.ledger, &"pg-local".parse().expect("is a name")).await.expect("answers");
    let found = found.expect("is there");
    assert!(!found.view.reachable && found.packs.len() == 1, "what an unreachable target cannot say stays");
    let listed = agents::list(&books.ledger).await.expect("lists");
    assert!(listed.len() == 1 && listed[0].online);
    let status = status::status(&books.ledger, "1").await.expect("answers");
    assert_eq!((status.agents_online, status.targets_total, status.targets_reachable), (1, 1, 0));
}

#[tokio::test]
async fn of_two_versions_of_a_pack_sessions_get_the_newer_one_by_number_that_can_be_used() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let pack = |version: &str, fault: Option<&str>| TargetPack {
        name: "app_read".into(),
        version: version.into(),
        digest: "a".repeat(64),
        fault: fault.map(ToOwned::to_owned),
    };
    for (packs, chosen) in [
        (vec![pack("pg-1.9.0", None), pack("pg-1.10.0", None)], "pg-1.10.0"),
        (vec![pack("pg-1.10.0", None), pack("pg-1.9.0", None)], "pg-1.10.0"),
        (vec![pack("pg-1.10.0", Some("it reaches a superuser")), pack("pg-1.9.0", None)], "pg-1.9.0"),
        (vec![pack("pg-2.0.0", None), pack("pg-1.10.11", None)], "pg-2.0.0"),
    ] {
        let mut report = heartbeat();
        report.targets[0].packs = packs;
        agents::heartbeat(&books.ledger, &agent, &report, "1").await.expect("answers");
        assert_eq!(books.create(&ada).await.pack_version, chosen);
    }
}
