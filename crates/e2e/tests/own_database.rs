//! docs/own-database.md, typed step by step: what stands on the page is what runs here.
//!
//! Always holds: every command and every file of the page's steps is taken from the page. Only addresses differ, because
//! the page's database is on port 5432 and its control plane on port 4000.

use gk_e2e::{
    Daemon, Plane, PlaneOptions, Ran, Room, SOON, TestPg, Version, eventually, free_port, on_both_lines, program,
};
use std::path::Path;

on_both_lines!(the_steps_of_the_page_give_a_session_that_reads_and_cannot_write);

/// The page, in steps.
struct Page {
    steps: Vec<Step>,
}

/// One step: its commands, one a line, and the text of its file, if it has one.
#[derive(Default)]
struct Step {
    commands: Vec<String>,
    file: String,
}

impl Page {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/own-database.md");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (mut steps, mut in_file) = (Vec::new(), false);
        for line in text.lines() {
            if line.starts_with("## ") {
                steps.push(Step::default());
            }
            let Some(step) = steps.last_mut() else { continue };
            match line.strip_prefix("    ") {
                _ if line.starts_with("```") => in_file = !in_file,
                _ if in_file => step.file = format!("{}{line}\n", step.file),
                Some(command) => step.commands.push(command.to_owned()),
                None => {}
            }
        }
        Self { steps }
    }

    /// The commands of a step, counted from 1 as on the page.
    fn commands<const N: usize>(&self, step: usize) -> [&str; N] {
        let commands: Vec<&str> = self.steps[step - 1].commands.iter().map(String::as_str).collect();
        commands
            .try_into()
            .unwrap_or_else(|found| panic!("step {step} has other commands than this test runs: {found:?}"))
    }

    fn file(&self, step: usize) -> &str {
        &self.steps[step - 1].file
    }
}

const DBA_PASSWORD: &str = "the-dbas-own-password";

/// A database as the page supposes it: filled by `pgbench -i`, owned by somebody who is no superuser.
async fn pgbench_database(room: &Room, pg: &TestPg) -> String {
    let superuser = pg.superuser("postgres").await;
    superuser
        .batch_execute(&format!("CREATE ROLE dba LOGIN CREATEROLE PASSWORD '{DBA_PASSWORD}'"))
        .await
        .expect("it is new");
    superuser.batch_execute("CREATE DATABASE shop OWNER dba").await.expect("it is new");
    let dsn = pg.dsn("dba", DBA_PASSWORD, "shop");
    let pgbench = pg.program("pgbench");
    room.run(&pgbench.to_string_lossy(), &["--initialize", "--quiet", "--scale", "1", &dsn]).await.ok();
    dsn
}

async fn the_steps_of_the_page_give_a_session_that_reads_and_cannot_write(version: Version) {
    let page = Page::read();
    let pg = TestPg::start(version).await;
    let psql = pg.psql();
    let mut room = Room::new(psql.parent().expect("a program lies in a directory"));
    let dba_dsn = pgbench_database(&room, &pg).await;
    room.set("DBA_DSN", &dba_dsn);
    let plane = Plane::start(&room, PlaneOptions::new(version, page.file(5))).await;
    room.set("GK_ADDRESS", &plane.url());
    room.set("GK_TOKEN_FILE", &plane.admin.token_file.to_string_lossy());

    for command in page.commands::<2>(1).into_iter().chain(page.commands::<1>(2)) {
        step(&room, command).await;
    }
    // It may be repeated at any time, the page says.
    step(&room, page.commands::<1>(2)[0]).await;
    step(&room, page.commands::<1>(3)[0]).await;
    let addresses = [("http://127.0.0.1:4000", plane.url()), ("port = 5432", format!("port = {}", pg.port()))];
    let config = addresses.iter().fold(page.file(4).to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "the page's agent.toml has no {from}");
        text.replace(from, to)
    });
    room.write("agent.toml", &config);
    let [check, doctor, run] = page.commands::<3>(4);
    step(&room, check).await;
    let doctor = room.sh(doctor).await;
    // It may advise more than a session needs; a set-up as on the page has nothing to mend.
    assert_eq!(doctor.code, 0, "{}", doctor.stdout);
    for needed in ["reachable", "helpers", "owner", "agent", "packs", "reach"] {
        let fine = |line: &str| line.split_whitespace().take(3).eq(["ok", "shop", needed]);
        assert!(doctor.stdout.lines().any(fine), "{needed} in\n{}", doctor.stdout);
    }
    let mut agent = as_daemon(&room, run);
    agent.start();
    let [create, read, write] = page.commands::<3>(6);
    let dana = plane.person(&room, "dana", &["requester"]).await;
    room.set("GK_TOKEN_FILE", &dana.token_file.to_string_lossy());
    let admin = plane.as_admin();
    eventually(SOON, "the target is reachable", async || {
        let seen = admin.get("/v1/targets/shop").await.map_err(|error| error.to_string())?.body;
        if seen["reachable"] == true { Ok(()) } else { Err(seen.to_string()) }
    })
    .await;

    let counted = room.sh(&format!("{create}\n{read}")).await.ok();
    assert!(counted.stdout.contains("100000"), "{}", counted.stdout);
    let refused = room.sh(&format!("{create}\n{write}")).await.exits(1);
    let promised = write.split_once('#').expect("the page says what comes").1.trim();
    assert!(refused.stderr.contains(promised), "the page promises {promised:?}, psql says {:?}", refused.stderr);
    agent.stop().await;
}

async fn step(room: &Room, command: &str) {
    let ran: Ran = room.sh(&format!("set -e\n{command}")).await;
    ran.ok();
}

/// A command of the page that goes on until it is stopped.
fn as_daemon(room: &Room, command: &str) -> Daemon {
    let words: Vec<&str> = command.split_whitespace().collect();
    let (name, args) = words.split_first().expect("a command has words");
    // Beside other agents of this machine.
    Daemon::new(name, &program(name), args, room.path("agent.log")).env("AGENT_PORT", &free_port().to_string())
}
