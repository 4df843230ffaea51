//! A stage: all there is, running, with a wire between each two parts, an oracle that watches and clients at work.

use crate::evidence::{Evidence, ProgramSaid};
use crate::judge::{Bounds, Court};
use crate::oracle::{Bench, Oracle};
use crate::part::{Outage, Part};
use crate::sight::{Eye, TargetEye};
use crate::wire::Wire;
use crate::workload::{Caller, Client, Crew, Place, Things};
use gk_e2e::{AgentOptions, DATABASE, Stack, StackOptions, Version, free_port};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use std::collections::BTreeMap;

/// Seed of the key that signs this stage's audit log.
const SIGNING: [u8; 32] = [42; 32];

/// What a stage is made for: a fault says which kind it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// As users have it.
    Plain,
    /// Every program sees a clock that can be set.
    Clocks,
    /// What the servers acknowledge has reached the disk, as in production.
    Durable,
}

/// The wires between the parts.
#[derive(Debug)]
pub struct Wires {
    /// From agents to the target.
    pub agent_target: Wire,
    /// From agents to the control plane.
    pub agent_plane: Wire,
    /// From clients to the control plane.
    pub client_plane: Wire,
    /// From the control plane to the ledger.
    pub plane_ledger: Wire,
}

/// How a stage is set.
#[derive(Debug, Clone)]
pub struct StageOptions {
    /// What it is made for.
    pub kind: Kind,
    /// Postgres.
    pub version: Version,
    /// Clients at work.
    pub clients: u32,
    /// Where chance begins.
    pub seed: u64,
    /// The judge's bounds.
    pub bounds: Bounds,
    /// How much of each fault.
    pub dose: Dose,
    /// Where the programs of an earlier version lie.
    pub earlier: std::path::PathBuf,
}

/// How much of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dose {
    /// As much as a CI run has time for.
    Short,
    /// Past every lease and time-out.
    Long,
}

impl Dose {
    /// One of two numbers.
    #[must_use]
    pub fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

/// A stage.
#[derive(Debug)]
pub struct Stage {
    // First: nobody may watch while the rest goes down.
    oracle: Option<Oracle>,
    crew: Option<Crew>,
    /// All there is.
    pub stack: Stack,
    /// The wires.
    pub wires: Wires,
    /// What everybody holds.
    pub bench: Bench,
    /// What users made.
    pub things: Things,
    /// How it was set.
    pub options: StageOptions,
    /// Clocks that can be set, on a stage of that kind.
    pub clocks: Option<crate::clocks::Clocks>,
    logs_read: BTreeMap<String, usize>,
    crews: u32,
    extra_agents: u32,
}

impl Stage {
    /// Sets a stage, with one agent and nobody at work yet.
    pub async fn set(options: StageOptions) -> Self {
        let clocks = (options.kind == Kind::Clocks).then(crate::clocks::Clocks::new);
        let (stack, plane_ledger) = stack(&options, clocks.as_ref()).await;
        let wires = Wires {
            agent_target: Wire::to(stack.target.port()).await,
            agent_plane: Wire::to(stack.plane.port()).await,
            client_plane: Wire::to(stack.plane.port()).await,
            plane_ledger,
        };
        let bench = Bench::new(Court::new(options.bounds));
        let mut stage = Self {
            oracle: None,
            crew: None,
            stack,
            wires,
            bench,
            things: Things::default(),
            options,
            clocks,
            logs_read: BTreeMap::new(),
            crews: 0,
            extra_agents: 0,
        };
        stage.add_agent("agent-a").await;
        stage.let_users_create().await;
        stage.oracle = Some(Oracle::watch(&stage.bench, stage.ledger_eye(), stage.target_eye()));
        stage
    }

    /// A connection of its own to the ledger, past every wire.
    #[must_use]
    pub fn ledger_eye(&self) -> Eye {
        Eye::new(self.stack.plane.ledger.superuser_dsn(self.stack.plane.database()))
    }

    /// A connection of its own to the target, past every wire.
    #[must_use]
    pub fn target_eye(&self) -> TargetEye {
        TargetEye::new(self.stack.target.superuser_dsn(DATABASE))
    }

    /// The same for statements.
    #[must_use]
    pub fn target_hand(&self) -> Eye {
        Eye::new(self.stack.target.superuser_dsn(DATABASE))
    }

    /// Somebody who may have sessions and reaches the control plane by the clients' wire.
    #[must_use]
    pub fn caller(&self) -> Caller {
        let api = gk_e2e::Api::new(&gk_e2e::url_of(self.wires.client_plane.port()), &self.stack.dana.token);
        Caller::new(api, self.bench.clone())
    }

    /// Where a client works.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { caller: self.caller(), bench: self.bench.clone(), things: self.things.clone() }
    }

    /// Sets clients to work, unless they are.
    pub fn begin_work(&mut self) {
        if self.crew.is_none() {
            self.crews += 1;
            let mut random = StdRng::seed_from_u64(self.options.seed.wrapping_add(u64::from(self.crews)));
            let name = |number| format!("crew-{}-client-{number}", self.crews);
            let clients = (0..self.options.clients).map(|number| (name(number), random.random()));
            let clients: Vec<_> = clients.map(|(name, seed)| Client::new(self.place(), &name, seed)).collect();
            self.crew = Some(Crew::at_work(clients));
        }
    }

    /// Tells the clients to stop, and waits for them.
    pub async fn end_work(&mut self) {
        if let Some(crew) = self.crew.take() {
            crew.stop().await;
        }
    }

    /// One more agent, on the same wires. The last that was added is the last of `stack.agents`.
    pub async fn add_agent(&mut self, name: &str) {
        let env = self.clocks.as_ref().map(|clocks| clocks.env("agent")).unwrap_or_default();
        let options = AgentOptions {
            through_port: Some(self.wires.agent_target.port()),
            plane_port: Some(self.wires.agent_plane.port()),
            env,
        };
        self.stack.add_agent(name, options).await;
    }

    /// One more agent with a name that no other had.
    pub async fn add_another_agent(&mut self) {
        let name = self.another_name();
        self.add_agent(&name).await;
    }

    /// A name that no agent had.
    pub fn another_name(&mut self) -> String {
        self.extra_agents += 1;
        format!("agent-extra-{}", self.extra_agents)
    }

    /// Ends every agent but the first one, as `kill -9` does.
    pub fn keep_first_agent(&mut self) {
        self.stack.agents.truncate(1);
    }

    /// Takes parts out, for the judge to know, until the guard is dropped.
    #[must_use]
    pub fn out(&self, parts: &[Part]) -> Outage {
        self.bench.outages.begin(parts)
    }

    /// What every supervisor does: starts a control plane again that found no ledger. What else ends by itself is told.
    pub fn supervise(&mut self) {
        if let Some(status) = self.stack.plane.process.ended() {
            self.program_ended("gk-control-plane", status.code());
            self.stack.plane.process.start();
        }
        for index in 0..self.stack.agents.len() {
            if let Some(status) = self.stack.agents[index].ended() {
                self.program_ended("gk-agent", status.code());
                self.stack.agents[index].start();
            }
        }
    }

    fn program_ended(&self, program: &str, code: Option<i32>) {
        let said = ProgramSaid { program: program.to_owned(), ended: Some(code), line: None };
        self.bench.court.hear(&Evidence::Program(said));
    }

    /// Reads what the programs said since the last time, and tells what they must not say.
    pub fn read_logs(&mut self) {
        let mut daemons = vec![("gk-control-plane".to_owned(), self.stack.plane.process.log_text())];
        daemons
            .extend(self.stack.agents.iter().enumerate().map(|(n, agent)| (format!("gk-agent {n}"), agent.log_text())));
        for (program, text) in daemons {
            let read = self.logs_read.insert(program.clone(), text.len()).unwrap_or(0);
            let new = text.get(read..).unwrap_or(&text);
            for line in new.lines().filter(|line| line.contains("panicked at") || line.contains("overflowed its stack"))
            {
                let said = ProgramSaid { program: program.clone(), ended: None, line: Some(line.to_owned()) };
                self.bench.court.hear(&Evidence::Program(said));
            }
        }
    }

    async fn let_users_create(&self) {
        let done = self.target_hand().run("GRANT CREATE ON SCHEMA public TO PUBLIC").await;
        assert!(done, "a superuser may grant on his own target");
    }
}

async fn stack(options: &StageOptions, clocks: Option<&crate::clocks::Clocks>) -> (Stack, Wire) {
    let ledger_port = free_port();
    let wire = Wire::to(ledger_port).await;
    let stack = match options.kind {
        Kind::Plain | Kind::Clocks => Stack::with(options.version),
        Kind::Durable => Stack::with(options.version).as_in_production(),
    };
    let stack: StackOptions = stack
        .ledger_between(ledger_port, wire.port())
        .log("info")
        .signing(SIGNING)
        .target_setting("max_connections", "400")
        .target_setting("max_prepared_transactions", "8");
    let stack = match clocks {
        None => stack,
        Some(clocks) => {
            let stack = clocks.env("target").iter().fold(stack, |stack, (name, value)| stack.target_env(name, value));
            clocks.env("plane").iter().fold(stack, |stack, (name, value)| stack.plane_env(name, value))
        }
    };
    (stack.without_agent().await, wire)
}
