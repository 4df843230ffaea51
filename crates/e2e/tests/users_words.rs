//! The words of the first example, typed as a user types them: every step is a process of its own.

use gk_e2e::{SOON, Stack, TARGET, User, Version, eventually, is_refused, on_both_lines};
use std::time::Duration;

on_both_lines!(
    the_first_example_reads_real_rows_and_is_refused_a_write,
    after_a_short_session_the_same_psql_fails_and_what_was_open_is_cut,
);

const CREATE: &str = r#"gk session create --target pg-local --role app_read --ttl 15m --reason "debug""#;

async fn the_first_example_reads_real_rows_and_is_refused_a_write(version: Version) {
    let stack = Stack::start(version).await;
    let dsn = stack.room.sh(CREATE).await.line();
    assert!(dsn.starts_with("postgresql://gk_"), "the answer is a connection string and nothing else");
    let sh = async |script: &str| stack.room.sh(&format!("DSN='{dsn}'; {script}")).await;
    sh(r#"psql "$DSN" -c "select now();""#).await.ok();
    assert_eq!(sh(r#"psql "$DSN" -Atc "select count(*) from orders""#).await.line(), "1000");
    let refused = sh(r#"psql "$DSN" -c "insert into orders values (0, 0, 'mine')""#).await;
    refused.exits(1).stderr_has("permission denied for table orders");
}

async fn after_a_short_session_the_same_psql_fails_and_what_was_open_is_cut(version: Version) {
    let stack = Stack::start(version).await;
    let short = CREATE.replace("15m", "5s");
    let dsn = stack.room.sh(&short).await.line();
    let again = r#"psql "$DSN" -c "select now();""#;
    let sleep = format!(r#"DSN='{dsn}'; psql "$DSN" -c "select pg_sleep(300)""#);
    let open = stack.room.sh(&sleep);
    let same = async {
        stack.room.sh(&format!("DSN='{dsn}'; {again}")).await.ok();
        eventually(SOON, "the login is refused", async || is_refused(&dsn).await).await;
        stack.room.sh(&format!("DSN='{dsn}'; {again}")).await
    };
    let (open, same) = tokio::join!(open, same);
    same.exits(2).stderr_has("authentication failed");
    assert!(open.took < Duration::from_secs(10), "it was cut only after {:?}", open.took);
    open.exits(2).stderr_has("terminating connection");
    stack.catalog().await.gone_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_by_token_is_enough_and_no_variable_is_needed() {
    let stack = Stack::start(Version::From16).await;
    let script = format!(
        "unset GK_ADDRESS GK_TOKEN_FILE\n\
         gk login --with-token --store file --address {} < dana.token && gk auth status >&2 && {CREATE}",
        stack.plane.url()
    );
    let said = stack.room.sh(&script).await.ok();
    assert!(said.stderr.contains("dana") && !said.stderr.contains(&stack.dana.token), "{}", said.stderr);
    stack.run("psql", &[said.line().as_str(), "-c", "select now();"]).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_variable_takes_the_answer_or_nothing_and_the_exit_code() {
    let stack = Stack::start(Version::From16).await;
    let script = format!(r#"DSN=$({CREATE}) && psql "$DSN" -Atc "select count(*) from orders""#);
    assert_eq!(stack.room.sh(&script).await.line(), "1000");
    let unknown = CREATE.replace(TARGET, "pg-prod");
    let script = format!(r#"DSN=$({unknown}); echo "code $? and <$DSN>""#);
    assert_eq!(stack.room.sh(&script).await.line(), "code 3 and <>");
    let refused = CREATE.replace("app_read", "pg_read_all_data");
    let script = format!(r#"DSN=$({refused}); echo "code $? and <$DSN>""#);
    assert_eq!(stack.room.sh(&script).await.line(), "code 5 and <>");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_is_one_line_to_eval_and_a_failure_stops_there() {
    let stack = Stack::start(Version::From16).await;
    let count = r#"psql "$DSN" -Atc "select count(*) from orders""#;
    let script = format!(r#"out=$({CREATE} --export) && eval "$out" && {count}"#);
    assert_eq!(stack.room.sh(&script).await.line(), "1000");
    let script = format!(r#"out=$({} --export) && eval "$out" && {count}"#, CREATE.replace(TARGET, "pg-prod"));
    assert_eq!(stack.room.sh(&script).await.exits(3).stdout, "");
    let named = format!(r#"out=$({CREATE} --export --var MY_DB) && eval "$out" && psql "$MY_DB" -Atc "select 1""#);
    assert_eq!(stack.room.sh(&named).await.line(), "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exec_gives_psql_a_session_keeps_its_exit_code_and_ends_the_session() {
    let stack = Stack::start(Version::From16).await;
    let exec = r#"gk exec --target pg-local --role app_read --ttl 10m --reason "report" --"#;
    let report = stack.room.sh(&format!(r#"{exec} psql -Atc "select count(*) from orders""#)).await;
    assert_eq!(report.line(), "1000");
    stack.room.sh(&format!(r#"{exec} psql -c "select nonsense""#)).await.exits(1).stderr_has("nonsense");
    stack.room.sh(&format!("{exec} sh -c 'exit 42'")).await.exits(42);
    stack.room.sh(&format!("{exec} sh -c 'kill -9 $$'")).await.exits(137);
    stack.room.sh(&format!("{exec} no-such-program")).await.exits(127);
    eventually(SOON, "every session is over", async || stack.books().await.all_over().await).await;
    assert_eq!(stack.books().await.sessions().await.len(), 4, "none was made for a command that cannot run");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cron_learns_whether_anything_is_left_that_should_be_gone() {
    let mut stack = Stack::with(Version::From16).target_setting("max_prepared_transactions", "4").start().await;
    let dba = stack.catalog().await;
    dba.run("GRANT CREATE ON SCHEMA public TO PUBLIC").await;
    let cron = async |stack: &Stack| {
        // What cron has: a bare environment, no terminal, a shell.
        let environment = format!("GK_ADDRESS='{}' GK_TOKEN_FILE=root-admin.token", stack.plane.url());
        stack
            .room
            .sh(&format!("{environment} gk cleanup check --max-lag 1s || {{ code=$?; echo mail; exit $code; }}"))
            .await
    };
    assert_eq!(cron(&stack).await.ok().stdout, "", "nothing to report, nothing to mail");

    let (id, dsn) = stack.session("app_write", "10m").await;
    let user = User::login(&dsn).await.expect("the session is ready");
    user.client.batch_execute("BEGIN; CREATE TABLE mine (a int); PREPARE TRANSACTION 'kept'").await.unwrap();
    stack.gk(&["session", "revoke", &id.to_string()]).await.ok();
    let found = eventually(SOON, "the finding", async || match cron(&stack).await {
        ran if ran.code == 10 => Ok(ran),
        ran => Err(format!("{} {}", ran.code, ran.stderr)),
    });
    let found = found.await.exits(10);
    assert!(found.stdout.contains("ROLLBACK PREPARED 'kept'") && found.stdout.ends_with("mail\n"), "{}", found.stdout);
    dba.run("ROLLBACK PREPARED 'kept'").await;
    stack.gk_admin(&["cleanup", "run"]).await.ok();
    eventually(SOON, "clean again", async || match cron(&stack).await.code {
        0 => Ok(()),
        code => Err(code),
    })
    .await;

    stack.plane.process.kill9();
    cron(&stack).await.exits(9);
    drop(stack);
}
