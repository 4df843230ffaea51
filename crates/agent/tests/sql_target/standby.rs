//! The helpers on a hot standby: what they may not write, and what they can end there all the same.

use crate::lab::{AGENT_PASSWORD, Lab, Mint, SOON, Session, refusal};
use gk_testkit::{TestPg, Version, eventually};
use tokio_postgres::Client;

on_both_lines!(
    a_standby_that_is_behind_says_so_and_its_sessions_are_cut_again_and_again,
    a_sweep_on_a_standby_cuts_what_is_over_and_what_was_dropped,
    a_sweep_leaves_time_to_look_at_standbys_where_only_the_role_itself_lets_its_sessions_be_ended,
    a_deadman_cuts_on_a_standby_once_and_goes_on_when_it_takes_over,
    on_a_primary_the_look_at_a_standby_does_nothing,
);

/// A lab with a standby, and the agent there.
struct Pair {
    lab: Lab,
    standby: TestPg,
    agent: Client,
}

impl Pair {
    async fn new(version: Version) -> Self {
        let lab = Lab::new(version).await;
        let standby = lab.pg.standby().await;
        let agent = standby.connect("gk_agent", AGENT_PASSWORD, "app").await.unwrap();
        Self { lab, standby, agent }
    }

    /// A session that the standby knows, and its user there.
    async fn user(&self, how: &Mint) -> (Session, Client) {
        let session = self.lab.minted(how).await;
        self.lab.pg.followed_by(&self.standby).await;
        let user = self.login(&session).await.unwrap();
        (session, user)
    }

    async fn login(&self, session: &Session) -> Result<Client, tokio_postgres::Error> {
        self.standby.connect(&session.role, &session.password, "app").await
    }

    /// Whether it can log in there, and how many were connected.
    async fn cut(&self, session: &Session) -> (bool, i32) {
        let sql = "SELECT standby, armed, backends FROM gk.cut($1)";
        let row = self.agent.query_one(sql, &[&session.id]).await.unwrap();
        assert!(row.get::<_, bool>(0), "it is a standby");
        (row.get(1), row.get(2))
    }

    async fn swept(&self, session: &Session) {
        eventually(SOON, "the sweep ends it on the standby", async || {
            let rows = self.agent.query("SELECT session, outcome FROM gk.sweep(100)", &[]).await.unwrap();
            let found = rows.iter().any(|row| row.get::<_, &str>(0) == session.id && row.get::<_, &str>(1) == "killed");
            found.then_some(()).ok_or("nothing was swept")
        })
        .await;
    }

    async fn without_pg_signal_backend(&self) {
        self.lab.dba.batch_execute("REVOKE pg_signal_backend FROM gk_owner").await.unwrap();
        self.lab.pg.followed_by(&self.standby).await;
    }
}

async fn is_cut(user: &Client) {
    eventually(SOON, "the user is cut", async || user.is_closed().then_some(()).ok_or("connected")).await;
}

async fn a_standby_that_is_behind_says_so_and_its_sessions_are_cut_again_and_again(version: Version) {
    let pair = Pair::new(version).await;
    let (session, user) = pair.user(&Mint::default()).await;
    pair.standby.pause_replay().await;
    assert_eq!(pair.lab.disarm(&session, 2).await.unwrap(), "disarmed");
    assert_eq!(pair.cut(&session).await, (true, 1), "its disarm has not arrived there");
    is_cut(&user).await;
    let again = pair.login(&session).await.expect("the standby does not know better yet");
    assert_eq!(pair.cut(&session).await, (true, 1));
    is_cut(&again).await;
    pair.standby.resume_replay().await;
    pair.lab.pg.followed_by(&pair.standby).await;
    assert_eq!(refusal(pair.login(&session).await), "28P01");
    assert_eq!(pair.cut(&session).await, (false, 0));

    let never = Session::new();
    assert_eq!(pair.lab.disarm(&never, 1).await.unwrap(), "absent");
    assert_eq!(pair.cut(&never).await, (false, 0), "nothing was ever made");
}

async fn a_sweep_on_a_standby_cuts_what_is_over_and_what_was_dropped(version: Version) {
    let pair = Pair::new(version).await;
    let (live, kept) = pair.user(&Mint::default()).await;
    let (over, user) = pair.user(&Mint::ttl("2 seconds")).await;
    pair.swept(&over).await;
    is_cut(&user).await;
    assert_eq!(refusal(pair.login(&over).await), "28P01");

    let (dropped, user) = pair.user(&Mint::default()).await;
    pair.lab.end(&dropped).await;
    pair.lab.pg.followed_by(&pair.standby).await;
    pair.swept(&dropped).await;
    is_cut(&user).await;
    kept.batch_execute("SELECT * FROM orders").await.expect("who has time left is not touched");
    assert_eq!(pair.cut(&live).await, (true, 1));
}

async fn a_sweep_leaves_time_to_look_at_standbys_where_only_the_role_itself_lets_its_sessions_be_ended(
    version: Version,
) {
    let pair = Pair::new(version).await;
    pair.without_pg_signal_backend().await;
    let (session, user) = pair.user(&Mint::ttl("1 second")).await;
    pair.lab.swept(&session, "disarmed").await;
    let due = "UPDATE gk.fence SET quiet_since = clock_timestamp() - interval '1 minute'";
    pair.lab.dba.batch_execute(due).await.unwrap();
    assert!(pair.lab.sweep().await.is_empty() && pair.lab.role_exists(&session).await, "it is not dropped yet");
    pair.lab.pg.followed_by(&pair.standby).await;
    pair.swept(&session).await;
    is_cut(&user).await;
    let late = "UPDATE gk.fence SET disarmed_at = clock_timestamp() - interval '1 minute'";
    pair.lab.dba.batch_execute(late).await.unwrap();
    pair.lab.swept(&session, "dropped").await;
}

async fn deadman_on(pg: &TestPg) -> Client {
    let client = pg.connect("gk_agent", AGENT_PASSWORD, "app").await.unwrap();
    let settings =
        "SET statement_timeout = 0; SET client_connection_check_interval = 0; SET application_name = 'gk-deadman'";
    client.batch_execute(settings).await.unwrap();
    client
}

async fn a_deadman_cuts_on_a_standby_once_and_goes_on_when_it_takes_over(version: Version) {
    const CALL: &str = "CALL gk.deadman('100 milliseconds', '1 hour')";
    let mut pair = Pair::new(version).await;
    let (first, spare) = (deadman_on(&pair.standby).await, deadman_on(&pair.standby).await);
    let running = tokio::spawn(async move { first.batch_execute(CALL).await });
    let admin = pair.standby.superuser("app").await;
    let at_work = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CALL gk.deadman%' AND state = 'active'";
    eventually(SOON, "the deadman is at work", async || {
        let seen: i64 = admin.query_one(at_work, &[]).await.unwrap().get(0);
        if seen == 1 { Ok(()) } else { Err(seen) }
    })
    .await;
    spare.batch_execute(CALL).await.expect("a second one leaves at once");
    let (session, user) = pair.user(&Mint::ttl("1 second")).await;
    is_cut(&user).await;
    assert!(pair.cut(&session).await.1 == 0);

    let (over, user) = pair.user(&Mint::ttl("3 seconds")).await;
    pair.lab.pg.kill9();
    pair.standby.promote().await;
    is_cut(&user).await;
    eventually(SOON, "the deadman drops it where it is written now", async || {
        let sql = format!("SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{}')", over.role);
        let gone: bool = admin.query_one(&sql, &[]).await.unwrap().get(0);
        gone.then_some(()).ok_or("it is there")
    })
    .await;
    running.abort();
}

async fn on_a_primary_the_look_at_a_standby_does_nothing(version: Version) {
    let lab = Lab::new(version).await;
    let session = lab.minted(&Mint::default()).await;
    let user = lab.login(&session).await.unwrap();
    let row = lab.agent.query_one("SELECT standby, backends FROM gk.cut($1)", &[&session.id]).await.unwrap();
    assert_eq!((row.get(0), row.get::<_, Option<i32>>(1)), (false, None));
    user.batch_execute("SELECT * FROM orders").await.expect("nobody was cut");
    assert_eq!(refusal(lab.agent.query_one("SELECT gk.cut('x')", &[]).await), "22023");
    assert_eq!(refusal(lab.agent.query("SELECT * FROM gk.quiet($1)", &[&session.id]).await), "55000");
    lab.disarm(&session, 2).await.unwrap();
    lab.cut(&session).await;
    let quiet = async || lab.agent.query_one("SELECT outcome FROM gk.quiet($1)", &[&session.id]).await.unwrap().get(0);
    eventually(SOON, "quiet", async || match quiet().await {
        s if s == "quiet" => Ok(()),
        s => Err::<(), String>(s),
    })
    .await;
    assert!(lab.role_exists(&session).await, "a look drops nothing");
}
