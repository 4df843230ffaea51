//! Scenes that would show a bug, each with that bug or without.

use futures_util::future::LocalBoxFuture;
use gk_e2e::User;
use gk_shared::ids::SessionId;
use gk_torture::judge::Invariant;
use gk_torture::oracle::Credential;
use gk_torture::part::Part;
use gk_torture::settle;
use gk_torture::sight::ledger_sight;
use gk_torture::stage::Stage;
use gk_torture::wire::Weather;
use gk_torture::workload::{Made, Wish};
use std::io::Write as _;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);

/// A scene.
pub(crate) struct Scene {
    /// What it is called.
    pub(crate) name: &'static str,
    /// The invariant that its bug breaks.
    pub(crate) invariant: Invariant,
    /// Plays it, with the bug or without.
    pub(crate) play: for<'a> fn(&'a mut Stage, bug: bool) -> LocalBoxFuture<'a, ()>,
}

macro_rules! scenes {
    ($($invariant:ident: $play:ident,)*) => {
        &[$(Scene {
            name: stringify!($play),
            invariant: Invariant::$invariant,
            play: |stage, bug| Box::pin($play(stage, bug)),
        },)*]
    };
}

/// One for each invariant at least. The last ones leave the agent behind in a state that none of the others would like.
pub(crate) const SCENES: &[Scene] = scenes! {
    I2: nobody_cuts,
    I3: key_sent_twice,
    I4: login_left_on,
    I4: stock_armed,
    I5: ledger_loses,
    I5: nobody_looks,
    I6: stale_mint,
    I7: event_taken_out,
    I7: given_unlogged,
    I8: password_in_a_log,
    I9: error_without_code,
    I10: table_dropped,
    I11: revoke_acknowledged,
    I12: locked_out,
    I1: all_dead,
};

/// A session with its credential.
async fn session(stage: &Stage, role: &'static str, ttl: u32) -> (SessionId, String) {
    let caller = stage.caller();
    let wish = Wish { key: format!("scene-{}", stage.bench.now().as_micros()), role, ttl };
    let session = caller.ask_until(&wish, PATIENCE).await.expect("a session is given");
    let dsn = caller.credential(session, PATIENCE).await.expect("a credential comes");
    (session, dsn)
}

async fn logged_in(stage: &Stage, role: &'static str, ttl: u32) -> (SessionId, User) {
    let (id, dsn) = session(stage, role, ttl).await;
    (id, stage.bench.login(id, &dsn).await.expect("the login works"))
}

async fn on_target(stage: &Stage, bug: bool, sql: &str) {
    assert!(!bug || stage.target_hand().run(sql).await, "the bug cannot be planted: {sql}");
}

async fn on_ledger(stage: &Stage, bug: bool, sql: &str) {
    assert!(!bug || stage.ledger_eye().run(sql).await, "the bug cannot be planted: {sql}");
}

/// Long enough for the judge to find out.
async fn watched(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

async fn nobody_cuts(stage: &mut Stage, bug: bool) {
    let lie = "CREATE OR REPLACE FUNCTION gk.signal(p_oid oid) RETURNS int LANGUAGE sql AS 'SELECT 0'";
    on_target(stage, bug, lie).await;
    let (id, user) = logged_in(stage, "app_read", 120).await;
    stage.caller().revoke(id, PATIENCE).await;
    watched(5).await;
    drop(user);
}

async fn key_sent_twice(stage: &mut Stage, bug: bool) {
    let forget = "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.key := NEW.key || (random() * 1e9)::int; RETURN NEW; END $$;
        CREATE TRIGGER forget BEFORE INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION forget()";
    on_ledger(stage, bug, forget).await;
    let wish = Wish { key: "sent-twice-1".to_owned(), role: "app_read", ttl: 60 };
    for _ in 0..2 {
        stage.caller().ask_until(&wish, PATIENCE).await.expect("a session is given");
    }
}

async fn login_left_on(stage: &mut Stage, bug: bool) {
    let lies =
        "CREATE OR REPLACE FUNCTION gk.shut(p_oid oid, p_tries int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
        CREATE OR REPLACE FUNCTION gk.try_drop(f gk.fence) RETURNS TABLE (outcome text, detail text) LANGUAGE sql
        AS $$ SELECT 'stuck'::text, 'a bug'::text $$";
    on_target(stage, bug, lies).await;
    let (id, _) = session(stage, "app_read", 120).await;
    stage.caller().revoke(id, PATIENCE).await;
    watched(6).await;
}

/// The roles that are made ahead of need are made with LOGIN.
async fn stock_armed(stage: &mut Stage, bug: bool) {
    let armed = "DO $$ BEGIN EXECUTE replace(pg_get_functiondef('gk.create_spare'::regproc),
        'CREATE ROLE %I NOLOGIN', 'CREATE ROLE %I LOGIN'); END $$";
    on_target(stage, bug, armed).await;
    let spares = async |stage: &Stage| stage.target_eye().look().await.map_or(0, |sight| sight.spares.len());
    // Whoever gets one has the next one made.
    session(stage, "app_read", 60).await;
    let begun = Instant::now();
    while spares(stage).await == 0 {
        assert!(begun.elapsed() < PATIENCE, "no role is made ahead");
        tokio::time::sleep(POLL).await;
    }
    watched(2).await;
}

async fn ledger_loses(stage: &mut Stage, bug: bool) {
    let (id, _) = session(stage, "app_read", 60).await;
    let id = id.uuid();
    let lose = format!(
        "DELETE FROM jobs WHERE session_id = '{id}'; DELETE FROM idempotency_keys WHERE session_id = '{id}';
         DELETE FROM sessions WHERE id = '{id}'"
    );
    on_ledger(stage, bug, &lose).await;
    settle::examine(stage, false).await;
}

/// A session ends while the control plane is down, and with the bug it does not see it when it is back.
async fn nobody_looks(stage: &mut Stage, bug: bool) {
    let (id, _) = session(stage, "app_read", 5).await;
    let uuid = id.uuid();
    let blind = format!(
        "CREATE FUNCTION blind() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER blind BEFORE UPDATE ON sessions FOR EACH ROW
         WHEN (OLD.id = '{uuid}' AND NEW.desired = 'absent') EXECUTE FUNCTION blind()"
    );
    {
        let _out = stage.out(&[Part::Plane]);
        stage.stack.plane.process.kill9();
        on_ledger(stage, bug, &blind).await;
        watched(6).await;
        stage.stack.plane.process.start();
        stage.stack.plane.answers().await;
    }
    let over = format!("SELECT 1 FROM sessions WHERE id = '{uuid}' AND ended_at IS NOT NULL");
    let (mut eye, begun) = (stage.ledger_eye(), Instant::now());
    while eye.ask(&over).await.is_none_or(|rows| rows.is_empty()) && begun.elapsed() < PATIENCE / 2 {
        tokio::time::sleep(POLL).await;
    }
    is_in_the_books_as_over(stage, id).await;
}

/// Ends what other scenes have left, and holds the ledger against what is over.
async fn is_in_the_books_as_over(stage: &mut Stage, id: SessionId) {
    let (mut eye, begun) = (stage.ledger_eye(), Instant::now());
    loop {
        let sight = ledger_sight(&mut eye).await.expect("the ledger answers");
        let others = sight.sessions.iter().filter(|(other, session)| **other != id && !session.ended);
        let others: Vec<SessionId> = others.map(|(other, _)| *other).collect();
        if others.is_empty() || begun.elapsed() > PATIENCE {
            return settle::examine(stage, true).await;
        }
        for other in others {
            stage.caller().revoke(other, PATIENCE).await;
        }
        watched(1).await;
    }
}

/// A worker of long ago comes back with another password. The target refuses it, unless its fence is gone.
async fn stale_mint(stage: &mut Stage, bug: bool) {
    let open =
        "CREATE OR REPLACE FUNCTION gk.check_alive(f gk.fence, p_gen bigint) RETURNS void LANGUAGE sql AS 'SELECT'";
    on_target(stage, bug, open).await;
    let (id, _) = session(stage, "app_read", 60).await;
    // The judge has to have seen the password that was delivered.
    watched(1).await;
    let mint = format!(
        "SELECT gk.mint(session, 1, pack, pack_version, pack_digest, subject,
                (SELECT rolpassword FROM pg_authid WHERE rolname = 'gk_agent'), '60 s', clock_timestamp() + '9 s', conn_limit)
           FROM gk.fence WHERE session = '{id}'"
    );
    let done = stage.target_hand().run(&mint).await;
    assert_eq!(done, bug, "a stale generation is let through by a bug only");
    watched(1).await;
}

async fn event_taken_out(stage: &mut Stage, bug: bool) {
    let (id, _) = session(stage, "app_read", 60).await;
    let take = format!(
        "ALTER TABLE audit_events DISABLE TRIGGER ALL;
         DELETE FROM audit_events WHERE object = '{id}' AND action = 'session.created'"
    );
    on_ledger(stage, bug, &take).await;
    settle::examine(stage, false).await;
}

/// The ledger takes events and keeps none of them, without a word.
async fn given_unlogged(stage: &mut Stage, bug: bool) {
    let swallow = "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER swallow BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION swallow()";
    on_ledger(stage, bug, swallow).await;
    session(stage, "app_read", 60).await;
    settle::examine(stage, false).await;
}

async fn password_in_a_log(stage: &mut Stage, bug: bool) {
    let (_, dsn) = session(stage, "app_read", 60).await;
    if bug {
        let mut log =
            std::fs::OpenOptions::new().append(true).open(stage.stack.plane.process.log_path()).expect("it is there");
        writeln!(log, "DEBUG opened {dsn}").expect("it can be written");
    }
    settle::nobody_gets_in(stage).await;
}

async fn error_without_code(stage: &mut Stage, bug: bool) {
    let broken = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops";
    let _spell = bug.then(|| stage.wires.client_plane.weather(Weather::Answers(broken)));
    let wish = Wish { key: "an-error-1".to_owned(), role: "app_read", ttl: 60 };
    stage.caller().ask(&wish, "").await;
}

async fn table_dropped(stage: &mut Stage, bug: bool) {
    let drops = "CREATE OR REPLACE FUNCTION gk.hand_on(p_role name) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN PERFORM gk.own(p_role); EXECUTE format('DROP OWNED BY %I', p_role); END $$";
    on_target(stage, bug, drops).await;
    let (id, user) = logged_in(stage, "app_write", 60).await;
    let made = Made { name: format!("made_{}", stage.bench.now().as_micros()), rows: 3 };
    let sql = format!("CREATE TABLE {} AS SELECT generate_series(1, 3) AS a", made.name);
    user.client.batch_execute(&sql).await.expect("users may create here");
    stage.things.add(made);
    stage.caller().revoke(id, PATIENCE).await;
    is_gone(stage, id).await;
    settle::examine(stage, false).await;
}

async fn is_gone(stage: &Stage, id: SessionId) {
    let (mut eye, begun) = (stage.target_eye(), Instant::now());
    while eye.look().await.is_none_or(|sight| sight.roles.contains_key(&id)) {
        assert!(begun.elapsed() < PATIENCE, "{id} is not dropped");
        tokio::time::sleep(POLL).await;
    }
}

async fn revoke_acknowledged(stage: &mut Stage, bug: bool) {
    let (id, _) = session(stage, "app_read", 120).await;
    let good = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
    {
        let _spell = bug.then(|| stage.wires.client_plane.weather(Weather::Answers(good)));
        stage.caller().revoke(id, PATIENCE).await;
    }
    watched(6).await;
}

/// Somebody changes the agent's password, and with the bug nobody changes it back.
async fn locked_out(stage: &mut Stage, bug: bool) {
    let rows = stage.target_hand().ask("SELECT rolpassword FROM pg_authid WHERE rolname = 'gk_agent'").await;
    let right: String = rows.expect("the target answers")[0].get(0);
    let wrong = "ALTER ROLE gk_agent PASSWORD 'changed';
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gk_agent'";
    {
        let _out = stage.out(&[Part::AgentToTarget]);
        on_target(stage, true, wrong).await;
        watched(1).await;
        on_target(stage, !bug, &format!("ALTER ROLE gk_agent PASSWORD '{right}'")).await;
    }
    let patience = if bug { Duration::from_secs(3) } else { PATIENCE * 3 };
    settle::recover_within(stage, "a-changed-password", patience).await;
}

/// Every process of ours is dead: Postgres alone refuses the login, if the role was given an end.
async fn all_dead(stage: &mut Stage, bug: bool) {
    let endless = "CREATE OR REPLACE FUNCTION gk.stamp(p_at timestamptz) RETURNS text LANGUAGE sql AS $$ SELECT 'infinity'::text $$";
    on_target(stage, bug, endless).await;
    let (id, dsn) = session(stage, "app_read", 5).await;
    // The judge has to have seen the end.
    watched(1).await;
    let _out = stage.out(&[Part::Agent, Part::Plane]);
    stage.stack.plane.process.kill9();
    stage.stack.agent().kill9();
    // The deadman goes on without the agent.
    on_target(stage, true, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'gk_agent'").await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(7) {
        drop(stage.bench.login(id, &dsn).await);
        tokio::time::sleep(POLL).await;
    }
    stage.bench.vault.keep(Credential { session: id, dsn, since: stage.bench.now() });
}
