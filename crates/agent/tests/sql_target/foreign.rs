//! Roles that somebody else made, dropped, renamed or brought back: never adopted, never dropped, always seen.

use crate::lab::{Lab, Mint, SOON, Session, refusal, refusal_text};
use gk_testkit::{Version, eventually};

on_both_lines!(
    a_role_that_somebody_else_made_is_never_adopted,
    a_role_made_anew_under_a_minted_name_is_not_touched,
    a_role_dropped_by_hand_closes_its_session,
    a_session_whose_role_was_dropped_by_hand_is_cut,
    a_role_dropped_under_its_sessions_is_not_called_gone,
    a_renamed_role_is_still_cut_but_not_dropped,
    what_a_dba_changes_on_a_role_lengthens_no_session,
    a_role_found_without_a_row_is_ended_after_its_own_expiry,
    a_role_of_another_database_is_that_databases_business,
);

pub(crate) async fn a_role_that_somebody_else_made_is_never_adopted(version: Version) {
    let lab = Lab::new(version).await;
    let session = Session::new();
    lab.dba.batch_execute(&format!("CREATE ROLE {} LOGIN", session.role)).await.unwrap();
    let text = refusal_text(lab.mint(&session, &Mint::default()).await);
    assert!(text.contains("did not make it") && !text.contains("SCRAM"), "{text}");
    assert_eq!(refusal(lab.mint(&session, &Mint::default()).await), "GK003");
    assert_eq!(refusal(lab.kill(&session).await), "42501");
    assert_eq!(refusal(lab.reap(&session).await), "42501");
    let (state, armed, _, detail) = lab.observed(&session).await.unwrap();
    assert_eq!((state.as_str(), armed), ("orphan", true));
    assert!(detail.contains("somebody else"), "{detail}");

    assert_eq!(lab.disarm(&session, 1).await.unwrap(), "absent", "nothing of ours; the tombstone stands");
    lab.sweep().await;
    assert!(lab.truth(&format!("SELECT rolcanlogin FROM pg_roles WHERE rolname = '{}'", session.role)).await);
    lab.dba.batch_execute(&format!("DROP ROLE {}", session.role)).await.unwrap();
    assert_eq!(refusal(lab.mint(&session, &Mint::default()).await), "GK001");
}

pub(crate) async fn a_role_made_anew_under_a_minted_name_is_not_touched(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    lab.dba.batch_execute(&format!("DROP ROLE {0}; CREATE ROLE {0} LOGIN", session.role)).await.unwrap();
    assert_eq!(refusal(lab.mint(&session, &Mint::generation(2)).await), "GK004");
    assert_eq!(refusal(lab.disarm(&session, 2).await), "GK004");
    assert_eq!(lab.observed(&session).await.unwrap().0, "replaced");
    lab.dba.batch_execute("UPDATE gk.fence SET ends_at = clock_timestamp()").await.unwrap();
    assert_eq!(lab.sweep().await[0].1, "failed");
    assert!(lab.truth(&format!("SELECT rolcanlogin FROM pg_roles WHERE rolname = '{}'", session.role)).await);
    lab.dba.batch_execute(&format!("DROP ROLE {}", session.role)).await.unwrap();
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "dropped", "it closes once the stranger is gone");
}

pub(crate) async fn a_role_dropped_by_hand_closes_its_session(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    lab.dba.batch_execute(&format!("DROP ROLE {}", session.role)).await.unwrap();
    assert_eq!(refusal(lab.mint(&session, &Mint::generation(2)).await), "GK004", "never made again in silence");
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "dropped");
    assert_eq!(lab.observed(&session).await, None);
}

pub(crate) async fn a_session_whose_role_was_dropped_by_hand_is_cut(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    lab.dba.batch_execute(&format!("DROP ROLE {}", session.role)).await.unwrap();
    user.batch_execute("SELECT 1").await.expect("Postgres lets the session of a dropped role go on");
    let zombies = lab.agent.query("SELECT session, signalled FROM gk.zombies()", &[]).await.unwrap();
    assert_eq!((zombies[0].get::<_, String>(0), zombies[0].get::<_, bool>(1)), (session.id.clone(), true));
    lab.disarm(&session, 2).await.unwrap();
    lab.cut(&session).await;
    assert!(user.batch_execute("SELECT 1").await.is_err());
    lab.reaped(&session, "dropped").await;
}

pub(crate) async fn a_role_dropped_under_its_sessions_is_not_called_gone(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    lab.dba.batch_execute(&format!("DROP ROLE {}", session.role)).await.unwrap();
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed", "somebody is in");
    lab.cut(&session).await;
    assert!(user.batch_execute("SELECT 1").await.is_err());
    lab.reaped(&session, "dropped").await;
}

pub(crate) async fn a_renamed_role_is_still_cut_but_not_dropped(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    lab.dba.batch_execute(&format!("ALTER ROLE {} RENAME TO kept_by_dba", session.role)).await.unwrap();
    assert_eq!(refusal(lab.mint(&session, &Mint::generation(2)).await), "GK004");
    assert_eq!(lab.disarm(&session, 2).await.unwrap(), "disarmed");
    lab.cut(&session).await;
    assert!(user.batch_execute("SELECT 1").await.is_err());
    let detail = lab.reaped(&session, "stuck").await;
    assert!(detail.contains("renamed to kept_by_dba") && detail.contains("DROP ROLE kept_by_dba"), "{detail}");
    assert!(lab.truth("SELECT NOT rolcanlogin FROM pg_roles WHERE rolname = 'kept_by_dba'").await);
    lab.dba.batch_execute(&format!("ALTER ROLE kept_by_dba RENAME TO {}", session.role)).await.unwrap();
    lab.reaped(&session, "dropped").await;
}

/// As after a restore of the database, which brings an older fence but not older roles.
pub(crate) async fn a_role_found_without_a_row_is_ended_after_its_own_expiry(version: Version) {
    let lab = Lab::new(version).await;
    let (old, new) = (lab.minted(&Mint::ttl("1 second")).await, lab.minted(&Mint::default()).await);
    lab.dba.batch_execute("DELETE FROM gk.fence").await.unwrap();
    assert_eq!(lab.observed(&new).await.unwrap().0, "orphan");
    lab.swept(&old, "disarmed").await;
    lab.swept(&old, "dropped").await;
    assert!(lab.login(&new).await.is_ok(), "whose time is not over is left alone");
    assert_eq!(refusal(lab.mint(&new, &Mint::default()).await), "GK003", "but it is not taken over");
    lab.end(&new).await;
}

pub(crate) async fn a_role_of_another_database_is_that_databases_business(version: Version) {
    let lab = Lab::new(version).await;
    lab.pg.create_database("second").await;
    let second = lab.pg.superuser("second").await;
    second.batch_execute(&crate::lab::script(&crate::lab::options())).await.unwrap();
    let session = lab.minted(&Mint::default()).await;
    let rows = second.query("SELECT session FROM gk.observe()", &[]).await.unwrap();
    assert!(rows.is_empty(), "{} rows", rows.len());
    let answer: String = second.query_one("SELECT gk.disarm($1, 9)", &[&session.id]).await.unwrap().get(0);
    assert_eq!(answer, "absent");
    assert!(lab.login(&session).await.is_ok());
    let cleaned = second.query_one("SELECT gk.clean_here($1)", &[&session.id]).await;
    assert_eq!(refusal(cleaned.map(drop)), "42501", "only what is disarmed");
}

/// Its end stands in the helpers' own books; what the role says is only Postgres's part of it.
async fn what_a_dba_changes_on_a_role_lengthens_no_session(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::ttl("2 seconds")).await;
    let change =
        format!("ALTER ROLE {} VALID UNTIL 'infinity' CONNECTION LIMIT -1 PASSWORD 'of-the-dba'", session.role);
    lab.dba.batch_execute(&change).await.unwrap();
    let theirs = session.with_secret("of-the-dba");
    let user = lab.login(&theirs).await.expect("the DBA let him in");
    lab.swept(&session, "disarmed").await;
    eventually(SOON, "he is cut", async || user.is_closed().then_some(()).ok_or("connected")).await;
    assert!(lab.login(&theirs).await.is_err());
    // And arms it again.
    let again =
        format!("ALTER ROLE {} LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity' PASSWORD 'of-the-dba'", session.role);
    lab.dba.batch_execute(&again).await.unwrap();
    lab.swept(&session, "disarmed").await;
    assert!(lab.login(&theirs).await.is_err());
    lab.swept(&session, "dropped").await;
}
