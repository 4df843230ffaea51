//! F35: a certificate that has expired and an authority that changes, while an agent works over TLS.

use super::Hits;
use super::held::Held;
use crate::papers::Authority;
use crate::part::Part;
use crate::stage::Stage;
use crate::wire::Wire;
use gk_e2e::{DATABASE, Daemon, SOON, TARGET, eventually, free_port, program};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// How long the agent's own certificate holds: it is renewed when two thirds of that are over.
const AGENTS: &str = "24s";

/// F35. A second control plane on the same ledger speaks TLS, and the one agent there is shows a certificate. The server's
/// certificate has expired, which is said; the next one comes from an authority that the agent trusts already, and is taken
/// without a restart. The agent's own is renewed meanwhile.
pub(super) async fn expired(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let (old, new) = (Authority::new(), Authority::new());
    let secure = Secure::set_up(stage, &old, &new).await;
    let held = Held::take(stage, 120).await;
    let said = {
        let _out = stage.out(&[Part::AgentToPlane]);
        put(stage, &secure.dir, &old, -HOUR).await;
        let said = secure.says_expired(stage).await;
        put(stage, &secure.dir, &new, HOUR).await;
        secure.is_heard(stage).await;
        said
    };
    let cut = match held {
        Some(held) => held.is_revoked_and_cut(PATIENCE).await,
        None => false,
    };
    let made = Held::take(stage, 20).await.is_some();
    let renewed = secure.renewed().await;
    secure.take_down(stage);
    let hits = Hits::of(said, "times that the agent says that the certificate has expired");
    let went_on = Hits::of(u64::from(cut && made), "session cut and one made under the new authority");
    hits.and(&went_on).and(&Hits::of(renewed, "renewals of the agent's own certificate"))
}

/// A control plane with TLS, an agent with a certificate, and a wire between them.
struct Secure {
    dir: String,
    agent: Daemon,
    wire: Wire,
    _plane: Daemon,
}

impl Secure {
    /// Takes the place of the stage's agent.
    async fn set_up(stage: &mut Stage, old: &Authority, new: &Authority) -> Self {
        let dir = stage.another_name();
        let room = &stage.stack.room;
        std::fs::create_dir(room.path(&dir)).expect("the directory is ours");
        room.write(&format!("{dir}/ca.pem"), &format!("{}{}", old.pem, new.pem));
        put(stage, &dir, old, HOUR).await;
        let place = room.path(&dir);
        room.run("gk-control-plane", &["agent-ca", "--out", &place.to_string_lossy()]).await.ok();
        let port = free_port();
        let plane = plane(stage, &dir, port);
        let wire = Wire::to(port).await;
        let config = enrolled(stage, &dir, &wire).await;
        let _out = stage.out(&[Part::Agent]);
        stage.stack.agent().kill9();
        let log = stage.stack.room.path(&format!("{dir}.log"));
        let agent = Daemon::new(&dir, &program("gk-agent"), &["run", "--config", &config], log);
        let mut agent = agent.env("GK_LOG", "info");
        agent.start();
        stage.stack.agent_is_online(&dir).await;
        Self { dir, agent, wire, _plane: plane }
    }

    /// How often the agent says it, once it has to connect anew.
    async fn says_expired(&self, stage: &Stage) -> usize {
        let time = Duration::from_secs(stage.options.dose.pick(3, 6));
        let said = || self.agent.log_text().lines().filter(|line| line.contains("expired")).count();
        let mut since = Instant::now();
        let begun = Instant::now();
        while since.elapsed() < time && begun.elapsed() < PATIENCE {
            // Connections that were opened before know nothing of it.
            self.wire.reset();
            tokio::time::sleep(POLL).await;
            if said() == 0 {
                since = Instant::now();
            }
        }
        said()
    }

    /// Waits until the ledger hears of the agent again.
    async fn is_heard(&self, stage: &Stage) {
        let (mut eye, begun) = (stage.ledger_eye(), Instant::now());
        let now = eye.ask("-- certificates::now\nSELECT now()::text").await;
        let since: String = now.map_or_else(|| "now".to_owned(), |rows| rows[0].get(0));
        let heard = format!(
            "-- certificates::heard\nSELECT 1 FROM agents WHERE name = '{}' AND last_seen_at > '{since}'::timestamptz",
            self.dir
        );
        while eye.ask(&heard).await.is_none_or(|rows| rows.is_empty()) && begun.elapsed() < PATIENCE {
            tokio::time::sleep(POLL).await;
        }
    }

    async fn renewed(&self) -> usize {
        let count = || self.agent.log_text().matches("certificate was renewed").count();
        let begun = Instant::now();
        while count() == 0 && begun.elapsed() < PATIENCE {
            tokio::time::sleep(POLL).await;
        }
        count()
    }

    /// Gives the stage's agent its place back.
    fn take_down(mut self, stage: &mut Stage) {
        let _out = stage.out(&[Part::Agent]);
        self.agent.kill9();
        stage.stack.agent().start();
    }
}

/// Writes what the control plane shows to whoever connects from now on: a certificate that ends so much later than now. The
/// key comes first; the two are used as a pair or not at all.
async fn put(stage: &Stage, dir: &str, authority: &Authority, later: SignedDuration) {
    let rows = stage.target_hand().ask("-- certificates::clock\nSELECT clock_timestamp()").await;
    let now: Timestamp = rows.expect("the target is whole")[0].get(0);
    let papers = authority.server(now + later);
    stage.stack.room.secret(&format!("{dir}/tls.key"), &papers.key);
    stage.stack.room.write(&format!("{dir}/tls.pem"), &papers.certificate);
}

/// One more control plane on the stage's ledger.
fn plane(stage: &Stage, dir: &str, port: u16) -> Daemon {
    let room = &stage.stack.room;
    let at = |name: &str| room.path(&format!("{dir}/{name}"));
    let text = room.read("control-plane.toml");
    let own = |line: &str| match line.split_once(" = ") {
        Some(("listen", _)) => format!("listen = \"127.0.0.1:{port}\"\n"),
        Some(("checkpoint_file", _)) => format!("checkpoint_file = {:?}\n", at("checkpoints.ndjson")),
        Some(_) | None => format!("{line}\n"),
    };
    let tls = format!(
        "[tls]\ncert_file = {:?}\nkey_file = {:?}\nagent_ca_file = {:?}\nagent_ca_key_file = {:?}\nagent_cert_ttl = \"{AGENTS}\"\n",
        at("tls.pem"),
        at("tls.key"),
        at("agent-ca.pem"),
        at("agent-ca.key"),
    );
    let text: String = text.lines().map(own).chain([tls]).collect();
    let config = room.write(&format!("{dir}/control-plane.toml"), &text);
    let args = ["run", "--config", &config.to_string_lossy()];
    let log = room.path(&format!("{dir}-plane.log"));
    let mut plane = Daemon::new("gk-control-plane with TLS", &program("gk-control-plane"), &args, log);
    plane.start();
    plane
}

/// An agent of this name that has fetched its certificate; its settings.
async fn enrolled(stage: &Stage, dir: &str, wire: &Wire) -> String {
    let (stack, room) = (&stage.stack, &stage.stack.room);
    let at = |name: &str| room.path(&format!("{dir}/{name}"));
    let url = format!("https://127.0.0.1:{}", wire.port());
    let text = format!(
        "control_plane = \"{url}\"\nca_file = {:?}\nidentity_file = {:?}\nlisten = \"127.0.0.1:{}\"\n\
         poll_interval_ms = 100\nstate_dir = {:?}\n[[target]]\nname = \"{TARGET}\"\nhost = \"127.0.0.1\"\nport = {}\n\
         advertise_port = {}\ndatabase = \"{DATABASE}\"\nuser = \"gk_agent\"\npassword_file = {:?}\n",
        at("ca.pem"),
        at("identity.pem"),
        free_port(),
        at("state"),
        stage.wires.agent_target.port(),
        stack.target.port(),
        room.path("agent-db.password"),
    );
    let config = room.write(&format!("{dir}/agent.toml"), &text).to_string_lossy().into_owned();
    let script = format!(
        "set -e; export GK_ADDRESS='{url}' GK_CA_FILE={:?} GK_TOKEN_FILE={:?}\n\
         gk agent enroll {dir} --target {TARGET} --certificate --out {once:?}\n\
         gk-agent enroll --config {config:?} --token-file {once:?}",
        at("ca.pem"),
        stack.plane.admin.token_file,
        once = at("once.token"),
    );
    // Until the control plane answers.
    eventually(SOON, "the agent has its certificate", async || {
        drop(std::fs::remove_file(at("once.token")));
        let ran = room.sh(&script).await;
        if ran.code == 0 { Ok(()) } else { Err(format!("{}{}", ran.stdout, ran.stderr)) }
    })
    .await;
    config
}
