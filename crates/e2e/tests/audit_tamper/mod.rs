//! A log with its key and a witness, and somebody who owns its ledger and changes what they like.

mod sql;

use gk_e2e::{Plane, PlaneOptions, Room, SOON, Version, eventually};
use gk_shared::audit::epoch::first_epoch;
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::tree::Frontier;
use gk_shared::audit::{AuditRecord, Checkpoint, Hash, Head, LogOrigin, SealedHead, leaf_hash};
use serde_json::{Value, json};
use std::path::Path;
use tokio_postgres::{Client, Transaction};

/// The second verifier, which shares nothing with the first.
pub(crate) const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verify.py");

const POLICY: &str = "[[rule]]\nname = \"dev\"\nwho = [\"group:dev\"]\ntargets = [\"pg-local\"]\nroles = [\"app_read\"]\n\
                      max_ttl = \"1h\"\nreason = \"optional\"\n";

/// A ledger whose log is signed, and what a witness saw of it.
pub(crate) struct Scene {
    pub(crate) room: Room,
    plane: Plane,
    /// What was seen while the log was shorter than now.
    pub(crate) witnessed: SealedHead,
    /// Its size then.
    pub(crate) seen: i64,
    seed: [u8; 32],
    superuser: Client,
}

impl Scene {
    /// Makes a log of some events, lets it be witnessed, and makes some more.
    pub(crate) async fn set(version: Version) -> Self {
        let room = Room::new(Path::new("/usr/bin"));
        let seed: [u8; 32] = rand::random();
        let mut room = room;
        let plane = Plane::start(&room, PlaneOptions::new(version, POLICY).signing(seed)).await;
        room.set("GK_ADDRESS", &plane.url());
        room.set("GK_TOKEN_FILE", &plane.admin.token_file.to_string_lossy());
        let superuser = plane.ledger.superuser(plane.database()).await;
        superuser.batch_execute(sql::TOOLS).await.expect("the tools are new");
        let (witnessed, seen) = grown(&room, &plane, "before").await;
        grown(&room, &plane, "after").await;
        room.write("witness.json", &witnessed.line());
        Self { room, plane, witnessed, seen, seed, superuser }
    }

    /// The key of the log, which its ledger's owner does not have, unless they stole it.
    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_seed(self.seed.into())
    }

    /// The log as `gk` exports it into this file.
    pub(crate) async fn gk_export(&self, file: &str) -> String {
        self.room.run("gk", &["audit", "export", "--out", file]).await.ok();
        self.room.read(file)
    }

    /// Lets the key introduce another, which signs from now on.
    pub(crate) async fn replace_key(&mut self) {
        let settings = self.room.read("control-plane.toml");
        let config = self.room.path("control-plane.toml");
        let rotate = ["audit-key", "--rotate", "--out", "new.key", "--config", &config.to_string_lossy()];
        self.room.run("gk-control-plane", &rotate).await.ok();
        self.plane.process.stop().await;
        assert!(settings.contains("/audit.key"), "{settings}");
        self.room.write("control-plane.toml", &settings.replace("/audit.key", "/new.key"));
        self.plane.process.start();
        self.plane.answers().await;
        grown(&self.room, &self.plane, "rotated").await;
    }

    /// A transaction in which nothing refuses anything, and which is undone.
    pub(crate) async fn attack(&mut self) -> Transaction<'_> {
        let tx = self.superuser.transaction().await.expect("the ledger answers");
        tx.batch_execute("SELECT pg_temp.unlock()").await.expect("a superuser may");
        tx
    }

    /// Signs these records with this key, as the log of this name.
    pub(crate) fn seal(origin: &LogOrigin, key: &SigningKey, records: &[AuditRecord]) -> SealedHead {
        let epochs = vec![first_epoch(origin, key, 0).to_string()];
        let note = checkpoint(origin, records, 1).note().signed(origin.as_str(), key);
        SealedHead { checkpoint: note.to_string(), epochs }
    }

    /// Name of the log.
    pub(crate) fn origin(&self) -> LogOrigin {
        let line = self.witnessed.checkpoint.lines().next().expect("a note has lines");
        line.parse().expect("its first line is the origin")
    }

    /// What `gk` finds in an export: the kind and the place.
    pub(crate) async fn gk_finds(&self, export: &str) -> (i32, String) {
        let args = ["audit", "verify", export, "--from-witness", "witness.json", "--json"];
        let ran = self.room.run("gk", &args).await;
        let said: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{ran:?}"));
        let found = &said["finding"];
        let text = match found["kind"].as_str() {
            None => format!("ok {}", said["size"]),
            Some(kind) => format!("{kind} {}", found["seq"].as_i64().map_or("-".to_owned(), |seq| seq.to_string())),
        };
        (ran.code, text)
    }

    /// What the second verifier finds in it.
    pub(crate) async fn python_finds(&self, export: &str) -> (i32, String) {
        let ran = self.room.run("python3", &[VERIFIER, export, "--from-witness", "witness.json"]).await;
        assert!(matches!(ran.code, 0 | 10), "{ran:?}");
        (ran.code, ran.stdout.trim().to_owned())
    }
}

/// Adds events to the log, and gives what a witness sees then.
async fn grown(room: &Room, plane: &Plane, name: &str) -> (SealedHead, i64) {
    for n in 0..4 {
        plane.person(room, &format!("{name}-{n}"), &["requester"]).await;
    }
    let admin = plane.as_admin();
    let wanted = plane.books().await.count("SELECT count(*) FROM audit_events").await;
    eventually(SOON, "the log is signed to its end", async || {
        let said = admin.get("/v1/audit/checkpoints?fresh=true").await.map_err(|error| error.to_string())?.body;
        let (size, note) = (said["size"].as_i64().unwrap_or_default(), said["note"].as_str());
        match note {
            Some(note) if size >= wanted => {
                let epochs = serde_json::from_value(said["epochs"].clone()).expect("a list of notes");
                Ok((SealedHead { checkpoint: note.to_owned(), epochs }, size))
            }
            Some(_) | None => Err(json!({ "wanted": wanted, "said": said }).to_string()),
        }
    })
    .await
}

/// Where these records stand.
pub(crate) fn checkpoint(origin: &LogOrigin, records: &[AuditRecord], epoch: u32) -> Checkpoint {
    let mut tree = Frontier::default();
    records.iter().for_each(|record| tree.push(leaf_hash(&record.event), |_| {}));
    let hash = records.last().map_or_else(Hash::genesis, |last| Hash::from_hex(&last.hash).expect("is hex"));
    let head = Head { size: i64::try_from(records.len()).expect("is small"), hash };
    Checkpoint { origin: origin.clone(), head, root: tree.root(), epoch }
}

/// The log as the ledger has it.
pub(crate) async fn records(tx: &Transaction<'_>) -> Vec<AuditRecord> {
    let sql = "-- audit_tamper::records
        SELECT l.seq, encode(l.prev, 'hex'), encode(l.hash, 'hex'), e.canonical
          FROM audit_links l JOIN audit_events e ON e.id = l.event_id ORDER BY l.seq";
    let rows = tx.query(sql, &[]).await.expect("the ledger answers");
    let record = |row: &tokio_postgres::Row| AuditRecord {
        seq: row.get(0),
        prev_hash: row.get(1),
        hash: row.get(2),
        event: row.get(3),
    };
    rows.iter().map(record).collect()
}

/// What the ledger says of its log, as a control plane hands it on.
pub(crate) async fn shown(tx: &Transaction<'_>) -> Option<SealedHead> {
    let newest = "-- audit_tamper::newest
        SELECT note FROM audit_checkpoints ORDER BY size DESC, epoch DESC LIMIT 1";
    let checkpoint = tx.query_opt(newest, &[]).await.expect("the ledger answers")?.get(0);
    let epochs = "-- audit_tamper::epochs\nSELECT note FROM audit_epochs ORDER BY number";
    let epochs = tx.query(epochs, &[]).await.expect("the ledger answers");
    Some(SealedHead { checkpoint, epochs: epochs.iter().map(|row| row.get(0)).collect() })
}

/// Puts a checkpoint and its keys in place of all that the ledger has.
pub(crate) async fn show(tx: &Transaction<'_>, sealed: &SealedHead) {
    tx.batch_execute("DELETE FROM audit_checkpoints; DELETE FROM audit_epochs").await.expect("a superuser may");
    let size: i64 = sealed.checkpoint.lines().nth(1).expect("a size").parse().expect("a number");
    let checkpoint = "-- audit_tamper::show_checkpoint
        INSERT INTO audit_checkpoints (tenant_id, size, epoch, note) SELECT id, $1, 1, $2 FROM tenants";
    tx.execute(checkpoint, &[&size, &sealed.checkpoint]).await.expect("a superuser may");
    let epoch = "-- audit_tamper::show_epoch
        INSERT INTO audit_epochs (tenant_id, number, note) SELECT id, $1, $2 FROM tenants";
    for (number, note) in (1_i32..).zip(&sealed.epochs) {
        tx.execute(epoch, &[&number, note]).await.expect("a superuser may");
    }
}

/// An export, as `gk audit export` writes it.
pub(crate) fn export(sealed: Option<&SealedHead>, records: &[AuditRecord]) -> String {
    let record = |record| serde_json::to_string(record).expect("a record holds texts and integers");
    let lines = sealed.map(SealedHead::line).into_iter().chain(records.iter().map(record));
    lines.map(|line| format!("{line}\n")).collect()
}
