//! Sinks of the audit log: a receiver, a file, and what they are given when things go wrong.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gk_control_plane::config::Limits;
use gk_control_plane::notary::AuditConfig;
use gk_control_plane::sinks::{Content, HttpEndpoint, Pace, SinkConfig, SinkKind};
use gk_shared::audit::note::SigningKey;
use gk_shared::audit::{AuditRecord, SealedHead, Trust, Verifier};
use gk_testkit::eventually;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::AsyncBufReadExt as _;

use crate::binary::{Home, program, run};
use crate::receiver::{Act, Receiver};
use crate::support::World;

const SOON: Duration = Duration::from_secs(30);

/// In more of a hurry than a true one.
fn pace() -> Pace {
    let of = Duration::from_millis;
    Pace { period: of(20), first_pause: of(20), last_pause: of(200), patience: of(500) }
}

fn http(receiver: &Receiver, content: Content) -> SinkConfig {
    let (url, signer) = (receiver.url.parse().unwrap(), receiver.secret().parse().unwrap());
    let kind = SinkKind::Http(HttpEndpoint::new(url, signer, None).unwrap());
    SinkConfig { name: "siem".parse().unwrap(), content, kind, pace: pace() }
}

fn file(name: &str, path: PathBuf, content: Content) -> SinkConfig {
    SinkConfig { name: name.parse().unwrap(), content, kind: SinkKind::File(path), pace: pace() }
}

/// A world whose log is signed and goes to these sinks.
async fn world(sinks: Vec<SinkConfig>) -> World {
    let signing_key = Some(Arc::new(SigningKey::from_seed([7; 32].into())));
    let limits = Limits { requests_per_second: 10_000, burst: 10_000, ..Limits::default() };
    World::audited(limits, AuditConfig { signing_key, checkpoint_file: None, sinks }).await
}

/// The places of these lines, which are records and make one whole log with what goes before them.
fn places(lines: &[String]) -> Vec<i64> {
    let mut verifier = Verifier::against(Vec::new(), None);
    let records = lines.iter().filter(|line| !line.starts_with("{\"checkpoint\""));
    let records = records.map(|line| serde_json::from_str::<AuditRecord>(line).unwrap_or_else(|_| panic!("{line}")));
    let place = |record: AuditRecord| {
        verifier.take(&record).unwrap_or_else(|finding| panic!("{finding}"));
        record.seq
    };
    records.map(place).collect()
}

/// Waits until the receiver has as many events as there are, and gives how many.
async fn whole(world: &World, receiver: &Receiver) -> usize {
    let written = world.audit("").await.len();
    eventually(SOON, "everything is delivered", async || match places(&receiver.lines()).len() {
        found if found >= written => Ok(found),
        found => Err(format!("{found} of {written}")),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_refuses_hangs_sends_elsewhere_and_hangs_up_gets_everything_in_order_and_signed() {
    let acts = [Act::Refuse(500), Act::Redirect, Act::Refuse(401), Act::Cut, Act::Hang, Act::HangUp, Act::Refuse(429)];
    let receiver = Receiver::start(&acts).await;
    let world = world(vec![http(&receiver, Content::Events)]).await;
    world.dana().await;
    whole(&world, &receiver).await;
    world.agent("agent-1").await;
    let delivered = whole(&world, &receiver).await;
    let places = places(&receiver.lines());
    assert_eq!(places, (1..=i64::try_from(delivered).unwrap()).collect::<Vec<_>>());

    let got = receiver.got();
    assert!(got.iter().all(|got| got.path == "/audit?tenant=1"), "a redirect is not followed: {got:?}");
    assert!(got.iter().all(|got| receiver.verifies(got)));
    // Whatever was tried again is the same delivery, down to the byte.
    let tries: Vec<_> = got.iter().take_while(|got| got.act != Act::Take).collect();
    assert_eq!(tries.len(), acts.len() - 1, "all but the one that was cut");
    assert!(tries.iter().all(|one| (&one.id, &one.body) == (&got[0].id, &got[0].body)), "{got:?}");
    let mut changed = got[0].clone();
    changed.body = changed.body.replacen("root", "toor", 1);
    assert!(changed != got[0] && !receiver.verifies(&changed), "a change on the way shows");
    changed = got[0].clone();
    changed.at += 1;
    assert!(!receiver.verifies(&changed), "and so does another time");
    let metrics = world.admin.get("/metrics").await.text;
    assert!(metrics.contains("gk_audit_sink_failures_total{sink=\"siem\"} 7"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_hangs_keeps_nobody_waiting_shows_in_the_metrics_and_hears_everything_later() {
    let receiver = Receiver::start(&[]).await;
    receiver.always(Act::Hang);
    let world = world(vec![http(&receiver, Content::Events)]).await;
    let (agent, dana) = (world.agent("agent-1").await, world.dana().await);
    let began = Instant::now();
    let id = dana.create(json!({})).await.expect(201).id();
    agent.work().await;
    dana.post(&format!("/v1/sessions/{id}/revoke"), json!({})).await.expect(200);
    agent.work().await;
    assert_eq!(dana.get(&format!("/v1/sessions/{id}")).await.expect(200).body["status"], "revoked");
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    eventually(SOON, "the metrics tell", async || {
        let metrics = world.admin.get("/metrics").await.text;
        let waits = metrics.lines().find_map(|line| line.strip_prefix("gk_audit_sink_waiting{sink=\"siem\"} "));
        let waits = waits.is_some_and(|count| count.parse::<i64>().unwrap() >= 8);
        let never = metrics.contains("gk_audit_sink_delivered_seconds{sink=\"siem\"} 0.0");
        if waits && never { Ok(()) } else { Err(metrics) }
    })
    .await;
    let told = world.admin.get("/v1/status").await.expect(200).body["auditSinks"].clone();
    assert!(told[0]["name"] == "siem" && told[0]["waiting"].as_i64() >= Some(8), "{told}");
    assert!(told[0]["deliveredAt"].is_null(), "{told}");
    assert!(dana.get("/v1/status").await.expect(200).body["auditSinks"].is_null(), "it is no concern of a requester");
    receiver.always(Act::Take);
    whole(&world, &receiver).await;
    let metrics = async || world.admin.get("/metrics").await.text;
    eventually(SOON, "nothing waits", async || match metrics().await {
        text if text.contains("gk_audit_sink_waiting{sink=\"siem\"} 0") => Ok(()),
        text => Err(text),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_control_plane_that_stops_wrote_last_is_delivered_with_its_last_checkpoint_behind_it() {
    let receiver = Receiver::start(&[]).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("all.ndjson");
    let sinks = vec![http(&receiver, Content::Both), file("disk", path.clone(), Content::Both)];
    let world = world(sinks).await;
    world.dana().await;
    let pg = world.stop().await;
    let events = "SELECT count(*) FROM audit_events";
    let events: i64 = pg.superuser("ledger").await.query_one(events, &[]).await.unwrap().get(0);
    let lines = receiver.lines();
    assert_eq!(places(&lines), (1..=events).collect::<Vec<_>>());
    let last: SealedHead = serde_json::from_str(lines.last().unwrap()).expect("the last line is a checkpoint");
    assert_eq!(Trust::default().open(&last).unwrap().checkpoint.head.size, events);
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().collect::<Vec<_>>(), lines, "a file holds what a receiver is sent");
    let held = "SELECT count(*) FROM audit_sinks WHERE holder IS NOT NULL OR next_event IS NOT NULL";
    let held: i64 = pg.superuser("ledger").await.query_one(held, &[]).await.unwrap().get(0);
    assert_eq!(held, 0, "the next one need not wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_a_receiver_that_hangs() {
    let receiver = Receiver::start(&[]).await;
    receiver.always(Act::Hang);
    let patient = Pace { patience: Duration::from_secs(60), ..pace() };
    let world = world(vec![SinkConfig { pace: patient, ..http(&receiver, Content::Events) }]).await;
    eventually(SOON, "it hangs", async || if receiver.got().is_empty() { Err("not yet") } else { Ok(()) }).await;
    let began = Instant::now();
    world.stop().await;
    // Two seconds are promised; the rest is for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

/// Enough events to fill a pipe.
const MANY: usize = 150;

/// A ledger with many events, and settings of a second control plane on it that tells stdout.
async fn told(home: &Home) -> (World, PathBuf) {
    let world = world(Vec::new()).await;
    for n in 0..MANY {
        world.person(&format!("person-{n}"), &["requester"], &["dev"]).await;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = home.settings(&world.pg.superuser_dsn("ledger"), &format!("listen = '{free}'"));
    let sink = "[[audit.sinks]]\nname = 'out'\nkind = 'stdout'\nwhat = ['events', 'checkpoints']\n";
    let text = std::fs::read_to_string(&config).unwrap();
    home.file("plane.toml", format!("{text}{sink}"), 0o644);
    (world, config)
}

fn pid(process: &tokio::process::Child) -> Pid {
    Pid::from_raw(i32::try_from(process.id().unwrap()).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stdout_has_the_log_and_nothing_else_and_stderr_has_everything_else() {
    let home = Home::new();
    let (world, config) = told(&home).await;
    let mut command = program(&config, &["run"]);
    command.env("GK_LOG", "debug").env("GK_LOG_FORMAT", "json").stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = command.spawn().unwrap();
    let delivered = "SELECT 1 FROM audit_sinks WHERE name = 'out' AND event >= 150 AND epoch > 0";
    let ledger = world.pg.superuser("ledger").await;
    // Both pipes are read from the start: the process must never wait for us.
    let pid = pid(&process);
    let output = tokio::spawn(process.wait_with_output());
    eventually(SOON, "everything is delivered", async || match ledger.query(delivered, &[]).await.unwrap().len() {
        1 => Ok(()),
        _ => Err("not yet"),
    })
    .await;
    kill_process(pid, Signal::TERM).unwrap();
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success());
    let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect();
    let events = world.audit("").await.len();
    assert_eq!(places(&lines), (1..=i64::try_from(events).unwrap()).collect::<Vec<_>>());
    let heads = lines.iter().filter(|line| line.starts_with("{\"checkpoint\""));
    let heads: Vec<SealedHead> = heads.map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!heads.is_empty() && heads.iter().all(|head| Trust::default().open(head).is_ok()));
    let log = String::from_utf8(output.stderr).unwrap();
    let is_log = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["level"].is_string();
    assert!(log.lines().count() > 1 && log.lines().all(is_log), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stdout_that_nobody_reads_stops_neither_the_control_plane_nor_its_end() {
    let home = Home::new();
    let (_world, config) = told(&home).await;
    let mut command = program(&config, &["run"]);
    command.env("GK_LOG", "info").stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut log = tokio::io::BufReader::new(process.stderr.take().unwrap()).lines();
    let failing = async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("audit_sink_failing") {
                return line;
            }
        }
        panic!("it has ended")
    };
    let line = tokio::time::timeout(SOON, failing).await.unwrap();
    assert!(line.contains("stdout cannot be written"), "{line}");
    let healthy = run(&config, &["healthcheck"]).await;
    assert!(healthy.status.success(), "{}", String::from_utf8_lossy(&healthy.stderr));
    kill_process(pid(&process), Signal::TERM).unwrap();
    let ended = tokio::time::timeout(SOON, process.wait()).await.expect("it ends").unwrap();
    assert!(ended.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_control_planes_share_a_sink_and_each_goes_on_where_the_other_was_killed() {
    let (home, receiver, world) = (Home::new(), Receiver::start(&[]).await, world(Vec::new()).await);
    let sink = format!(
        "[[audit.sinks]]\nname = 'siem'\nkind = 'http'\nwhat = ['events']\nurl = '{}'\nsecret_file = '{}'\n",
        receiver.url,
        home.file("siem", receiver.secret(), 0o600).display()
    );
    let spawn = |name: &str| {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = home.settings(&world.pg.superuser_dsn("ledger"), &format!("listen = '{free}'"));
        let text = std::fs::read_to_string(&config).unwrap();
        program(&home.file(name, format!("{text}{sink}"), 0o644), &["run"]).spawn().unwrap()
    };
    let (mut one, mut two) = (spawn("one.toml"), spawn("two.toml"));
    world.person("early", &["requester"], &["dev"]).await;
    whole(&world, &receiver).await;
    one.kill().await.unwrap();
    world.person("with-two", &["requester"], &["dev"]).await;
    whole(&world, &receiver).await;
    let _one = spawn("one.toml");
    two.kill().await.unwrap();
    world.person("with-one", &["requester"], &["dev"]).await;
    whole(&world, &receiver).await;
    assert!(receiver.got().iter().all(|got| receiver.verifies(got)));
}
