//! The warm stock: roles made ahead of need, harmless while they wait, used once, gone when nobody will use them.

use crate::lab::{Lab, Mint, SOON, Session, mint, pack, refusal, refusal_text};
use gk_testkit::{Version, eventually};
use tokio_postgres::Client;

on_both_lines!(
    a_session_gets_the_spare_that_has_its_secret_and_nothing_else_changes,
    a_spare_opens_nothing_and_has_no_right,
    a_mint_that_rolls_back_puts_the_spare_back,
    a_replayed_mint_gets_the_same_answer_as_without_a_stock,
    a_secret_that_rearms_a_session_leaves_no_spare_behind,
    a_session_that_has_ended_gets_no_spare,
    the_stock_is_bounded_whoever_fills_it,
    spares_go_when_the_connection_that_made_them_is_gone_or_they_are_old,
    a_spare_that_somebody_touched_is_neither_used_nor_dropped,
    a_spare_without_a_row_is_dropped,
    spares_are_no_news_to_those_who_look_and_none_of_the_live,
    a_secret_in_a_bad_form_is_refused_before_anything_is_made,
);

async fn stock(agent: &Client, verifier: &str) -> Result<String, tokio_postgres::Error> {
    Ok(agent.query_one("-- lab::stock\nSELECT gk.stock($1)", &[&verifier]).await?.get(0))
}

impl Lab {
    async fn stocked(&self) -> Session {
        let session = Session::new();
        assert_eq!(stock(&self.agent, &session.verifier).await.unwrap(), "made");
        session
    }

    async fn spares(&self) -> Vec<(String, u32)> {
        let sql = "SELECT rolname::text, oid FROM pg_roles WHERE rolname ~ '^gkspare_' ORDER BY oid";
        let rows = self.dba.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    async fn oid_of(&self, session: &Session) -> u32 {
        self.dba.query_one("SELECT oid FROM pg_roles WHERE rolname = $1", &[&session.role]).await.unwrap().get(0)
    }
}

/// Everything that Postgres knows of a minted role, without what differs from role to role.
const LIKENESS: &str = "
    SELECT concat_ws(' | ', (to_jsonb(r) - 'oid' - 'rolname' - 'rolvaliduntil')::text,
        replace(shobj_description(r.oid, 'pg_authid'), $2, 'SESSION'),
        (SELECT string_agg(to_jsonb(m)::text, ',') FROM (SELECT to_jsonb(x) - 'oid' - 'member' AS row FROM pg_auth_members x WHERE x.member = r.oid) m),
        (SELECT count(*) FROM pg_auth_members x WHERE x.roleid = r.oid),
        (SELECT (to_jsonb(f) - 'session' - 'role_name' - 'role_oid' - 'verifier_sha' - 'valid_until' - 'ends_at' - 'minted_at' - 'created_at')::text
           FROM gk.fence f WHERE f.role_oid = r.oid))
      FROM pg_roles r WHERE r.rolname = $1";

async fn a_session_gets_the_spare_that_has_its_secret_and_nothing_else_changes(version: Version) {
    let lab = Lab::new(version).await;
    let (warm, cold) = (lab.stocked().await, Session::new());
    let (_, spare) = lab.spares().await[0].clone();
    let minted = lab.mint(&warm, &Mint::default()).await.unwrap();
    assert_eq!((minted.role.as_str(), minted.outcome.as_str()), (warm.role.as_str(), "created"));
    lab.mint(&cold, &Mint::default()).await.unwrap();
    assert_eq!(lab.oid_of(&warm).await, spare, "the very role that waited");
    assert_ne!(lab.oid_of(&cold).await, spare);
    let like = async |session: &Session| {
        let row = lab.dba.query_one(LIKENESS, &[&session.role, &session.id]).await.unwrap();
        row.get::<_, String>(0)
    };
    assert_eq!(like(&warm).await, like(&cold).await);
    assert!(lab.spares().await.is_empty() && lab.truth("SELECT count(*) = 0 FROM gk.spare").await);
    let user = lab.login(&warm).await.unwrap();
    user.batch_execute("SELECT * FROM orders").await.unwrap();
    assert_eq!(refusal(user.batch_execute("DELETE FROM orders").await), "42501");
    lab.end(&warm).await;
    lab.end(&cold).await;
}

async fn a_spare_opens_nothing_and_has_no_right(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.stocked().await;
    let (name, _) = lab.spares().await[0].clone();
    let refused = lab.pg.connect(&name, &session.password, "app").await.map(drop);
    assert!(["28000", "28P01"].contains(&refusal(refused).as_str()), "neither permitted to nor in time");
    assert!(
        lab.truth(&format!("SELECT rolconnlimit = 0 AND rolvaliduntil < now() FROM pg_roles WHERE rolname = '{name}'"))
            .await
    );
    assert!(
        lab.truth(&format!("SELECT NOT EXISTS (SELECT FROM pg_auth_members WHERE member = '{name}'::regrole)")).await
    );
    assert!(lab.truth(&format!("SELECT NOT has_table_privilege('{name}', 'orders', 'SELECT')")).await);
    assert_eq!(refusal(lab.agent.batch_execute(&format!("SET ROLE {name}")).await), "42501");
    assert_eq!(refusal(lab.agent.batch_execute(&format!("ALTER ROLE {name} LOGIN")).await), "42501");
}

async fn a_mint_that_rolls_back_puts_the_spare_back(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.stocked().await;
    let before = lab.spares().await;
    lab.agent.batch_execute("BEGIN").await.unwrap();
    lab.mint(&session, &Mint::default()).await.unwrap();
    lab.agent.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(refusal(lab.mint(&session, &Mint { lease: "0 seconds", ..Mint::default() }).await), "GK002");
    assert_eq!(lab.spares().await, before);
    assert_eq!(lab.mint(&session, &Mint::default()).await.unwrap().outcome, "created");
    assert_eq!(lab.oid_of(&session).await, before[0].1);
}

async fn a_replayed_mint_gets_the_same_answer_as_without_a_stock(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.stocked().await;
    let first = lab.mint(&session, &Mint::default()).await.unwrap();
    assert_eq!(lab.mint(&session, &Mint::default()).await.unwrap(), first);
    let again = lab.mint(&session, &Mint::generation(2)).await.unwrap();
    assert_eq!((again.until, again.outcome.as_str()), (first.until, "rearmed"));
    assert_eq!(refusal(lab.mint(&session, &Mint::generation(1)).await), "GK001");
    assert!(lab.login(&session).await.is_ok());
    lab.end(&session).await;
}

async fn a_secret_that_rearms_a_session_leaves_no_spare_behind(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let oid = lab.oid_of(&session).await;
    let next = session.with_secret("next");
    assert_eq!(stock(&lab.agent, &next.verifier).await.unwrap(), "made");
    assert_eq!(lab.mint(&next, &Mint::generation(2)).await.unwrap().outcome, "rearmed");
    assert_eq!(lab.oid_of(&session).await, oid);
    assert!(lab.spares().await.is_empty());
    assert!(lab.login(&next).await.is_ok() && lab.login(&session).await.is_err());
}

async fn a_session_that_has_ended_gets_no_spare(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.stocked().await;
    assert_eq!(lab.disarm(&session, 5).await.unwrap(), "absent");
    assert_eq!(refusal(lab.mint(&session, &Mint::generation(9)).await), "GK001");
    assert!(!lab.role_exists(&session).await);
    assert_eq!(lab.spares().await.len(), 1, "another session may have it");
}

async fn the_stock_is_bounded_whoever_fills_it(version: Version) {
    let lab = Lab::new(version).await;
    lab.dba.batch_execute("UPDATE gk.setting SET value = 3 WHERE name = 'spare_limit'").await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let agent = lab.another_agent().await;
        tasks.spawn(async move {
            for _ in 0..4 {
                stock(&agent, &Session::new().verifier).await.unwrap();
            }
            agent
        });
    }
    let agents = tasks.join_all().await;
    assert!(lab.spares().await.len() <= 3);
    for _ in 0..3 {
        stock(&agents[0], &Session::new().verifier).await.unwrap();
    }
    assert_eq!(stock(&lab.agent, &Session::new().verifier).await.unwrap(), "full");
    assert_eq!(lab.spares().await.len(), 3);
    lab.dba.batch_execute("UPDATE gk.setting SET value = 0 WHERE name = 'spare_limit'").await.unwrap();
    assert_eq!(stock(&lab.agent, &Session::new().verifier).await.unwrap(), "full");
}

async fn spares_go_when_the_connection_that_made_them_is_gone_or_they_are_old(version: Version) {
    let lab = Lab::new(version).await;
    let (of_another, old, kept) = (Session::new(), lab.stocked().await, lab.stocked().await);
    let another = lab.another_agent().await;
    stock(&another, &of_another.verifier).await.unwrap();
    lab.sweep().await;
    assert_eq!(lab.spares().await.len(), 3, "who may still use them keeps them");
    let age = "UPDATE gk.spare SET made_at = made_at - interval '61 minutes'
                WHERE verifier_sha = sha256(convert_to($1, 'UTF8'))";
    assert_eq!(lab.dba.execute(age, &[&old.verifier]).await.unwrap(), 1);
    drop(another);
    eventually(SOON, "one is left", async || {
        lab.sweep().await;
        let spares = lab.spares().await;
        if spares.len() == 1 { Ok(()) } else { Err(format!("{spares:?}")) }
    })
    .await;
    lab.mint(&kept, &Mint::default()).await.unwrap();
    assert!(lab.spares().await.is_empty(), "the one that is left is the one that may be used");
    for session in [&old, &of_another] {
        lab.mint(session, &Mint::default()).await.expect("without its spare a mint makes the role as ever");
        assert!(lab.login(session).await.is_ok());
    }
}

async fn a_spare_that_somebody_touched_is_neither_used_nor_dropped(version: Version) {
    let lab = Lab::new(version).await;
    let touches = [
        "GRANT app_team TO SPARE",
        "ALTER ROLE SPARE LOGIN",
        "ALTER ROLE SPARE RENAME TO theirs",
        "ALTER ROLE SPARE CREATEDB",
    ];
    lab.dba.batch_execute("CREATE ROLE app_team").await.unwrap();
    for touch in touches {
        let session = lab.stocked().await;
        let (name, oid) = lab.spares().await.pop().unwrap();
        lab.dba.batch_execute(&touch.replace("SPARE", &name)).await.unwrap();
        lab.mint(&session, &Mint::default()).await.unwrap();
        assert_ne!(lab.oid_of(&session).await, oid, "{touch}");
        lab.dba.batch_execute("UPDATE gk.spare SET made_at = made_at - interval '61 minutes'").await.unwrap();
        lab.sweep().await;
        assert!(lab.truth(&format!("SELECT EXISTS (SELECT FROM pg_roles WHERE oid = {oid})")).await, "{touch}");
    }
    assert!(lab.truth("SELECT count(*) = 0 FROM gk.spare").await, "they take no place in the stock");
}

/// As after a restore of the database, which brings an older stock but not older roles.
async fn a_spare_without_a_row_is_dropped(version: Version) {
    let lab = Lab::new(version).await;
    lab.stocked().await;
    lab.dba.batch_execute("DELETE FROM gk.spare; CREATE ROLE gkspare_of_somebody_else").await.unwrap();
    lab.sweep().await;
    let left: Vec<String> = lab.spares().await.into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["gkspare_of_somebody_else"], "a role without our mark is not ours");
    let lost = lab.stocked().await;
    let (name, _) = lab.spares().await.pop().unwrap();
    lab.dba.batch_execute(&format!("DROP ROLE {name}; UPDATE gk.spare SET made_at = '1970-01-01'")).await.unwrap();
    lab.sweep().await;
    assert!(lab.truth("SELECT count(*) = 0 FROM gk.spare").await, "a row without its role goes as well");
    lab.mint(&lost, &Mint::default()).await.unwrap();
}

async fn spares_are_no_news_to_those_who_look_and_none_of_the_live(version: Version) {
    let lab = Lab::new(version).await;
    let doctor = "SELECT md5(string_agg(d::text, ',' ORDER BY check_name)) FROM gk.doctor() d";
    let before: String = lab.agent.query_one(doctor, &[]).await.unwrap().get(0);
    lab.dba.batch_execute("UPDATE gk.pack SET max_live = 1").await.unwrap();
    let sessions = [lab.stocked().await, lab.stocked().await];
    assert!(lab.agent.query("SELECT FROM gk.observe()", &[]).await.unwrap().is_empty());
    assert_eq!(lab.agent.query_one(doctor, &[]).await.unwrap().get::<_, String>(0), before);
    lab.mint(&sessions[0], &Mint::default()).await.expect("spares are not live");
    assert_eq!(refusal(lab.mint(&sessions[1], &Mint::default()).await), "53400");
    assert_eq!(lab.spares().await.len(), 1, "a refused mint takes none");
    let other = Mint { pack: pack("app_write"), ..Mint::default() };
    mint(&lab.agent, &sessions[1], &other).await.expect("a spare is of no pack before it is minted");
}

async fn a_secret_in_a_bad_form_is_refused_before_anything_is_made(version: Version) {
    let lab = Lab::new(version).await;
    let good = Session::new().verifier;
    for bad in ["hunter2".to_owned(), String::new(), format!("{good}\n"), good.replace("$4096:", "$1:")] {
        let text = refusal_text(stock(&lab.agent, &bad).await);
        assert!(text.contains("verifier") && !text.contains("hunter2"), "{bad:?}: {text}");
    }
    assert_eq!(refusal(lab.agent.query("SELECT gk.stock(NULL)", &[]).await), "22023");
    let name = "gkspare_' || left(encode(sha256(convert_to($1, 'UTF8')), 'hex'), 32)";
    let stranger: String = lab.dba.query_one(&format!("SELECT '{name}"), &[&good]).await.unwrap().get(0);
    lab.dba.batch_execute(&format!("CREATE ROLE {stranger}")).await.unwrap();
    let text = refusal_text(stock(&lab.agent, &good).await);
    assert!(text.contains("could not make") && !text.contains("SCRAM"), "{text}");
    assert!(lab.truth("SELECT count(*) = 0 FROM gk.spare").await);
}
