//! Sinks of the audit log as processes: the receiver that the documentation shows, a control plane that is killed in the
//! middle, a disk that is full; and what arrives is a log that verifies.

use gk_e2e::{Daemon, Plane, PlaneOptions, Room, Version, eventually, free_port};
use rustix::process::{Resource, Rlimit, prlimit};
use std::path::Path;
use std::time::Duration;

/// A sink is taken over a quarter of a minute after its process was killed; twice that, and a busy machine.
const LONG: Duration = Duration::from_secs(90);
/// The second verifier, which shares nothing with the first.
const VERIFIER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/verify.py");
const POLICY: &str = "[[rule]]\nname = \"dev\"\nwho = [\"group:dev\"]\ntargets = [\"pg-local\"]\nroles = [\"app_read\"]\n\
                      max_ttl = \"1h\"\nreason = \"optional\"\n";
/// Puts TLS in front of a server.
const OVER_TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/over_tls.py");
/// 32 bytes of nothing, as a receiver and a sender share them.
const SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
/// Lets the program live on when a file may not grow, as with a full disk.
const NO_SIGNAL: &[&str] = &["-c", "trap '' XFSZ; exec \"$0\" \"$@\""];

fn room() -> Room {
    Room::new(Path::new("/usr/bin"))
}

async fn start(room: &mut Room, more: String) -> Plane {
    let options = PlaneOptions { more, log: "info", ..PlaneOptions::new(Version::From16, POLICY).signing([5; 32]) };
    let plane = Plane::start(room, options).await;
    room.set("GK_ADDRESS", &plane.url());
    room.set("GK_TOKEN_FILE", &plane.admin.token_file.to_string_lossy());
    plane
}

/// The receiver that docs/AUDIT.md shows.
fn receiver(room: &Room) -> (Daemon, u16) {
    receiver_by(room, &[])
}

/// The same, run by another program of Python.
fn receiver_by(room: &Room, by: &[&str]) -> (Daemon, u16) {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/AUDIT.md")).expect("a page");
    let program = page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("it shows one");
    let (program, secret) = (room.write("receiver.py", program), room.secret("siem", SECRET));
    let (port, kept) = (free_port().to_string(), room.path("received.ndjson"));
    let args = [&*program.to_string_lossy(), &port, &secret.to_string_lossy(), &kept.to_string_lossy()];
    let (args, number) = ([by, &args].concat(), port.parse().expect("is a port"));
    (Daemon::new("receiver", Path::new("/usr/bin/python3"), &args, room.path("receiver.log")), number)
}

/// An authority and a certificate of its for `localhost`, as somebody makes them by hand: authority, certificate, key.
async fn papers(room: &Room, name: &str) -> [String; 3] {
    let script = format!(
        "ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 30'
         openssl req -x509 $ec -subj '/CN={name}' -keyout {name}-ca.key -out {name}-ca.pem
         openssl req -x509 -CA {name}-ca.pem -CAkey {name}-ca.key $ec -subj /CN=localhost \
           -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
           -keyout {name}.key -out {name}.pem"
    );
    room.sh(&script).await.ok();
    ["-ca.pem", ".pem", ".key"].map(|suffix| room.path(&format!("{name}{suffix}")).to_string_lossy().into_owned())
}

/// Events that a file holds whole.
fn held(room: &Room, name: &str) -> usize {
    let text = std::fs::read_to_string(room.path(name)).unwrap_or_default();
    text.split_inclusive('\n').filter(|line| line.starts_with("{\"seq\"") && line.ends_with('\n')).count()
}

async fn events(plane: &Plane) -> usize {
    let count = plane.books().await.count("SELECT count(*) FROM audit_events").await;
    usize::try_from(count).expect("is no less than none")
}

/// Waits until this file has as many events as there are.
async fn arrived(room: &Room, plane: &Plane, name: &str) {
    eventually(LONG, "everything has arrived", async || {
        let (found, written) = (held(room, name), events(plane).await);
        if found >= written { Ok(()) } else { Err(format!("{name}: {found} of {written}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_control_plane_and_a_receiver_that_are_killed_lose_nothing_and_what_was_kept_verifies() {
    let mut room = room();
    let (mut receiver, port) = receiver(&room);
    let more = format!(
        "[[audit.sinks]]\nname = \"siem\"\nkind = \"http\"\nwhat = [\"events\", \"checkpoints\"]\nurl = \"http://127.0.0.1:{port}/in\"\nsecret_file = {:?}\n\
         [[audit.sinks]]\nname = \"disk\"\nkind = \"file\"\nwhat = [\"events\", \"checkpoints\"]\npath = {:?}\n\
         [[audit.sinks]]\nname = \"heads\"\nkind = \"file\"\nwhat = [\"checkpoints\"]\npath = {:?}\n",
        room.path("siem"),
        room.path("disk.ndjson"),
        room.path("heads.ndjson"),
    );
    receiver.start();
    let mut plane = start(&mut room, more).await;
    for round in 0..3 {
        for n in 0..20 {
            plane.person(&room, &format!("p-{round}-{n}"), &["requester"]).await;
            // Somewhere in the middle of a delivery.
            match (round, n) {
                (0, 10) => receiver.kill9(),
                (1, 10) => receiver.start(),
                _ => {}
            }
        }
        plane.process.kill9();
        plane.process.start();
        plane.answers().await;
    }
    for name in ["received.ndjson", "disk.ndjson"] {
        arrived(&room, &plane, name).await;
    }
    plane.process.stop().await;
    for name in ["received.ndjson", "disk.ndjson"] {
        let args = ["audit", "verify", name, "--from-witness", "heads.ndjson", "--require-anchor", "--json"];
        let said = room.run("gk", &args).await.ok().json();
        assert_eq!(said["size"].as_u64(), u64::try_from(held(&room, name)).ok(), "{name}: each event once: {said}");
        let said = room.run("python3", &[VERIFIER, name]).await.ok();
        assert_eq!(said.stdout.trim(), format!("ok {}", held(&room, name)));
    }
    // What two sinks got is one log, too; and one event that was left out shows.
    room.sh("grep seq disk.ndjson > events; cat heads.ndjson events | gk audit verify -").await.ok();
    let cut = room.sh("grep -v '\"seq\":30,' disk.ndjson > cut; gk audit verify cut").await;
    assert!(cut.code == 10 && cut.stdout.contains("30"), "{cut:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_not_there_is_found_by_the_doctor_of_those_whom_it_concerns() {
    let mut room = room();
    let secret = room.secret("siem", SECRET);
    let more = format!(
        "[[audit.sinks]]\nname = \"siem\"\nkind = \"http\"\nwhat = [\"events\"]\nurl = \"http://127.0.0.1:1/\"\n\
         secret_file = {secret:?}\n"
    );
    let plane = start(&mut room, more).await;
    let dana = plane.person(&room, "dana", &["requester"]).await;
    let said = room.run("gk", &["doctor"]).await.ok();
    let sink = said.stdout.lines().find(|line| line.contains("audit sink siem")).expect("an admin is told");
    assert!(sink.starts_with("warning") && sink.contains("it never got any"), "{sink}");
    assert!(sink.contains("audit_sink_failing"), "{sink}");
    room.set("GK_TOKEN_FILE", &dana.token_file.to_string_lossy());
    let said = room.run("gk", &["doctor"]).await.ok();
    assert!(said.stdout.contains("you are dana") && !said.stdout.contains("siem"), "{}", said.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_over_tls_gets_everything_from_those_who_know_its_authority_and_nothing_from_others() {
    let mut room = room();
    let ([ours, certificate, key], [other, ..]) = (papers(&room, "ours").await, papers(&room, "other").await);
    let (mut receiver, port) = receiver_by(&room, &[OVER_TLS, &certificate, &key]);
    let more = format!(
        "[[audit.sinks]]\nname = \"siem\"\nkind = \"http\"\nwhat = [\"events\", \"checkpoints\"]\n\
         url = \"https://localhost:{port}/in\"\nsecret_file = {:?}\nca_file = {other:?}\n",
        room.path("siem"),
    );
    receiver.start();
    let mut plane = start(&mut room, more).await;
    plane.person(&room, "dana", &["requester"]).await;
    logged(&plane, "audit_sink_failing").await;
    logged(&plane, "certificate").await;
    assert_eq!(held(&room, "received.ndjson"), 0, "nobody hears of it whose certificate is not vouched for");

    plane.process.stop().await;
    let settings = room.read("control-plane.toml");
    assert!(settings.contains(&other), "{settings}");
    room.write("control-plane.toml", &settings.replace(&other, &ours));
    plane.process.start();
    plane.answers().await;
    arrived(&room, &plane, "received.ndjson").await;
    plane.process.stop().await;
    room.run("gk", &["audit", "verify", "received.ndjson"]).await.ok();
}

/// The file may not grow by more than a part of the next line: for its writer that is a disk that is full.
fn fill(plane: &Plane, room: &Room, name: &str) -> u64 {
    let size = std::fs::metadata(room.path(name)).expect("it is there").len();
    let limit = Rlimit { current: Some(size + 40), maximum: None };
    prlimit(Some(plane.process.pid()), Resource::Fsize, limit).expect("its limit can be set");
    size
}

fn empty_again(plane: &Plane) {
    let none = Rlimit { current: None, maximum: None };
    prlimit(Some(plane.process.pid()), Resource::Fsize, none).expect("its limit can be lifted");
}

async fn logged(plane: &Plane, words: &str) {
    eventually(LONG, "it is logged", async || match plane.process.log_text() {
        text if text.contains(words) => Ok(()),
        text => Err(text.lines().last().unwrap_or_default().to_owned()),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_leaves_no_part_of_a_line_in_a_sink_or_the_checkpoint_file() {
    let mut room = room();
    let path = room.path("disk.ndjson");
    let more = format!("[[audit.sinks]]\nname = \"disk\"\nkind = \"file\"\nwhat = [\"events\"]\npath = {path:?}\n");
    let mut plane = start(&mut room, more).await;
    plane.process.stop().await;
    plane.process.start_by("/bin/sh", NO_SIGNAL);
    plane.process.start();
    plane.answers().await;
    let admin = plane.as_admin();
    let fresh = async || admin.get("/v1/audit/checkpoints?fresh=true").await.expect("it answers").is(200);
    // Both files grow larger than the log, which the limit is for, too.
    for n in 0..40 {
        plane.person(&room, &format!("before-{n}"), &["requester"]).await;
        fresh().await;
    }
    arrived(&room, &plane, "disk.ndjson").await;

    let size = fill(&plane, &room, "disk.ndjson");
    plane.person(&room, "meanwhile", &["requester"]).await;
    logged(&plane, "audit_sink_failing").await;
    let kept = std::fs::metadata(&path).expect("it is there").len();
    assert_eq!(kept, size, "what could not be written whole is cut back");
    empty_again(&plane);
    arrived(&room, &plane, "disk.ndjson").await;
    room.run("gk", &["audit", "verify", "disk.ndjson"]).await.ok();

    let size = fill(&plane, &room, "checkpoints.ndjson");
    plane.person(&room, "checkpoint", &["requester"]).await;
    let before = fresh().await;
    logged(&plane, "no fresh checkpoint could be signed").await;
    let kept = std::fs::metadata(room.path("checkpoints.ndjson")).expect("it is there").len();
    assert_eq!(kept, size, "what could not be written whole is cut back");
    empty_again(&plane);
    let after = fresh().await;
    assert!(after["size"].as_i64() > before["size"].as_i64(), "{before} {after}");
    let text = room.read("checkpoints.ndjson");
    let whole = |line: &str| serde_json::from_str::<gk_shared::audit::SealedHead>(line).is_ok();
    assert!(text.lines().all(whole), "{text}");
}
