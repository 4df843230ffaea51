//! The password of a real session is in none of the places where passwords leak, and the search would find it there.

use gk_e2e::{
    DATABASE, Needle, Place, SOON, Stack, User, Version, eventually, in_dir, in_processes, in_text, on_both_lines,
};
use tokio_postgres::Config;

on_both_lines!(the_password_of_a_session_is_nowhere_but_with_its_requester);

/// What the search has to find, in every place, before its silence means anything.
const CONTROL: &str = "control-marker-8c1f52d07b";

async fn the_password_of_a_session_is_nowhere_but_with_its_requester(version: Version) {
    let stack = Stack::with(version)
        .target_setting("log_statement", "all")
        .target_setting("log_min_duration_statement", "0")
        .ledger_setting("log_statement", "all")
        .ledger_setting("log_parameter_max_length", "-1")
        .ledger_setting("log_min_duration_statement", "0")
        .start()
        .await;
    let request = plant(&stack).await;
    let (control, named) = (Needle::new(CONTROL), Needle::new(&request));
    let (planted, logged) = (search(&stack, &control).await, search(&stack, &named).await);
    for place in ["dump", "ledger data", "ledger log", "target data", "target log"] {
        assert!(planted.iter().any(|(name, hits)| *name == place && !hits.is_empty()), "the search is blind: {place}");
    }
    for place in ["plane log", "agent log"] {
        assert!(logged.iter().any(|(name, hits)| *name == place && !hits.is_empty()), "the search is blind: {place}");
    }

    let created = create_with_debug(&stack).await;
    let mut child = stack.room.command("gk");
    let inside =
        "cp \"$PGPASSFILE\" held.pgpass && env > held.env && touch held && while [ -e held ]; do sleep 0.05; done";
    child.args(["exec", "--debug", "--target", "pg-local", "--role", "app_read", "--ttl", "10m", "--reason", "canary"]);
    child.args(["--", "sh", "-c", inside]).env("CONTROL", CONTROL);
    let child = child.spawn().expect("gk can be started");
    let held = stack.room.path("held");
    eventually(SOON, "the child has its password", async || if held.exists() { Ok(()) } else { Err("not yet") }).await;
    let passfile = stack.room.read("held.pgpass");
    let executed = passfile.trim_end().rsplit(':').next().expect("a password is last in its line").to_owned();
    for name in ["held.pgpass", "held.env"] {
        std::fs::remove_file(stack.room.path(name)).expect("they were just written");
    }
    assert!(!in_processes(&control).is_empty(), "the search is blind: processes");
    for password in [&created.password, &executed] {
        assert_eq!(in_processes(&Needle::new(password)), [], "in a process");
    }
    std::fs::remove_file(held).expect("it is there");
    let output = child.wait_with_output().await.expect("gk ends");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("debug: "), "{said}");

    for (password, debug) in [(&created.password, &created.debug), (&executed, &said)] {
        let needle = Needle::new(password);
        assert_eq!(in_text("gk --debug", debug, &needle), []);
        for (place, hits) in search(&stack, &needle).await {
            assert_eq!(hits, [], "in {place}");
        }
    }
    no_token_is_anywhere(&stack).await;
}

/// The ledger holds hashes of tokens, and a token is in no log; in the room lie the files of those whose they are.
async fn no_token_is_anywhere(stack: &Stack) {
    let agent = stack.room.read("agent-a.token");
    for token in [stack.dana.token.as_str(), stack.plane.admin.token.as_str(), agent.trim()] {
        for (place, hits) in search(stack, &Needle::new(token)).await {
            assert!(hits.is_empty() || place == "room", "a token is in {place}");
        }
    }
}

struct Created {
    password: String,
    debug: String,
}

/// A session made with `--debug`, used and revoked, and what that said beside the credential.
async fn create_with_debug(stack: &Stack) -> Created {
    let flags = ["--target", "pg-local", "--role", "app_read", "--ttl", "10m", "--reason", "canary", "--debug"];
    let said = stack.gk(&[&["session", "create"], flags.as_slice()].concat()).await.ok();
    assert!(said.stderr.contains("debug: ") && said.stderr.contains("POST /v1/sessions"), "{}", said.stderr);
    let dsn = said.line();
    let config: Config = dsn.parse().expect("a connection string");
    let password = config.get_password().expect("a password is in it").to_vec();
    let user = User::login(&dsn).await.expect("the session is ready");
    user.client.query("SELECT * FROM orders LIMIT 1", &[]).await.expect("it may read");
    // One that is wrong, which servers like to log.
    assert!(User::login(&dsn.replace("app?", "nowhere?")).await.is_err());
    let ended = stack.gk(&["session", "revoke", "--mine", "--debug"]).await.ok();
    Created {
        password: String::from_utf8(password).expect("passwords of ours are letters and digits"),
        debug: said.stderr + &ended.stderr + &ended.stdout,
    }
}

/// Puts the control marker where the password must not be, and gives the id of a request that both programs have logged.
async fn plant(stack: &Stack) -> String {
    let table = format!("CREATE TABLE control AS SELECT '{CONTROL}'::text AS marker; CHECKPOINT");
    for (pg, database) in [(&stack.plane.ledger, stack.plane.database()), (&stack.target, DATABASE)] {
        pg.superuser(database).await.batch_execute(&table).await.expect("a superuser may");
    }
    stack.session("app_read", "10m").await;
    let request = "SELECT correlation_id FROM sessions";
    stack.books().await.superuser().query_one(request, &[]).await.expect("there is one session so far").get(0)
}

/// Every place but processes, with what was found there.
async fn search(stack: &Stack, needle: &Needle) -> Vec<(&'static str, Vec<Place>)> {
    let (ledger, target) = (&stack.plane.ledger, &stack.target);
    // What is only in memory of the servers gets to their files.
    for (pg, database) in [(ledger, stack.plane.database()), (target, DATABASE)] {
        pg.superuser(database).await.batch_execute("CHECKPOINT").await.expect("a superuser may");
    }
    let dump = ledger.program("pg_dump").to_string_lossy().into_owned();
    let dump = stack.run(&dump, &["--dbname", &ledger.superuser_dsn(stack.plane.database())]).await.ok().stdout;
    let agent_log = &stack.agents[0];
    assert!(agent_log.log_text().contains("DEBUG") && stack.plane.process.log_text().contains("DEBUG"));
    vec![
        ("dump", in_text("dump", &dump, needle)),
        ("ledger data", in_dir(&ledger.data_dir(), needle)),
        ("ledger log", in_text("ledger log", &ledger.log_text(), needle)),
        ("target data", in_dir(&target.data_dir(), needle)),
        ("target log", in_text("target log", &target.log_text(), needle)),
        ("plane log", in_text("plane log", &stack.plane.process.log_text(), needle)),
        ("agent log", in_text("agent log", &agent_log.log_text(), needle)),
        ("room", in_dir(&stack.room.path(""), needle)),
    ]
}
