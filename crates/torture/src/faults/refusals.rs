//! F34: a target that refuses the agent, in four ways.

use super::Hits;
use crate::part::Part;
use crate::sight::Eye;
use crate::stage::Stage;
use rand::rngs::StdRng;
use std::time::Duration;

const CUT: &str = "-- faults::cut
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'gk_agent'";

/// F34.
pub(super) async fn refused(stage: &mut Stage, _: &mut StdRng) -> Hits {
    let full = "ALTER ROLE gk_agent CONNECTION LIMIT 0";
    let full = meanwhile(
        stage,
        full,
        "ALTER ROLE gk_agent CONNECTION LIMIT 100",
        "too many connections for role \"gk_agent\"",
    );
    let mut hits = Hits::of(full.await, "logins too many");
    let password = verifier(stage).await;
    let wrong = "ALTER ROLE gk_agent PASSWORD 'somebody changed it'";
    let right = format!("ALTER ROLE gk_agent PASSWORD '{password}'");
    let said = "password authentication failed for user \"gk_agent\"";
    hits = hits.and(&Hits::of(meanwhile(stage, wrong, &right, said).await, "wrong passwords"));
    hits = hits.and(&Hits::of(rejected(stage).await, "logins rejected by pg_hba.conf"));
    let _out = stage.out(&[Part::Target]);
    stage.stack.target.restart().await;
    hits.and(&Hits::of(1_u32, "restart"))
}

/// With this done to the agent's login for a while, how often the server said so.
async fn meanwhile(stage: &Stage, harm: &str, mend: &str, said: &str) -> usize {
    let _out = stage.out(&[Part::AgentToTarget]);
    let before = stage.stack.target.log_text().matches(said).count();
    let mut hand = stage.target_hand();
    hand.run(harm).await;
    refuse_for_a_while(stage, &mut hand).await;
    assert!(hand.run(mend).await, "a superuser may mend what he broke");
    stage.stack.target.log_text().matches(said).count() - before
}

async fn refuse_for_a_while(stage: &Stage, hand: &mut Eye) {
    let _ = hand.ask(CUT).await;
    tokio::time::sleep(Duration::from_secs(stage.options.dose.pick(3, 10))).await;
}

async fn verifier(stage: &Stage) -> String {
    let sql = "-- faults::verifier\nSELECT rolpassword FROM pg_authid WHERE rolname = 'gk_agent'";
    let rows = stage.target_hand().ask(sql).await.expect("the target answers its superuser");
    rows[0].get(0)
}

/// A line before all others, until it is taken out again.
async fn rejected(stage: &Stage) -> usize {
    let _out = stage.out(&[Part::AgentToTarget]);
    let said = "pg_hba.conf rejects connection";
    let before = stage.stack.target.log_text().matches(said).count();
    let file = stage.stack.target.data_dir().join("pg_hba.conf");
    let lines = std::fs::read_to_string(&file).expect("every cluster has one");
    let mut hand = stage.target_hand();
    stage.stack.target.write_file("pg_hba.conf", &format!("host all gk_agent all reject\n{lines}"));
    hand.run("SELECT pg_reload_conf()").await;
    // The server takes a moment to read it.
    tokio::time::sleep(Duration::from_millis(300)).await;
    refuse_for_a_while(stage, &mut hand).await;
    stage.stack.target.write_file("pg_hba.conf", &lines);
    hand.run("SELECT pg_reload_conf()").await;
    stage.stack.target.log_text().matches(said).count() - before
}
