//! The password of a session is nowhere but in the sealed credential.

use gk_shared::dsn::PgDsn;
use gk_testkit::{TestPg, Version};

use super::lab::{AGENT_PASSWORD, Session, gone, login};
use super::plane::{Plane, token};
use super::program::Program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_holds_a_password_at_the_most_talkative_level() {
    let pg = TestPg::with(Version::From16)
        .setting("log_statement", "all")
        .setting("log_min_messages", "debug1")
        .setting("log_min_error_statement", "debug5")
        .setting("log_connections", "on")
        .start()
        .await;
    super::lab::prepare(&pg).await;
    let plane = Plane::start().await;
    let mut program = Program::run(&plane, &pg).await;
    let session = Session::new();
    let dsn = session.minted(&plane, 600).await;
    let password = PgDsn::parse(&dsn).unwrap().parts().password.expose().to_owned();
    assert_eq!(password.len(), 32);
    assert!(login(&dsn).await.is_ok());
    let arguments = program.arguments_and_environment();
    let revoke = session.revoke();
    plane.queue(&revoke, 2);
    gone(&pg, &session).await;
    let agent_log = program.stop();
    assert!(agent_log.contains("job done"), "the log is there: {agent_log}");
    let server_log = pg.log_text();
    assert!(server_log.contains("provider::mint"), "the statements are there");
    for (what, text) in [("agent's log", &agent_log), ("server's log", &server_log), ("process table", &arguments)] {
        assert!(!text.contains(&password), "the session's password is in the {what}");
        assert!(!text.contains(token().expose()), "the agent's token is in the {what}");
    }
    for (what, text) in [("agent's log", &agent_log), ("process table", &arguments)] {
        assert!(!text.contains(AGENT_PASSWORD), "the agent's password is in the {what}");
    }
}
