//! Whoever owns the ledger changes its audit log in every way there is; two verifiers that share nothing, with what a
//! witness saw before, find each, under the same name and at the same place.

mod audit_tamper;

use audit_tamper::{Scene, VERIFIER, checkpoint, export, records, show, shown};
use gk_e2e::{AgentOptions, SOON, Stack, Version, eventually};
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::{AuditRecord, KeyChain, LogOrigin, SealedHead};

/// A change to the ledger, and what has to be found.
struct Attack {
    name: &'static str,
    /// What is done to the tables; `{seen}` is the size that was witnessed.
    sql: &'static str,
    /// What is signed afterwards, in place of what the ledger has.
    forge: Option<fn(&Forger, &[AuditRecord]) -> SealedHead>,
    /// `KIND PLACE`.
    found: &'static str,
}

/// What somebody needs who signs things.
struct Forger {
    origin: LogOrigin,
    /// The log's own key: stolen.
    stolen: SigningKey,
    /// The attacker's own.
    own: SigningKey,
    /// The notes of the real keys.
    epochs: Vec<String>,
}

impl Forger {
    /// A second epoch with the attacker's key, which the log's key did not sign.
    fn usurp(&self, records: &[AuditRecord], more: &str) -> SealedHead {
        let name = self.origin.as_str();
        let starts = records.len();
        let key = self.own.verifier(name);
        let body = format!("gatekeeper/key-epoch v1\n{name}\n2\n{key}\n{starts}\n");
        let note = gk_shared::audit::note::Note::unsigned(body).expect("clean lines").signed(name, &self.own);
        let epochs = [&self.epochs[0], &format!("{note}{more}")].map(ToString::to_string).to_vec();
        let note = checkpoint(&self.origin, records, 2).note().signed(name, &self.own);
        SealedHead { checkpoint: note.to_string(), epochs }
    }

    /// The log's key, which has handed over to another one event ago, and signs once more.
    fn sign_on(&self, records: &[AuditRecord]) -> SealedHead {
        let chain = KeyChain::follow(&self.origin, &self.epochs).expect("the real keys are whole");
        let starts = i64::try_from(records.len()).expect("is small") - 1;
        let next = chain.next(&self.stolen, &self.own, starts).expect("it was the key of then");
        let sealed = Scene::seal(&self.origin, &self.stolen, records);
        SealedHead { epochs: self.epochs.iter().cloned().chain([next.to_string()]).collect(), ..sealed }
    }
}

/// Places of an export that are tried.
const TRIES: usize = 48;

const ATTACKS: &[Attack] = &[
    Attack { name: "an event is edited", sql: "SELECT pg_temp.edit(3)", forge: None, found: "altered 3" },
    Attack { name: "an event is inserted", sql: "SELECT pg_temp.put(4)", forge: None, found: "broken_link 5" },
    Attack { name: "two events change places", sql: "SELECT pg_temp.swap(3)", forge: None, found: "altered 3" },
    Attack {
        name: "an event is deleted",
        sql: "DELETE FROM audit_links WHERE seq = 4",
        forge: None,
        found: "out_of_order 4",
    },
    Attack {
        name: "the tail is cut, with its checkpoints",
        sql: "DELETE FROM audit_links WHERE seq >= {seen}; DELETE FROM audit_checkpoints WHERE size >= {seen}",
        forge: None,
        found: "cut {seen}",
    },
    Attack {
        name: "everything is deleted",
        sql: "DELETE FROM audit_links; DELETE FROM audit_events; DELETE FROM audit_checkpoints; DELETE FROM audit_nodes",
        forge: None,
        found: "cut 1",
    },
    Attack {
        name: "the past is rewritten at the same length",
        sql: "SELECT pg_temp.edit({seen} - 1), pg_temp.rebuild()",
        forge: None,
        found: "rewritten {seen}",
    },
    Attack {
        name: "an event is taken out and the chain rebuilt",
        sql: "SELECT pg_temp.take(3), pg_temp.rebuild()",
        forge: None,
        found: "rewritten {seen}",
    },
    Attack {
        name: "chain and tree are rebuilt and the checkpoints removed",
        sql: "SELECT pg_temp.edit(2), pg_temp.rebuild(); DELETE FROM audit_nodes; DELETE FROM audit_checkpoints;
              SELECT audit_fill_nodes((SELECT max(seq) FROM audit_links))",
        forge: None,
        found: "rewritten {seen}",
    },
    Attack {
        name: "what came after the witness is rewritten",
        sql: "SELECT pg_temp.edit({seen} + 2), pg_temp.rebuild()",
        forge: None,
        found: "rewritten {all}",
    },
    Attack {
        name: "the signatures are taken off",
        sql: "UPDATE audit_checkpoints SET note = split_part(note, E'\\n\\n', 1) || E'\\n'",
        forge: None,
        found: "downgraded -",
    },
    Attack {
        name: "the signed checkpoints are removed",
        sql: "DELETE FROM audit_checkpoints; DELETE FROM audit_epochs",
        forge: None,
        found: "downgraded -",
    },
    Attack {
        name: "the key is swapped",
        sql: "",
        forge: Some(|forger, records| Scene::seal(&forger.origin, &forger.own, records)),
        found: "unknown_key {all}",
    },
    Attack {
        name: "a signature is put under another checkpoint",
        sql: "",
        forge: Some(|forger, records| {
            let real = Scene::seal(&forger.origin, &forger.stolen, &records[..records.len() - 1]).checkpoint;
            let (_, signature) = real.split_once("\n\n").expect("is signed");
            let note = checkpoint(&forger.origin, records, 1).note();
            SealedHead { checkpoint: format!("{note}\n{signature}"), epochs: forger.epochs.clone() }
        }),
        found: "bad_signature {all}",
    },
    Attack {
        name: "the checkpoint is of another log",
        sql: "",
        forge: Some(|forger, records| {
            let other = LogOrigin::of_log("another").expect("is an id");
            Scene::seal(&other, &forger.stolen, records)
        }),
        found: "wrong_origin -",
    },
    Attack {
        name: "a key is introduced with a signature of the old one from elsewhere",
        sql: "",
        forge: Some(|forger, records| {
            let (_, signature) = forger.epochs[0].split_once("\n\n").expect("is signed");
            forger.usurp(records, signature)
        }),
        found: "bad_signature {all}",
    },
    Attack {
        name: "a key introduces itself",
        sql: "",
        forge: Some(|forger, records| forger.usurp(records, "")),
        found: "unknown_key {all}",
    },
    Attack { name: "a retired key signs on", sql: "", forge: Some(Forger::sign_on), found: "unknown_key {all}" },
    Attack {
        name: "the past is rewritten and signed with the stolen key",
        sql: "SELECT pg_temp.edit(2), pg_temp.rebuild()",
        forge: Some(|forger, records| {
            let sealed = Scene::seal(&forger.origin, &forger.stolen, records);
            SealedHead { epochs: forger.epochs.clone(), ..sealed }
        }),
        found: "forked {seen}",
    },
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attack_on_the_log_is_found_by_both_verifiers_and_an_honest_log_passes() {
    let mut scene = Scene::set(Version::From16).await;
    let control = scene.gk_export("honest.ndjson").await;
    let all = control.lines().count() - 1;
    let honest = (0, format!("ok {all}"));
    assert_eq!(
        (scene.gk_finds("honest.ndjson").await, scene.python_finds("honest.ndjson").await),
        (honest.clone(), honest)
    );
    for attack in ATTACKS {
        let (found, text) = (filled(attack.found, scene.seen, all), tampered(&mut scene, attack, all).await);
        scene.room.write("tampered.ndjson", &text);
        let expected = (10, found);
        assert_eq!(scene.gk_finds("tampered.ndjson").await, expected, "gk: {}", attack.name);
        assert_eq!(scene.python_finds("tampered.ndjson").await, expected, "python: {}", attack.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_byte_anywhere_in_an_export_is_found_by_both_verifiers_under_one_name() {
    let scene = Scene::set(Version::From16).await;
    let honest = scene.gk_export("honest.ndjson").await;
    let places: Vec<usize> = honest.char_indices().map(|(at, _)| at).collect();
    for n in 0..TRIES {
        let at = places[places.len() * n / TRIES];
        let (before, rest) = honest.split_at(at);
        let mut rest = rest.chars();
        let other = if rest.next() == Some('0') { '1' } else { '0' };
        scene.room.write("tampered.ndjson", &format!("{before}{other}{}", rest.as_str()));
        let (gk, python) = (scene.gk_finds("tampered.ndjson").await, scene.python_finds("tampered.ndjson").await);
        assert_eq!((gk.0, &gk), (10, &python), "byte {at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_the_old_one_introduced_is_followed_by_both_verifiers() {
    let mut scene = Scene::set(Version::From16).await;
    scene.replace_key().await;
    let text = scene.gk_export("honest.ndjson").await;
    assert!(text.lines().next().expect("a checkpoint").contains("\\nepoch 2\\n"), "{text}");
    let honest = (0, format!("ok {}", text.lines().count() - 1));
    assert_eq!(
        (scene.gk_finds("honest.ndjson").await, scene.python_finds("honest.ndjson").await),
        (honest.clone(), honest)
    );
}

fn filled(text: &str, seen: i64, all: usize) -> String {
    text.replace("{seen}", &seen.to_string()).replace("{all}", &all.to_string())
}

/// An export of the log after the attack, which is undone.
async fn tampered(scene: &mut Scene, attack: &Attack, all: usize) -> String {
    let sql = filled(attack.sql, scene.seen, all);
    let forger = Forger {
        origin: scene.origin(),
        stolen: scene.key(),
        own: SigningKey::from_seed([7; 32].into()),
        epochs: scene.witnessed.epochs.clone(),
    };
    let tx = scene.attack().await;
    tx.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{}: {error:?}", attack.name));
    // Whatever the honest sealer adds meanwhile is not what was attacked.
    let tampered = records(&tx).await;
    if let Some(forge) = attack.forge {
        show(&tx, &forge(&forger, &tampered)).await;
    }
    let text = export(shown(&tx).await.as_ref(), &tampered);
    tx.rollback().await.expect("it is undone");
    text
}

/// The ledger's owner cuts the log, takes the signed checkpoints with it, and the file beside the ledger.
const CUT: &str = "
    BEGIN;
    ALTER TABLE audit_events DISABLE TRIGGER USER;
    ALTER TABLE audit_links DISABLE TRIGGER USER;
    ALTER TABLE audit_nodes DISABLE TRIGGER USER;
    ALTER TABLE audit_checkpoints DISABLE TRIGGER USER;
    DELETE FROM audit_links WHERE seq > 2;
    DELETE FROM audit_events WHERE id NOT IN (SELECT event_id FROM audit_links);
    DELETE FROM audit_nodes WHERE (index + 1) << level > 2;
    DELETE FROM audit_checkpoints;
    COMMIT;";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_agent_witnessed_stops_new_sessions_on_a_cut_log_and_lets_old_ones_end() {
    let mut stack = Stack::with(Version::From16).signing([9; 32]).without_agent().await;
    for name in ["erin", "frank", "grace"] {
        stack.plane.person(&stack.room, name, &["requester"]).await;
    }
    stack.gk_admin(&["audit", "verify"]).await.ok();
    stack.add_agent("agent-a", AgentOptions::default()).await;
    let held = "agent-a-state/audit-checkpoint.json";
    let room = stack.room.path("");
    eventually(SOON, "the agent has witnessed the log", async || {
        if room.join(held).exists() { Ok(()) } else { Err("there is no file") }
    })
    .await;
    let (id, _) = stack.session("app_read", "15m").await;
    stack.plane.process.stop().await;
    let ledger = stack.plane.ledger.superuser(stack.plane.database()).await;
    ledger.batch_execute(CUT).await.expect("a superuser may");
    std::fs::remove_file(stack.room.path("checkpoints.ndjson")).expect("it was written");
    stack.plane.process.start();
    stack.plane.answers().await;

    let books = stack.books().await;
    eventually(SOON, "the control plane hears of it", async || {
        let heard = "SELECT count(*) FROM audit_events WHERE action = 'audit.regression'";
        if books.count(heard).await == 1 { Ok(()) } else { Err("no event says so") }
    })
    .await;
    let create = ["session", "create", "--target", "pg-local", "--role", "app_read", "--ttl", "5m", "--reason", "x"];
    let extend = ["session", "extend", &id.to_string(), "--ttl", "30m"];
    for refused in [create.as_slice(), &extend] {
        let ran = stack.gk(refused).await;
        assert!(ran.code != 0 && ran.stderr.contains("audit_regression"), "{ran:?}");
    }
    stack.gk(&["session", "revoke", &id.to_string()]).await.ok();
    stack.gk_admin(&["audit", "export", "--out", "cut.ndjson"]).await.ok();
    let verify = ["audit", "verify", "cut.ndjson", "--from-witness", held, "--json"];
    let found = stack.gk_admin(&verify).await.exits(10).json()["finding"]["kind"].clone();
    // By now the log may have grown again, under the same key.
    assert!(found == "cut" || found == "forked" || found == "rewritten", "{found}");
}

#[tokio::test]
async fn the_second_verifier_knows_the_published_vectors() {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verify_vectors.json");
    let room = gk_e2e::Room::new(std::path::Path::new("/usr/bin"));
    assert_eq!(room.run("python3", &[VERIFIER, "--golden", vectors]).await.line(), "ok 9");
}
