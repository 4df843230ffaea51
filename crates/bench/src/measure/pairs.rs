//! Two control planes and two agents on one ledger and one target, against one of each.

use std::time::Duration;

use gk_cli::client::Client;
use gk_e2e::{Api, Daemon, TARGET, eventually, free_port, program, url_of};

use super::{Findings, Plan};
use crate::lab::{Lab, LabOptions, callers};
use crate::ours;
use crate::report::{Table, Wanted, row, timed};
use crate::stats::{Sample, count};

const CLIENTS: usize = 8;
const EACH: usize = 16;
/// Longest that a second control plane or agent takes to be there.
const START: Duration = Duration::from_secs(30);

const ABOUT: &str = "Eight clients, at one control plane with one agent, and half of them at each of two control planes with an agent \
    each, in turns: the second pair is stopped for the turns of the single one. Everything shares the cores of one machine, so that the \
    second pair brings no more processor time; what is to be seen is that it takes its share of the work and costs nothing.";

pub(super) async fn run(plan: &Plan) -> Findings {
    let lab = Lab::start(LabOptions::with_callers(CLIENTS)).await;
    let mut second = Second::prepare(&lab).await;
    let mut samples: [Sample; 2] = Default::default();
    for _ in 0..plan.rounds {
        samples[0].join(ours::create_round(&lab.clients, TARGET, EACH).await);
        ours::end_all(&lab).await;
        second.start(&lab).await;
        let both: Vec<Client> = lab.clients.iter().take(CLIENTS / 2).chain(&second.clients).cloned().collect();
        ours::create_round(&both, TARGET, 2).await;
        samples[1].join(ours::create_round(&both, TARGET, EACH).await);
        ours::end_all(&lab).await;
        second.stop().await;
    }
    let shares = shares(&lab).await;
    let mut findings = Findings::about("Two control planes and two agents", ABOUT);
    let figures = samples.map(|sample| sample.figures());
    let mut table = Table::of_times("");
    table.rows.push(timed("one control plane, one agent", CLIENTS, &figures[0]));
    table.rows.push(timed("two and two", CLIENTS, &figures[1]));
    let mut jobs = Table::new("Jobs done while both ran", &["agent", "jobs", "share, %"]);
    let all: f64 = shares.iter().map(|(_, done)| count(*done)).sum();
    for (agent, done) in &shares {
        jobs.rows.push(row![agent.as_str(), *done, 100.0 * count(*done) / all]);
    }
    let least = shares.iter().map(|(_, done)| count(*done) / all).fold(1.0, f64::min);
    findings.tables = vec![table, jobs];
    let rate = |place: usize| figures[place].rate.unwrap_or_default();
    findings.wanted = vec![
        Wanted::at_least("mints/s of two pairs ÷ of one, on the same cores", rate(1) / rate(0), 0.9, "×"),
        Wanted::at_least("share of the second agent, at its least", 100.0 * least, 30.0, " %"),
    ];
    findings.used("Postgres of ledger and target", &lab.stack.target.major().to_string());
    findings
}

/// The second control plane and the second agent.
struct Second {
    plane: Daemon,
    agent: Daemon,
    api: Api,
    clients: Vec<Client>,
}

impl Second {
    /// Settings like those of the first, elsewhere.
    async fn prepare(lab: &Lab) -> Self {
        let room = &lab.stack.room;
        let port = free_port();
        let url = url_of(port);
        let listens = |text: String, port: u16| -> String {
            let line = |line: &str| match line.starts_with("listen") {
                true => format!("listen = \"127.0.0.1:{port}\"\n"),
                false => format!("{line}\n"),
            };
            text.lines().map(line).collect()
        };
        let text = room.read("control-plane.toml").replace("checkpoints.ndjson", "checkpoints-b.ndjson");
        let config = room.write("control-plane-b.toml", &listens(text, port));
        let args = ["run", "--config", &config.to_string_lossy()];
        let plane = Daemon::new("gk-control-plane-b", &program("gk-control-plane"), &args, room.path("plane-b.log"));
        let enrolled = lab.stack.plane.enroll(room, "agent-b", TARGET).await;
        let text = listens(room.read("agent-a.toml"), free_port());
        let own = [
            (lab.stack.plane.url(), url.clone()),
            (
                room.path("agent-a.token").to_string_lossy().into_owned(),
                enrolled.token_file.to_string_lossy().into_owned(),
            ),
            ("agent-a-state".to_owned(), "agent-b-state".to_owned()),
        ];
        let text = own.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, ours));
        let config = room.write("agent-b.toml", &text);
        let args = ["run", "--config", &config.to_string_lossy()];
        let agent = Daemon::new("agent-b", &program("gk-agent"), &args, room.path("agent-b.log")).env("GK_LOG", "warn");
        let api = Api::new(&url, &lab.stack.plane.admin.token);
        let clients = callers(&lab.stack, &url, CLIENTS / 2).await;
        Self { plane, agent, api, clients }
    }

    async fn start(&mut self, lab: &Lab) {
        self.plane.start();
        eventually(START, "the second control plane is ready", async || match self.api.get("/readyz").await {
            Ok(answer) if answer.status == 200 => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
        self.agent.start();
        lab.stack.agent_is_online("agent-b").await;
        // Online it may still be from the turn before; its first claims come within its first look.
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    async fn stop(&mut self) {
        self.agent.stop().await;
        self.plane.stop().await;
    }
}

/// Jobs that each agent did since the second one came for the first time.
async fn shares(lab: &Lab) -> Vec<(String, usize)> {
    let sql = "-- bench::shares\nSELECT o.name, count(*) FILTER (WHERE j.kind = 'create' AND s.actor_id IN (\
               SELECT s2.actor_id FROM sessions s2 JOIN jobs j2 ON j2.session_id = s2.id JOIN agents g2 ON g2.id = j2.agent_id \
               JOIN actors o2 ON o2.id = g2.actor_id WHERE o2.name = 'agent-b')) \
               FROM agents g JOIN actors o ON o.id = g.actor_id LEFT JOIN jobs j ON j.agent_id = g.id \
               LEFT JOIN sessions s ON s.id = j.session_id GROUP BY o.name ORDER BY o.name";
    let rows = lab.stack.books().await;
    let rows = rows.superuser().query(sql, &[]).await.expect("the ledger answers");
    rows.iter().map(|row| (row.get(0), usize::try_from(row.get::<_, i64>(1)).expect("a count"))).collect()
}
