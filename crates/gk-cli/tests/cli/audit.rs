//! `gk audit`: read, exported, and checked offline and live.

use std::sync::{Arc, Mutex};

use gk_shared::audit::epoch::first_epoch;
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::tree::Frontier;
use gk_shared::audit::{
    AuditAction, AuditEvent, AuditRecord, Checkpoint, Hash, Head, LogOrigin, Outcome, SealedHead, leaf_hash, link_hash,
};
use gk_shared::ids::EventId;
use serde_json::json;
use zeroize::Zeroizing;

use crate::scripted::{Reply, Scripted, session};
use crate::support::Home;

fn event(n: u8, at: &str) -> AuditEvent {
    AuditEvent {
        v: 1,
        id: EventId::from_parts(1_700_000_000_000, [n; 10]),
        tenant: "default".into(),
        at: at.into(),
        actor: "dana".into(),
        action: AuditAction::SessionRequested,
        object: session().to_string(),
        outcome: Outcome::Ok,
        request: "req_y".into(),
        facts: vec![("reason".into(), format!("number {n}"))],
    }
}

/// Links these events into a log.
fn linked(events: impl IntoIterator<Item = AuditEvent>) -> Vec<AuditRecord> {
    let mut prev = Hash::genesis();
    (1..)
        .zip(events)
        .map(|(seq, event)| {
            let event = event.canonical();
            let hash = link_hash(prev, seq, leaf_hash(&event));
            let record = AuditRecord { seq, prev_hash: prev.to_string(), hash: hash.to_string(), event };
            prev = hash;
            record
        })
        .collect()
}

fn log(len: u8) -> Vec<AuditRecord> {
    linked((1..=len).map(|n| event(n, &format!("2026-11-22T01:02:{n:02}.000000Z"))))
}

fn lines(records: &[AuditRecord]) -> String {
    records.iter().map(|record| format!("{}\n", serde_json::to_string(record).expect("JSON"))).collect()
}

/// Signs logs, with the seed of its key.
struct Signer(u8);

impl Signer {
    fn key(&self) -> SigningKey {
        SigningKey::from_seed(Zeroizing::new([self.0; 32]))
    }

    fn origin() -> LogOrigin {
        LogOrigin::of_log("a-ledger").expect("is an id")
    }

    fn verifier_key(&self) -> String {
        self.key().verifier(Self::origin().as_str()).to_string()
    }

    fn seal(&self, records: &[AuditRecord]) -> SealedHead {
        let (origin, mut tree) = (Self::origin(), Frontier::default());
        records.iter().for_each(|record| tree.push(leaf_hash(&record.event), |_| {}));
        let hash = records.last().map_or_else(Hash::genesis, |last| Hash::from_hex(&last.hash).expect("is hex"));
        let head = Head { size: i64::try_from(records.len()).expect("is small"), hash };
        let note = Checkpoint { origin: origin.clone(), head, root: tree.root(), epoch: 1 }.note();
        let checkpoint = note.signed(origin.as_str(), &self.key()).to_string();
        SealedHead { checkpoint, epochs: vec![first_epoch(&origin, &self.key(), 0).to_string()] }
    }

    /// An export of this log, signed up to its end.
    fn export(&self, records: &[AuditRecord]) -> String {
        format!("{}\n{}", self.seal(records).line(), lines(records))
    }
}

/// A control plane with this log, in pages of three.
fn plane(log: &Arc<Mutex<Vec<AuditRecord>>>) -> Scripted {
    signing_plane(log, &Arc::default())
}

/// The same, that signs with a key if it has one.
fn signing_plane(log: &Arc<Mutex<Vec<AuditRecord>>>, signer: &Arc<Mutex<Option<Signer>>>) -> Scripted {
    let (log, signer) = (Arc::clone(log), Arc::clone(signer));
    Scripted::start(move |seen| {
        let log = log.lock().expect("nobody panicked");
        if seen.is("GET", "/v1/audit/checkpoints") {
            let hash = log.last().map_or_else(|| Hash::genesis().to_string(), |last| last.hash.clone());
            let sealed = signer.lock().expect("nobody panicked").as_ref().map(|signer| signer.seal(&log));
            let (note, epochs) = sealed.map(|sealed| (sealed.checkpoint, sealed.epochs)).unzip();
            let mut body = json!({ "origin": "gk", "size": log.len(), "hash": hash, "note": note });
            body["epochs"] = json!(epochs.unwrap_or_default());
            return Some(Reply::json(200, &body));
        }
        let after = seen.query.split('&').find_map(|pair| pair.strip_prefix("after="))?.parse::<i64>().ok()?;
        let page: Vec<_> = log.iter().filter(|record| record.seq > after).take(3).collect();
        let next = page.last().map_or(after, |last| last.seq);
        let more = log.last().is_some_and(|last| last.seq > next);
        let body = json!({ "events": page, "nextAfter": next, "more": more, "unsealed": 0 });
        seen.is("GET", "/v1/audit/events").then(|| Reply::json(200, &body))
    })
}

fn shared(records: Vec<AuditRecord>) -> Arc<Mutex<Vec<AuditRecord>>> {
    Arc::new(Mutex::new(records))
}

#[test]
fn an_export_is_the_whole_log_and_verifies_offline() {
    let plane = plane(&shared(log(8)));
    let home = Home::at(&plane.url);
    let exported = home.gk(["audit", "export"]).exits(0).stdout;
    assert_eq!(exported, lines(&log(8)));
    home.gk(["audit", "export", "--out", "log.ndjson"]).exits(0).silent();
    assert_eq!(std::fs::read_to_string(home.path().join("log.ndjson")).expect("is there"), exported);
    let offline = Home::new();
    offline.file("log", &exported, 0o644);
    let ran = offline.gk(["audit", "verify", "log"]).exits(0);
    assert!(ran.stdout.starts_with("8 events, consistent but unanchored, head "), "{}", ran.stdout);
    offline.gk_with_stdin(["audit", "verify", "-"], exported.as_bytes()).exits(0);
}

#[test]
fn every_change_to_an_export_is_a_finding_with_its_place() {
    let good = log(6);
    let with = |change: &dyn Fn(&mut Vec<AuditRecord>)| {
        let mut records = good.clone();
        change(&mut records);
        lines(&records)
    };
    let rows = [
        ("altered", 3, with(&|log| log[2].event = log[2].event.replace("dana", "mala"))),
        ("out_of_order", 2, with(&|log| log.swap(1, 2))),
        ("out_of_order", 4, with(&|log| drop(log.remove(3)))),
        ("out_of_order", 3, with(&|log| log.insert(2, log[1].clone()))),
        ("broken_link", 2, with(&|log| log[1].prev_hash = Hash::genesis().to_string())),
        ("unreadable", 2, format!("{}not json\n", lines(&good[..1]))),
    ];
    for (kind, seq, text) in rows {
        let home = Home::new();
        home.file("log", text, 0o644);
        let ran = home.gk(["audit", "verify", "log", "--json"]).exits(10);
        assert_eq!((&ran.json()["finding"]["kind"], &ran.json()["finding"]["seq"]), (&json!(kind), &json!(seq)));
        let plain = home.gk(["audit", "verify", "log"]).exits(10).stdout;
        assert!(plain.starts_with(&format!("{kind}: ")), "{plain}");
    }
}

#[test]
fn a_witness_shows_a_cut_tail_and_a_rewrite_of_the_same_length() {
    let home = Home::new();
    home.file("log", lines(&log(6)), 0o644);
    let witness = home.gk(["audit", "verify", "log", "--json"]).exits(0).stdout;
    home.file("witness", witness, 0o644);
    home.gk(["audit", "verify", "log", "--from-witness", "witness", "--require-anchor"]).exits(0);
    home.file("cut", lines(&log(4)), 0o644);
    let cut = home.gk(["audit", "verify", "cut", "--from-witness", "witness", "--json"]).exits(10);
    assert_eq!(cut.json()["finding"]["kind"], "cut");
    let rewritten = linked((1..=6).map(|n| event(n, "2026-11-22T09:00:00.000000Z")));
    home.file("rewritten", lines(&rewritten), 0o644);
    let found = home.gk(["audit", "verify", "rewritten", "--from-witness", "witness", "--json"]).exits(10);
    assert_eq!(found.json()["finding"]["kind"], "rewritten");
    // Without the witness nothing is wrong with its links: that is what a witness is for.
    home.gk(["audit", "verify", "rewritten"]).exits(0);
    let unanchored = home.gk(["audit", "verify", "log", "--require-anchor", "--json"]).exits(10);
    assert_eq!(unanchored.json()["finding"]["kind"], "no_anchor");
    home.gk(["audit", "verify", "log", "--from-witness", "nowhere"]).exits(3).silent();
    home.gk(["audit", "verify", "nowhere"]).exits(3).silent();
}

#[test]
fn the_live_log_has_to_continue_the_head_that_was_seen_before() {
    let served = shared(log(5));
    let plane = plane(&served);
    let home = Home::at(&plane.url);
    assert!(home.gk(["audit", "verify"]).exits(0).stdout.contains("consistent but unanchored"));
    *served.lock().expect("nobody panicked") = log(7);
    assert!(home.gk(["audit", "verify"]).exits(0).stdout.starts_with("7 events, consistent, and continues the head"));
    *served.lock().expect("nobody panicked") = log(6);
    assert!(home.gk(["audit", "verify"]).exits(10).stdout.starts_with("cut: the log ends at 6"));
    *served.lock().expect("nobody panicked") = linked((1..=9).map(|n| event(n, "2026-11-22T09:00:00.000000Z")));
    assert!(home.gk(["audit", "verify"]).exits(10).stdout.starts_with("rewritten: "));
    // What was found is not believed the next time either.
    home.gk(["audit", "verify"]).exits(10);
    *served.lock().expect("nobody panicked") = log(7);
    home.gk(["audit", "verify"]).exits(0);
}

#[test]
fn a_signed_export_verifies_offline_with_a_key_and_with_what_was_seen_before() {
    let plane = signing_plane(&shared(log(8)), &Arc::new(Mutex::new(Some(Signer(1)))));
    let home = Home::at(&plane.url);
    let exported = home.gk(["audit", "export"]).exits(0).stdout;
    assert_eq!(exported, Signer(1).export(&log(8)));
    let home = Home::new();
    home.file("log", &exported, 0o644);
    let own = home.gk(["audit", "verify", "log"]).exits(0).stdout;
    assert!(own.starts_with("8 events, consistent and signed by its own key, but unanchored"), "{own}");
    let key = Signer(1).verifier_key();
    let pinned = home.gk(["audit", "verify", "log", "--require-anchor", "--key", &key]).exits(0).stdout;
    assert!(pinned.starts_with("8 events, consistent, signed, and continues"), "{pinned}");
    // An agent's file, a checkpoint file of many lines, the answer of a check: each is a witness.
    let [three, five] = [3, 5].map(|size| Signer(1).seal(&log(size)).line());
    home.file("agent", format!("{three}\n"), 0o644);
    home.file("sink", format!("{three}\n{five}\n"), 0o644);
    home.file("answer", home.gk(["audit", "verify", "log", "--json"]).exits(0).stdout, 0o644);
    for witness in ["agent", "sink", "answer"] {
        home.gk(["audit", "verify", "log", "--require-anchor", "--from-witness", witness]).exits(0);
    }
    home.gk(["audit", "verify", "log", "--from-witness", "sink", "--from-witness", "answer"]).exits(0);
    home.gk(["audit", "verify", "log", "--from-witness", "log"]).exits(2).silent().says("holds no head of a log");
    home.gk(["audit", "verify", "log", "--key", "nonsense"]).exits(2).silent();
}

/// A sink that is given both has checkpoints among its records.
#[test]
fn checkpoints_among_the_records_have_to_agree_with_them_and_with_each_other() {
    let (home, good, signer) = (Home::new(), log(6), Signer(1));
    let forged = linked((1..=6).map(|n| event(n, "2026-11-22T09:00:00.000000Z")));
    let head = |signer: &Signer, records: &[AuditRecord]| format!("{}\n", signer.seal(records).line());
    let seal = |size: usize| head(&signer, &good[..size]);
    let all = |parts: [&str; 5]| parts.concat();
    let (three, two, end) = (lines(&good[..3]), lines(&good[3..5]), lines(&good[5..]));
    let rows = [
        (None, all([&three, &seal(3), &two, &end, &seal(6)])),
        (None, all([&seal(0), &three, &two, &seal(2), &end])),
        (Some("forked"), all([&three, &head(&signer, &forged[..3]), &two, &end, &seal(6)])),
        (Some("rewritten"), all([&lines(&forged), &seal(3), "", "", &seal(6)])),
        (Some("unknown_key"), all([&three, &head(&Signer(2), &good[..3]), &two, &end, &seal(6)])),
        (Some("cut"), all([&seal(6), &three, &seal(3), &two, ""])),
        (Some("out_of_order"), all([&three, &seal(3), &end, &two, &seal(6)])),
    ];
    for (finding, text) in rows {
        home.file("log", text, 0o644);
        let code = if finding.is_some() { 10 } else { 0 };
        let ran = home.gk(["audit", "verify", "log", "--json"]).exits(code);
        assert_eq!(ran.json()["finding"]["kind"], json!(finding), "{ran:?}");
    }
}

#[test]
fn what_a_signature_shows_has_a_name_each() {
    let home = Home::new();
    let (good, signer) = (log(6), Signer(1));
    home.file("witness", signer.seal(&log(4)).line(), 0o644);
    let forged = linked((1..=6).map(|n| event(n, "2026-11-22T09:00:00.000000Z")));
    let with = |sealed: &SealedHead, records: &[AuditRecord]| format!("{}\n{}", sealed.line(), lines(records));
    let mut spoilt = signer.seal(&good);
    spoilt.checkpoint = spoilt.checkpoint.replacen("\n6\n", "\n5\n", 1);
    let mut elsewhere = signer.seal(&good);
    elsewhere.checkpoint = elsewhere.checkpoint.replace("a-ledger", "another");
    let rows = [
        ("rewritten", with(&signer.seal(&good), &forged)),
        ("forked", signer.export(&forged)),
        ("cut", signer.export(&good[..3])),
        ("cut", with(&signer.seal(&good), &good[..5])),
        ("downgraded", lines(&good)),
        ("unknown_key", Signer(2).export(&good)),
        ("bad_signature", with(&spoilt, &good)),
        ("wrong_origin", with(&elsewhere, &good)),
    ];
    for (kind, text) in rows {
        home.file("log", text, 0o644);
        let ran = home.gk(["audit", "verify", "log", "--from-witness", "witness", "--json"]).exits(10);
        assert_eq!(ran.json()["finding"]["kind"], kind, "{ran:?}");
    }
    home.file("log", signer.export(&good), 0o644);
    let other = Signer(2).verifier_key();
    let ran = home.gk(["audit", "verify", "log", "--key", &other, "--json"]).exits(10);
    assert_eq!(ran.json()["finding"]["kind"], "unknown_key");
}

#[test]
fn a_server_that_signed_before_has_to_go_on_signing_with_its_key() {
    let (served, signer) = (shared(log(5)), Arc::new(Mutex::new(Some(Signer(1)))));
    let plane = signing_plane(&served, &signer);
    let home = Home::at(&plane.url);
    let verify = |code| home.gk(["audit", "verify", "--json"]).exits(code).json();
    assert_eq!(verify(0)["anchored"], false);
    for (kind, other) in [("downgraded", None), ("unknown_key", Some(Signer(2)))] {
        *signer.lock().expect("nobody panicked") = other;
        let found = verify(10);
        assert_eq!(found["finding"]["kind"], kind);
        assert!(found["headKeptIn"].is_string(), "{found}");
    }
    *signer.lock().expect("nobody panicked") = Some(Signer(1));
    *served.lock().expect("nobody panicked") = log(7);
    assert_eq!(verify(0)["anchored"], true);
}

#[test]
fn a_clock_that_went_back_is_a_note_because_order_is_by_place() {
    let home = Home::new();
    let events = [event(1, "2026-11-22T05:00:00.000000Z"), event(2, "2026-11-22T04:00:00.000000Z")];
    home.file("log", lines(&linked(events)), 0o644);
    home.gk(["audit", "verify", "log"]).exits(0).says("the clock went back at seq 2");
}

#[test]
fn tail_shows_the_last_events_and_show_those_of_a_session() {
    let plane = plane(&shared(log(8)));
    let home = Home::at(&plane.url);
    let ran = home.gk(["audit", "tail", "-n", "2"]).exits(0);
    insta::assert_snapshot!(ran.stdout, @r"
         7  2026-11-22T01:02:07.000000Z  dana  session.requested  sess_01HF7YAT00E40R2081040G2081  ok  reason=number 7
         8  2026-11-22T01:02:08.000000Z  dana  session.requested  sess_01HF7YAT00E40R2081040G2081  ok  reason=number 8
    ");
    let json = home.gk(["audit", "tail", "-n", "1", "--json"]).exits(0);
    assert_eq!((&json.json()["schema"], &json.json()["event"]["actor"]), (&json!("gk.audit_event.v1"), &json!("dana")));
    let shown = home.gk(["audit", "show", &session().to_string()]).exits(0);
    assert_eq!(shown.stdout.lines().count(), 8);
    assert!(plane.seen().iter().any(|seen| seen.query.contains(&format!("session={}", session()))));
    assert_eq!(home.gk(["audit", "show", "3", "--json"]).json()["events"][0]["seq"], 3);
    let id = EventId::from_parts(1_700_000_000_000, [4; 10]).to_string();
    assert_eq!(home.gk(["audit", "show", &id, "--json"]).json()["events"][0]["seq"], 4);
    home.gk(["audit", "show", "99"]).exits(3).silent();
}
