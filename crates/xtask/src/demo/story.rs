//! What the demo shows, step by step, and what each step has to come to.

use super::stage::Stage;
use super::transcript::{Said, Transcript};
use crate::step::{Failure, Outcome};

const TOP: &str = "SELECT c.country, count(*) AS orders, sum(o.total) AS revenue FROM orders o JOIN customers c USING (customer_id) \
                   GROUP BY c.country ORDER BY revenue DESC LIMIT 3";

/// Tells it all; the first step that is not as it should be ends it.
pub(crate) fn tell(shell: &Transcript<'_>, stage: &Stage) -> Outcome {
    begin(shell, stage);
    let session = mint(shell)?;
    read(shell)?;
    write(shell)?;
    revoke(shell, &session)?;
    refuse(shell)?;
    prove(shell, &session)
}

fn begin(shell: &Transcript<'_>, stage: &Stage) {
    let ready = &stage.ready;
    shell.comment(&format!(
        "`gk dev` runs: PostgreSQL {} on port {}, control plane on {}, an agent, and a database `app` ({:.1} s).",
        ready.postgres.version,
        ready.postgres.port,
        ready.address,
        std::time::Duration::from_millis(ready.ready_in_ms).as_secs_f64()
    ));
}

/// Asks for a session and gives its id.
fn mint(shell: &Transcript<'_>) -> Outcome<String> {
    shell
        .comment("Ask for read access to it for a quarter of an hour. The agent makes a login that nobody had before.");
    let said = shell.catch_dsn("gk session create --target pg-local --role app_read --ttl 15m --reason \"debug\"")?;
    succeeds("mint", &said)?;
    let dsn = said.stdout.trim_end();
    let whole = dsn.starts_with("postgresql://gk_") && dsn.lines().count() == 1;
    holds("mint", whole, "stdout should be one connection string and nothing else")?;
    shell.type_in("echo \"$DSN\"")?;
    let session = dsn.split_once("application_name=gk%3A").map(|(_, id)| id.split('&').next().unwrap_or(id).to_owned());
    session.ok_or_else(|| Failure::new("mint: the connection string does not name its session"))
}

fn read(shell: &Transcript<'_>) -> Outcome {
    shell.comment("It reads real tables.");
    let said = shell.type_in("psql \"$DSN\" -c \"SELECT count(*) FROM orders\"")?;
    succeeds("read", &said)?;
    holds("read", said.stdout.contains("75000"), "there should be 75000 orders")?;
    let said = shell.type_in(&format!("psql \"$DSN\" -c \"{TOP}\""))?;
    succeeds("read", &said)?;
    holds("read", said.stdout.contains("(3 rows)"), "the join should give three rows")
}

fn write(shell: &Transcript<'_>) -> Outcome {
    shell.comment("It cannot write: Postgres itself refuses, not a proxy in between.");
    let said = shell.type_in(
        "psql \"$DSN\" -c \"INSERT INTO products (sku, name, category, price) VALUES ('X-1', 'X', 'x', 1)\"",
    )?;
    holds("refused write", said.code == Some(1), "psql should fail")?;
    holds("refused write", said.stdout.contains("permission denied for table products"), "Postgres should deny it")
}

fn revoke(shell: &Transcript<'_>, session: &str) -> Outcome {
    shell.comment("In a second terminal the same login is connected, and idle.");
    let mut psql = shell.open_psql()?;
    psql.ask("SELECT current_user, now()::time(0) AS since;")?;
    shell.comment("Back in the first one: end it now.");
    let said = shell.type_in(&format!("gk session revoke {session}"))?;
    succeeds("revoke", &said)?;
    shell.comment("The open connection was cut. This is what its user sees:");
    let seen = psql.notice("SELECT count(*) FROM invoices;")?;
    let cut = seen.contains("terminating connection due to administrator command")
        || seen.contains("server closed the connection");
    holds("cut", cut, "the open connection should be closed by the server")
}

fn refuse(shell: &Transcript<'_>) -> Outcome {
    shell.comment("And the login is gone.");
    let said = shell.type_in("psql \"$DSN\" -c \"SELECT 1\"")?;
    holds("refused login", said.code == Some(2), "psql should not get in")?;
    holds("refused login", said.stdout.contains("password authentication failed"), "Postgres should know no such login")
}

fn prove(shell: &Transcript<'_>, session: &str) -> Outcome {
    shell.comment("What happened, and who wanted it, is in the audit log.");
    let said = shell.type_in(&format!("gk audit tail --session {session}"))?;
    succeeds("audit", &said)?;
    for action in ["session.requested", "session.created", "session.ending", "session.cut", "session.cleaned"] {
        holds("audit", said.stdout.contains(action), &format!("there should be a {action}"))?;
    }
    shell.comment("Each entry holds the hash of the one before: nothing was altered, moved or taken out.");
    succeeds("verify", &shell.type_in("gk audit verify")?)?;
    shell.comment("Nothing is left that should be gone; cron can ask this every five minutes.");
    succeeds("cleanup", &shell.type_in("gk cleanup check")?)
}

fn succeeds(step: &str, said: &Said) -> Outcome {
    holds(step, said.code == Some(0), &format!("the command should succeed, but ended with {:?}", said.code))
}

fn holds(step: &str, holds: bool, should: &str) -> Outcome {
    if holds { Ok(()) } else { Err(Failure::new(format!("{step}: {should}"))) }
}
