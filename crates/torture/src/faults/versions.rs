//! F38: two versions side by side, as while a new one is rolled out.

use super::Hits;
use crate::part::Part;
use crate::stage::Stage;
use gk_e2e::program;
use rand::rngs::StdRng;
use std::time::Duration;

const AGENT: &str = "gk-agent";
const PLANE: &str = "gk-control-plane";
const CONFIG: &str = "agent-a.toml";

/// F38. The agent of the earlier version works with the control plane of this one, and the other way round; each is stopped in
/// order, as a rollout does. A control plane that finds a newer ledger says so and ends, which is right.
pub(super) async fn rolled_out(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let work = Duration::from_secs(stage.options.dose.pick(4, 15));
    let (earlier, settings) = (stage.options.earlier.clone(), stage.stack.room.read(CONFIG));
    swap_agent(stage, &earlier.join(AGENT), &known_to_all(&settings)).await;
    tokio::time::sleep(work).await;
    let agent = u64::from(stage.stack.agent().runs());
    swap_agent(stage, &program(AGENT), &settings).await;
    let gate = swap_plane(stage, &earlier.join(PLANE)).await;
    tokio::time::sleep(work).await;
    let plane = u64::from(stage.stack.plane.process.runs());
    swap_plane(stage, &program(PLANE)).await;
    let gated = u64::from(gate == Gate::Refused);
    let hits = Hits::of(agent, "agent of the earlier version at work");
    hits.and(&Hits {
        count: plane.max(gated),
        proof: format!("control plane of it at work: {plane}, refused by the schema: {gated}"),
    })
}

/// What became of a control plane that was started.
#[derive(Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Refused,
}

/// Settings come after the programs that know them: these are newer than some.
fn known_to_all(settings: &str) -> String {
    let known = settings.lines().filter(|line| !line.starts_with("standbys = "));
    known.map(|line| format!("{line}\n")).collect()
}

async fn swap_agent(stage: &mut Stage, program: &std::path::Path, settings: &str) {
    let _out = stage.out(&[Part::Agent]);
    // An earlier one may have refused to run, which the count of hits tells.
    if stage.stack.agent().runs() {
        stage.stack.agent().stop().await;
    }
    stage.stack.room.write(CONFIG, settings);
    stage.stack.agent().replace_program(program);
    stage.stack.agent().start();
}

async fn swap_plane(stage: &mut Stage, program: &std::path::Path) -> Gate {
    let _out = stage.out(&[Part::Plane]);
    let process = &mut stage.stack.plane.process;
    if process.runs() {
        process.stop().await;
    }
    process.replace_program(program);
    process.start();
    let said = process.log_text().len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let ended = process.ended();
    let refused = process.log_text()[said..].contains("schema_mismatch");
    match ended {
        Some(_) if refused => {
            process.replace_program(&gk_e2e::program(PLANE));
            process.start();
            Gate::Refused
        }
        Some(_) | None => Gate::Open,
    }
}
