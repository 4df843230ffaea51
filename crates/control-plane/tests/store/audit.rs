//! The audit log: nothing changes without it, nobody changes it, and its chain verifies.

use gk_control_plane::store::audit::{self, AuditFilter, Patience};
use gk_control_plane::store::sessions::{self, CreateRefused, EndOutcome, EndRequest, Viewer};
use gk_control_plane::store::{Event, Origin, StoreError, actors, agents, scan};
use gk_shared::audit::{AuditAction, AuditEvent, AuditFinding, AuditRecord, Head, Verifier};
use gk_shared::problem::ErrorCode;
use gk_shared::session::SessionStatus;
use std::time::Duration;

use crate::support::{Books, OWNER, connect, ended, heartbeat, request};

/// The whole log, as an export would hold it.
async fn export(books: &Books) -> Vec<AuditRecord> {
    let (mut records, mut after) = (Vec::new(), 0);
    loop {
        let page = audit::events(&books.ledger, after, 100, &AuditFilter::default()).await.expect("reads");
        after = page.next_after;
        records.extend(page.events);
        if !page.more {
            return records;
        }
    }
}

fn verify(records: &[AuditRecord]) -> Result<Head, AuditFinding> {
    let mut verifier = Verifier::from_start(None);
    records.iter().try_for_each(|record| verifier.take(record))?;
    verifier.finish()
}

#[tokio::test]
async fn the_chain_verifies_after_many_writers_and_several_sealers_at_once() {
    let books = Books::open().await;
    let (other, _sent) = connect(&books.config);
    let writers = (0..16_u32).map(|writer| {
        let ledger = if writer % 2 == 0 { books.ledger.clone() } else { other.clone() };
        tokio::spawn(async move {
            for n in 0..25 {
                let event = Event::new(AuditAction::AccessRefused, format!("w{writer}-{n}")).denied();
                audit::record(&ledger, Origin::actor("mala", request()), event).await.expect("records");
                if n % 5 == 0 {
                    audit::seal(&ledger, Patience::Try).await.expect("seals");
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("does not panic");
    }
    audit::seal(&books.ledger, Patience::Wait).await.expect("seals");
    let records = export(&books).await;
    let head = verify(&records).expect("is whole");
    assert_eq!(head.size, 400);
    let checkpoint = audit::checkpoint(&books.ledger, None).await.expect("reads");
    assert_eq!((checkpoint.size, checkpoint.hash), (400, head.hash.to_string()));
    assert_eq!(audit::unsealed(&books.ledger).await.expect("counts"), 0);
    let objects: std::collections::HashSet<String> = records
        .iter()
        .map(|record| serde_json::from_str::<AuditEvent>(&record.event).expect("is an event").object)
        .collect();
    assert_eq!(objects.len(), 400, "each event stands there once");
}

/// A thousand events of one transaction: one whole batch of the sealer.
const A_BATCH: &str = r#"INSERT INTO audit_events (id, tenant_id, canonical, leaf)
    SELECT gen_random_uuid(), (SELECT id FROM tenants), c, sha256('\x00'::bytea || convert_to(c, 'UTF8'))
    FROM (SELECT format('{"v":1,"action":"access.refused","actor":"mala","object":"%s-%s"}', $1::text, g) AS c
          FROM generate_series(1, $2::int) g) x"#;

#[tokio::test]
async fn an_event_whose_transaction_outlasts_a_whole_batch_is_linked_all_the_same() {
    let books = Books::open().await;
    let (slow, other) = (books.superuser().await, books.superuser().await);
    slow.batch_execute("BEGIN").await.expect("begins");
    slow.execute(A_BATCH, &[&"slow", &1_i32]).await.expect("writes");
    other.execute(A_BATCH, &[&"bulk", &1000_i32]).await.expect("writes");
    audit::seal(&books.ledger, Patience::Wait).await.expect("seals");
    assert_eq!(verify(&export(&books).await).expect("is whole").size, 1000);
    slow.batch_execute("COMMIT").await.expect("commits");
    audit::seal(&books.ledger, Patience::Wait).await.expect("seals");
    assert_eq!(verify(&export(&books).await).expect("is whole").size, 1001);
}

#[tokio::test]
async fn a_transaction_that_stays_open_holds_nobody_up_and_its_own_event_comes_later() {
    let books = Books::open().await;
    let slow = books.superuser().await;
    slow.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.expect("begins");
    let record = async |object: &str| {
        let event = Event::new(AuditAction::AccessRefused, object);
        audit::record(&books.ledger, Origin::actor("mala", request()), event).await.expect("records");
        audit::seal(&books.ledger, Patience::Wait).await.expect("seals");
    };
    record("first").await;
    assert_eq!(verify(&export(&books).await).expect("is whole").size, 1);
    let late = "INSERT INTO audit_events (id, tenant_id, canonical, leaf)
        SELECT gen_random_uuid(), tenant_id, canonical, leaf FROM audit_events LIMIT 1";
    slow.batch_execute(late).await.expect("inserts");
    record("second").await;
    slow.batch_execute("COMMIT").await.expect("commits");
    assert_eq!(audit::unsealed(&books.ledger).await.expect("counts"), 1);
    record("third").await;
    assert_eq!(verify(&export(&books).await).expect("is whole").size, 4);
}

#[tokio::test]
async fn nobody_changes_or_removes_an_event_or_a_link_not_even_the_owner_or_a_superuser() {
    let books = Books::open().await;
    let _agent = books.agent("a1").await;
    audit::seal(&books.ledger, Patience::Wait).await.expect("seals");
    let owner = books.pg.connect(OWNER, "pw", "ledger").await.expect("connects");
    let superuser = books.superuser().await;
    superuser.batch_execute("SET session_replication_role = replica").await.expect("may play replica");
    for (who, client) in [("owner", &owner), ("superuser", &superuser)] {
        for sql in [
            "UPDATE audit_events SET canonical = canonical",
            "DELETE FROM audit_events",
            "TRUNCATE audit_events",
            "UPDATE audit_links SET hash = prev",
            "DELETE FROM audit_links",
            "TRUNCATE audit_links",
        ] {
            let error = client.batch_execute(sql).await.expect_err(sql);
            assert_eq!(error.code().expect("has a state").code(), "42501", "{who}: {sql}: {error}");
        }
    }
    let rights = format!(
        "SELECT count(*) FROM unnest(ARRAY['audit_events', 'audit_links']) t, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) p
         WHERE has_table_privilege('{OWNER}', t, p)"
    );
    assert_eq!(books.count(&rights).await, 0, "the owner has no such right, the triggers apart");
    let forged = "INSERT INTO audit_events (id, tenant_id, canonical, leaf)
        SELECT gen_random_uuid(), tenant_id, canonical || ' ', leaf FROM audit_events LIMIT 1";
    let error = owner.batch_execute(forged).await.expect_err("the leaf does not fit");
    assert_eq!(error.code().expect("has a state").code(), "23514");
}

#[tokio::test]
async fn no_audit_no_grant() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (live, _) = books.ready(&ada, &agent).await;
    books.force(&format!("REVOKE INSERT ON audit_events FROM {OWNER}")).await;
    let refused = sessions::create(&books.ledger, &books.wish(&ada)).await.expect_err("cannot be logged");
    let CreateRefused::Store(error) = refused else { panic!("{refused:?}") };
    assert!(matches!(error, StoreError::AuditUnavailable(_)), "{error:?}");
    assert_eq!(error.code(), ErrorCode::AuditUnavailable);
    assert_eq!(books.count("SELECT count(*) FROM sessions").await, 1);
    assert_eq!(books.count("SELECT count(*) FROM jobs WHERE state = 'queued'").await, 0);
    let read = sessions::mark_credential_read(&books.ledger, Origin::actor("ada", request()), live.id).await;
    assert!(matches!(read, Err(StoreError::AuditUnavailable(_))), "{read:?}");
    books.force(&format!("GRANT INSERT ON audit_events TO {OWNER}")).await;
    books.create(&ada).await;
}

/// What the log's own trouble is and what a lost connection is decides whether an end goes on without the log.
#[tokio::test]
async fn only_a_connection_that_is_gone_is_not_the_logs_own_trouble() {
    let books = Books::open().await;
    let (_agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let raise = |code: &str| format!("RAISE EXCEPTION 'no' USING ERRCODE = '{code}'");
    let gone = "PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(5)".to_owned();
    let cases = [
        // A privilege, a lock, a statement out of time, no disk, no memory, a broken file, a read-only server.
        (["42501", "55P03", "57014", "53100", "53200", "58030", "25006"].map(raise).to_vec(), true),
        // The connection, the server on its way down.
        (vec![raise("08006"), raise("57P01"), raise("57P03"), gone], false),
    ];
    for (bodies, of_the_log) in cases {
        for body in bodies {
            books.force(&trigger(&body)).await;
            let refused = sessions::create(&books.ledger, &books.wish(&ada)).await.expect_err("cannot be logged");
            let CreateRefused::Store(error) = refused else { panic!("{refused:?}") };
            let unavailable = matches!(error, StoreError::Unavailable(_));
            assert_eq!(matches!(error, StoreError::AuditUnavailable(_)), of_the_log, "{body}: {error:?}");
            assert_eq!(unavailable, !of_the_log, "{body}: {error:?}");
        }
    }
    assert_eq!(books.count("SELECT count(*) FROM sessions").await, 0);
}

/// Makes every INSERT into the log do this.
fn trigger(body: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
            $f$ BEGIN {body}; RETURN NEW; END $f$;
        CREATE OR REPLACE TRIGGER trouble BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION trouble()"
    )
}

#[tokio::test]
async fn ending_goes_on_without_the_log_and_the_event_follows() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (revoked, _) = books.ready(&ada, &agent).await;
    let (expired, _) = books.ready(&ada, &agent).await;
    let untouched = books.create(&ada).await;
    books.force(&format!("REVOKE INSERT ON audit_events FROM {OWNER}")).await;
    assert!(matches!(books.revoke(&ada, revoked.id).await, EndOutcome::Ending(_)));
    let note = Some("offboarding".parse().expect("is a reason"));
    let wish = EndRequest { id: untouched.id, viewer: Viewer::Actor(ada.actor), note };
    let origin = Origin::actor(ada.name.as_str(), request());
    let told = sessions::end(&books.ledger, origin, &wish).await.expect("ends");
    assert!(matches!(told, EndOutcome::Ending(_)), "{told:?}");
    let expire = format!("UPDATE sessions SET expires_at = now() WHERE id = '{}'", expired.id.uuid());
    books.force(&expire).await;
    assert_eq!(scan::run(&books.ledger).await.expect("scans").expired, 1);
    let leases = books.claim(&agent).await;
    assert_eq!(leases.len(), 2, "the agent is asked, log or no log");
    assert_eq!(scan::log_late(&books.ledger).await.expect_err("still not").code(), ErrorCode::AuditUnavailable);
    books.force(&format!("GRANT INSERT ON audit_events TO {OWNER}")).await;
    assert_eq!(scan::log_late(&books.ledger).await.expect("writes"), 3);
    assert_eq!(scan::log_late(&books.ledger).await.expect("has nothing left"), 0);
    assert_eq!(books.events("session.cleaned", untouched.id).await, 1, "it was over with the wish to end it");
    let said = "SELECT count(*) FROM audit_events WHERE action = 'session.ending' AND canonical LIKE '%offboarding%'";
    assert_eq!(books.count(said).await, 1, "what was said about it");
    assert_eq!(books.count("SELECT count(*) FROM sessions WHERE end_note IS NOT NULL").await, 0);
    for (session, lease) in [(revoked.id, &leases[0]), (expired.id, &leases[1])] {
        assert_eq!(books.events("session.ending", session).await, 1);
        assert_eq!(books.result(&agent, lease, ended()).await, crate::support::TAKEN);
    }
}

#[tokio::test]
async fn somebody_who_cannot_be_disabled_for_want_of_the_log_loses_the_sessions_all_the_same() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    let (session, _) = books.ready(&ada, &agent).await;
    books.force(&format!("REVOKE INSERT ON audit_events FROM {OWNER}")).await;
    let disable = async || actors::disable(&books.ledger, Origin::system(), ada.actor).await;
    assert_eq!(disable().await.expect_err("without an event").code(), ErrorCode::AuditUnavailable);
    assert_eq!(books.status(session.id).await, SessionStatus::Revoking);
    books.force(&format!("GRANT INSERT ON audit_events TO {OWNER}")).await;
    assert_eq!(scan::log_late(&books.ledger).await.expect("writes"), 1);
    assert!(disable().await.expect("disables"), "the next try does the rest");
    assert_eq!(books.events("session.ending", session.id).await, 1);
}

/// The other half of this promise is the type: [`gk_control_plane::store::AuditedTx`] has no commit.
#[tokio::test]
async fn every_change_of_a_session_has_its_event_and_dropped_changes_leave_none() {
    let books = Books::open().await;
    let (agent, ada) = (books.agent("a1").await, books.person("ada").await);
    for _ in 0..20 {
        let wish = books.wish(&ada);
        let ledger = books.ledger.clone();
        // Cut off somewhere in the middle, as a client that goes away would.
        let create = tokio::spawn(async move { sessions::create(&ledger, &wish).await.map(drop) });
        tokio::task::yield_now().await;
        create.abort();
        let _ = create.await;
    }
    let (session, _) = books.ready(&ada, &books.agent("a2").await).await;
    books.revoke(&ada, session.id).await;
    while let Some(lease) = books.claim(&agent).await.pop() {
        if lease.job.session() == session.id {
            books.result(&agent, &lease, ended()).await;
        }
    }
    let counts = "SELECT (SELECT count(*) FROM sessions)
        - (SELECT count(*) FROM audit_events WHERE action = 'session.requested')";
    assert_eq!(books.count(counts).await, 0);
    assert_eq!(books.count("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'").await, 0);
}

#[tokio::test]
async fn silence_is_made_visible_once_a_minute() {
    let books = Books::open().await;
    let minute = Duration::from_secs(60);
    assert!(audit::heartbeat(&books.ledger, minute).await.expect("writes"), "an empty log is silent");
    audit::seal(&books.ledger, Patience::Wait).await.expect("seals");
    assert!(!audit::heartbeat(&books.ledger, minute).await.expect("looks"));
    assert!(audit::heartbeat(&books.ledger, Duration::ZERO).await.expect("writes"));
    assert_eq!(books.events("log.heartbeat", "log").await, 2);
}

#[tokio::test]
async fn events_can_be_filtered_and_a_log_brought_from_another_server_goes_on() {
    let books = Books::open().await;
    let agent = books.agent("a1").await;
    let ada = books.person("ada").await;
    let (session, _) = books.ready(&ada, &agent).await;
    audit::seal(&books.ledger, Patience::Wait).await.expect("seals");
    let filter = AuditFilter { object: Some(session.id.to_string()), ..AuditFilter::default() };
    let page = audit::events(&books.ledger, 0, 100, &filter).await.expect("reads");
    assert_eq!(page.events.len(), 2, "requested, created");
    let filter = AuditFilter { actor: Some("agent:a1".into()), action: Some(AuditAction::SessionCreated), ..filter };
    assert_eq!(audit::events(&books.ledger, 0, 100, &filter).await.expect("reads").events.len(), 1);
    // A dump from a server with far more transactions behind it: its numbers are ahead of this one's.
    let elsewhere = "ALTER TABLE audit_links DISABLE TRIGGER audit_links_stay;
        ALTER TABLE audit_events DISABLE TRIGGER audit_events_stay;
        UPDATE audit_links SET upto = '900000000'; UPDATE audit_events SET txid = '899999999'";
    books.force(elsewhere).await;
    agents::heartbeat(&books.ledger, &agent, &heartbeat(), "0").await.expect("answers");
    books.create(&ada).await;
    books.create(&ada).await;
    audit::seal(&books.ledger, Patience::Try).await.expect("seals");
    books.create(&ada).await;
    audit::seal(&books.ledger, Patience::Try).await.expect("seals");
    assert_eq!(audit::unsealed(&books.ledger).await.expect("counts"), 0);
    let records = export(&books).await;
    assert_eq!(i64::try_from(records.len()).expect("is small"), books.count("SELECT count(*) FROM audit_events").await);
    verify(&records).expect("is whole");
}
