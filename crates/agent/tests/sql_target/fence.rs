//! The fence: late, stale, repeated and concurrent workers.

use crate::lab::{Lab, Mint, Minted, Session, mint, pack, refusal, refusal_text};
use gk_testkit::Version;
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;

on_both_lines!(
    a_mint_after_its_end_is_refused_for_ever,
    a_stale_generation_changes_nothing,
    a_repeated_request_gets_the_same_answer_and_never_lengthens,
    a_higher_generation_replaces_the_secret_and_keeps_the_expiry,
    other_parameters_are_refused,
    a_mint_past_its_lease_leaves_nothing,
    a_mint_that_waited_past_its_lease_leaves_nothing,
    twelve_mints_at_once_make_one_role,
    revokes_that_race_mints_leave_nobody_armed,
    a_mint_that_rolls_back_leaves_nothing,
    bad_input_is_refused_before_anything_is_made,
    the_limit_of_live_sessions_holds_but_not_for_repeats,
    a_lease_that_runs_out_on_the_way_undoes_the_work,
    an_expired_session_gets_neither_secret_nor_time,
    a_lock_that_is_held_holds_nobody_for_long,
);

pub(crate) async fn a_mint_after_its_end_is_refused_for_ever(version: Version) {
    let lab = Lab::new(version).await;
    let session = Session::new();
    assert_eq!(lab.disarm(&session, 5).await.unwrap(), "absent");
    assert_eq!(lab.disarm(&session, 5).await.unwrap(), "absent");
    for generation in [1, 5, 6, 1000] {
        assert_eq!(refusal(lab.mint(&session, &Mint::generation(generation)).await), "GK001", "{generation}");
    }
    assert_eq!(lab.kill(&session).await.unwrap(), 0);
    assert_eq!(lab.reap(&session).await.unwrap().0, "dropped");
    assert!(!lab.role_exists(&session).await);
}

pub(crate) async fn a_stale_generation_changes_nothing(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::generation(7)).await;
    let stale = session.with_secret("stale");
    assert_eq!(refusal(lab.mint(&stale, &Mint::generation(6)).await), "GK001");
    assert_eq!(refusal(lab.disarm(&session, 6).await), "GK001");
    assert!(lab.login(&stale).await.is_err());
    assert!(lab.login(&session).await.is_ok(), "the delivered secret goes on working");
    assert_eq!(lab.disarm(&session, 7).await.unwrap(), "disarmed");
    assert_eq!(lab.disarm(&session, 1).await.unwrap(), "disarmed", "ending what has ended is no news");
}

pub(crate) async fn a_repeated_request_gets_the_same_answer_and_never_lengthens(version: Version) {
    let lab = Lab::new(version).await;
    let session = Session::new();
    let first = lab.mint(&session, &Mint::default()).await.unwrap();
    assert_eq!((first.role.as_str(), first.outcome.as_str()), (session.role.as_str(), "created"));
    assert_eq!(lab.mint(&session, &Mint::default()).await.unwrap(), first);
    assert_eq!(lab.mint(&session, &Mint::ttl("4 hours")).await.unwrap(), first);
    assert!(lab.login(&session).await.is_ok());
}

pub(crate) async fn a_higher_generation_replaces_the_secret_and_keeps_the_expiry(version: Version) {
    let lab = Lab::new(version).await;
    let session = Session::new();
    let first = lab.mint(&session, &Mint::default()).await.unwrap();
    let next = session.with_secret("next");
    let again = lab.mint(&next, &Mint { generation: 2, ttl: "1 hour", ..Mint::default() }).await.unwrap();
    assert_eq!((again.until, again.outcome.as_str()), (first.until, "rearmed"));
    assert!(lab.login(&session).await.is_err());
    assert!(lab.login(&next).await.is_ok());
}

pub(crate) async fn other_parameters_are_refused(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    for other in [
        Mint { subject: "mallory", ..Mint::generation(2) },
        Mint { pack: pack("app_write"), ..Mint::generation(2) },
        Mint { conn_limit: Some(1), ..Mint::generation(2) },
    ] {
        assert_eq!(refusal(lab.mint(&session, &other).await), "GK005");
    }
    assert!(lab.login(&session).await.is_ok());
}

pub(crate) async fn a_mint_past_its_lease_leaves_nothing(version: Version) {
    let lab = Lab::new(version).await;
    let session = Session::new();
    for lease in ["0 seconds", "-1 second", "-infinity"] {
        let lease = if lease == "-infinity" { "-100 years" } else { lease };
        assert_eq!(refusal(lab.mint(&session, &Mint { lease, ..Mint::default() }).await), "GK002", "{lease}");
    }
    assert!(!lab.role_exists(&session).await);
    assert!(lab.mint(&session, &Mint::default()).await.is_ok(), "the next worker may");
    let late = session.with_secret("late");
    assert_eq!(refusal(lab.mint(&late, &Mint { lease: "-1 second", ..Mint::generation(2) }).await), "GK002");
    assert!(lab.login(&late).await.is_err());
}

pub(crate) async fn a_mint_that_waited_past_its_lease_leaves_nothing(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let late = session.with_secret("late");
    lab.dba.batch_execute("BEGIN").await.unwrap();
    let lock = "SELECT FROM gk.fence WHERE session = $1 FOR UPDATE";
    lab.dba.query(lock, &[&session.id]).await.unwrap();
    let agent = lab.another_agent().await;
    let waiting = {
        let late = late.with_secret("late");
        tokio::spawn(
            async move { mint(&agent, &late, &Mint { lease: "300 milliseconds", ..Mint::generation(2) }).await },
        )
    };
    lab.dba.batch_execute("SELECT pg_sleep(0.5); COMMIT").await.unwrap();
    assert_eq!(refusal(waiting.await.unwrap()), "GK002");
    assert!(lab.login(&late).await.is_err());
    assert!(lab.login(&session).await.is_ok());
}

pub(crate) async fn twelve_mints_at_once_make_one_role(version: Version) {
    let lab = Lab::new(version).await;
    let session = Session::new();
    let mut tasks = JoinSet::new();
    for _ in 0..12 {
        let (agent, same) = (lab.another_agent().await, session.with_secret(&session.password));
        tasks.spawn(async move { patiently(&agent, &same).await });
    }
    let answers = tasks.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.outcome == "created").count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.until == answers[0].until));
    assert!(lab.login(&session).await.is_ok());
}

/// A worker that tries again when it had to wait too long for the others, as the agent does.
async fn patiently(agent: &tokio_postgres::Client, session: &Session) -> Minted {
    loop {
        match mint(agent, session, &Mint::default()).await {
            Ok(minted) => return minted,
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Every session is minted and ended by workers that know nothing of each other; no order may leave a login.
pub(crate) async fn revokes_that_race_mints_leave_nobody_armed(version: Version) {
    let lab = Lab::new(version).await;
    let sessions: Vec<Session> = (0..40).map(|_| Session::new()).collect();
    let mut tasks = JoinSet::new();
    for worker in 0..4 {
        let agent = lab.another_agent().await;
        let mine: Vec<Session> = sessions.iter().map(|session| session.with_secret("race")).collect();
        tasks.spawn(async move {
            for (number, session) in mine.iter().enumerate() {
                if (number + worker) % 2 == 0 {
                    drop(mint(&agent, session, &Mint::generation(1)).await);
                } else {
                    drop(agent.query_one("SELECT gk.disarm($1, 2)", &[&session.id]).await);
                }
            }
        });
    }
    tasks.join_all().await;
    let armed = "SELECT count(*) FROM gk.observe() WHERE armed";
    assert_eq!(lab.agent.query_one(armed, &[]).await.unwrap().get::<_, i64>(0), 0);
    for session in &sessions {
        assert_eq!(refusal(lab.mint(session, &Mint::generation(1)).await), "GK001");
        assert!(lab.login(&session.with_secret("race")).await.is_err());
    }
}

pub(crate) async fn a_mint_that_rolls_back_leaves_nothing(version: Version) {
    let lab = Lab::new(version).await;
    let session = Session::new();
    lab.agent.batch_execute("BEGIN").await.unwrap();
    lab.mint(&session, &Mint::default()).await.unwrap();
    lab.agent.batch_execute("ROLLBACK").await.unwrap();
    assert!(!lab.role_exists(&session).await);
    assert_eq!(lab.observed(&session).await, None);
    assert_eq!(lab.mint(&session, &Mint::default()).await.unwrap().outcome, "created");
}

pub(crate) async fn bad_input_is_refused_before_anything_is_made(version: Version) {
    let lab = Lab::new(version).await;
    let good = Session::new();
    for ttl in ["0", "-1 hour", "4 hours 1 microsecond", "1 month -30 days", "100 years", "10 years"] {
        assert_eq!(refusal(lab.mint(&good, &Mint::ttl(ttl)).await), "22023", "{ttl}");
    }
    for generation in [0, -1, i64::MIN] {
        assert_eq!(refusal(lab.mint(&good, &Mint::generation(generation)).await), "22023", "{generation}");
        assert_eq!(refusal(lab.disarm(&good, generation).await), "22023", "{generation}");
    }
    let long: &'static str = "x".repeat(201).leak();
    for subject in ["", long] {
        assert_eq!(refusal(lab.mint(&good, &Mint { subject, ..Mint::default() }).await), "22023", "{subject}");
    }
    for verifier in bad_verifiers(&good.verifier) {
        let bad = Session { verifier: verifier.clone(), ..good.with_secret("x") };
        let result = lab.mint(&bad, &Mint::default()).await;
        let text = refusal_text(result);
        assert!(text.contains("verifier") && !text.contains("hunter2"), "{verifier:?}: {text}");
        assert_eq!(refusal(lab.mint(&bad, &Mint::default()).await), "22023", "{verifier:?}: {text}");
    }
    for id in bad_session_ids(&good.id) {
        let bad = Session { id: id.clone(), ..good.with_secret("x") };
        assert_eq!(refusal(lab.mint(&bad, &Mint::default()).await), "22023", "{id:?}");
        assert_eq!(refusal(lab.disarm(&bad, 1).await), "22023", "{id:?}");
        assert_eq!(refusal(lab.kill(&bad).await), "22023", "{id:?}");
        assert_eq!(refusal(lab.reap(&bad).await), "22023", "{id:?}");
    }
    assert!(lab.truth("SELECT count(*) = 0 FROM gk.fence").await);
    assert!(lab.truth("SELECT count(*) = 0 FROM pg_roles WHERE rolname ~ '^gk_[0-9a-z]{26}'").await);
}

fn bad_verifiers(good: &str) -> Vec<String> {
    let mut bad: Vec<String> = ["hunter2", "", "md500000000000000000000000000000000", "SCRAM-SHA-256$4096:notb64!$x:y"]
        .map(str::to_owned)
        .to_vec();
    bad.extend([format!(" {good}"), format!("{good}\n"), format!("{good}'"), good.to_lowercase()]);
    for count in ["1", "4095", "20001", "0", "-5", "04096", "999999", "4294967297"] {
        bad.push(good.replace("$4096:", &format!("${count}:")));
    }
    bad.extend(bad_parts(good));
    bad
}

/// A part that is too short or too long by one, and two that make up for each other.
fn bad_parts(good: &str) -> Vec<String> {
    let parts: Vec<&str> = good.split('$').collect();
    let [name, head, keys] = parts[..] else { panic!("{good}") };
    let ((rounds, salt), (stored, server)) = (head.split_once(':').unwrap(), keys.split_once(':').unwrap());
    let of_salt = |salt: String| format!("{name}${rounds}:{salt}${keys}");
    let of_keys = |stored: String, server: String| format!("{name}${head}${stored}:{server}");
    vec![
        of_salt("A".repeat(21)),
        of_salt("A".repeat(87)),
        of_salt(format!("{}===", salt.trim_end_matches('='))),
        of_salt(String::new()),
        of_keys(format!("A{stored}"), server.to_owned()),
        of_keys(stored.to_owned(), server[1..].to_owned()),
        of_keys(format!("A{stored}"), server[1..].to_owned()),
        of_keys(stored[1..].to_owned(), format!("A{server}")),
        of_keys(stored.replace('=', "A"), server.to_owned()),
        of_keys(stored.to_owned(), server.replace('=', "")),
    ]
}

fn bad_session_ids(good: &str) -> Vec<String> {
    let mut bad: Vec<String> =
        ["", "sess_", "gk_owner", "postgres", "req_01ARZ3NDEKTSV4RRFFQ69G5FAV"].map(str::to_owned).to_vec();
    bad.extend([good.to_lowercase(), format!("{good}\n"), format!("{good}0"), good.replace("01ARZ", "01ILO")]);
    bad.push(good[..good.len() - 1].to_owned());
    bad.push(good.replace("01ARZ3NDE", "\"; DROP -"));
    bad
}

pub(crate) async fn the_limit_of_live_sessions_holds_but_not_for_repeats(version: Version) {
    let lab = Lab::new(version).await;
    lab.dba.batch_execute("UPDATE gk.pack SET max_live = 1 WHERE name = 'app_read'").await.unwrap();
    let session = lab.minted(&Mint::default()).await;
    let other = Session::new();
    assert_eq!(refusal(lab.mint(&other, &Mint::default()).await), "53400");
    assert!(!lab.role_exists(&other).await);
    assert_eq!(lab.mint(&session, &Mint::generation(2)).await.unwrap().outcome, "rearmed");
    lab.end(&session).await;
    assert!(lab.mint(&other, &Mint::default()).await.is_ok(), "an ended session makes room");
}

/// Starts a mint whose lease lasts 300 ms and which has to wait for the DBA's open transaction.
async fn mint_that_waits(lab: &Lab, session: &Session, generation: i64) -> String {
    let (agent, same) = (lab.another_agent().await, session.with_secret("waits"));
    let how = Mint { lease: "300 milliseconds", ..Mint::generation(generation) };
    let waiting = tokio::spawn(async move { mint(&agent, &same, &how).await });
    lab.dba.batch_execute("SELECT pg_sleep(0.6); ROLLBACK").await.unwrap();
    refusal(waiting.await.unwrap())
}

pub(crate) async fn a_lease_that_runs_out_on_the_way_undoes_the_work(version: Version) {
    let lab = Lab::new(version).await;
    // It waits where the role's row is, behind the look at its lease.
    let known = lab.minted(&Mint::default()).await;
    lab.dba.batch_execute(&format!("BEGIN; ALTER ROLE {} CONNECTION LIMIT 2", known.role)).await.unwrap();
    assert_eq!(mint_that_waits(&lab, &known, 2).await, "GK002");
    assert!(lab.login(&known.with_secret("waits")).await.is_err());
    assert!(lab.login(&known).await.is_ok(), "the delivered secret goes on working");
    // And where the fence's row is made.
    let new = Session::new();
    let tombstone = "INSERT INTO gk.fence (session, gen, state, role_name, closed_at)
        SELECT $1, 1, 'closed', lower('gk_' || substr($1, 6))::name, now()";
    lab.dba.batch_execute("BEGIN").await.unwrap();
    lab.dba.execute(tombstone, &[&new.id]).await.unwrap();
    assert_eq!(mint_that_waits(&lab, &new, 1).await, "GK002");
    assert!(!lab.role_exists(&new).await);
}

pub(crate) async fn an_expired_session_gets_neither_secret_nor_time(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    lab.dba.batch_execute("UPDATE gk.fence SET ends_at = clock_timestamp() - interval '1 second'").await.unwrap();
    assert_eq!(refusal(lab.mint(&session.with_secret("late"), &Mint::generation(2)).await), "GK001");
    let extend = "SELECT * FROM gk.extend($1, 3, clock_timestamp() + interval '1 hour', 'infinity')";
    assert_eq!(refusal(lab.agent.query_one(extend, &[&session.id]).await), "GK001");
    assert!(lab.login(&session.with_secret("late")).await.is_err());
}

/// Whoever holds a row of the fence, a DBA in a forgotten transaction: every worker says so and goes on with others.
pub(crate) async fn a_lock_that_is_held_holds_nobody_for_long(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    lab.dba.batch_execute("BEGIN; SELECT FROM gk.fence FOR UPDATE").await.unwrap();
    let mut tasks = JoinSet::new();
    for call in [
        "SELECT gk.disarm($1, 2)",
        "SELECT * FROM gk.reap($1)",
        "SELECT * FROM gk.extend($1, 2, now() + interval '1 hour', 'infinity')",
    ] {
        let (agent, id) = (lab.another_agent().await, session.id.clone());
        tasks.spawn(async move { refusal(agent.query_one(call, &[&id]).await) });
    }
    let (agent, again) = (lab.another_agent().await, session.with_secret("again"));
    tasks.spawn(async move { refusal(mint(&agent, &again, &Mint::generation(2)).await) });
    let answers = tokio::time::timeout(crate::lab::SOON, tasks.join_all()).await.expect("nobody waits for ever");
    assert_eq!(answers, ["55P03"; 4]);
}
