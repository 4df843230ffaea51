//! The forms that a login is written in, and the shells that read them.

use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use crate::scripted::{PASSWORD, Scripted, dsn, session};
use crate::support::{Home, Ran, words};

const CREATE: &str = "session create --target pg-local --role app_read --ttl 15m";

fn create(more: &str) -> Ran {
    let plane = Scripted::good();
    Home::at(&plane.url).gk(words(&format!("{CREATE} {more}")))
}

#[test]
fn every_format_has_the_whole_login() {
    let role = session().role_name();
    assert_eq!(create("--format pgpass").exits(0).stdout, format!("127.0.0.1:5432:app:{role}:{PASSWORD}\n"));
    let env = create("--format env").exits(0).stdout;
    assert!(env.contains(&format!("PGUSER={role}\n")) && env.contains(&format!("PGPASSWORD={PASSWORD}\n")), "{env}");
    let service = create("--format service").exits(0).stdout;
    assert!(service.starts_with("[pg-local]\nhost=127.0.0.1\nport=5432\ndbname=app\n"), "{service}");
    let jdbc = create("--format jdbc").exits(0).stdout;
    assert!(jdbc.starts_with("url=jdbc:postgresql://127.0.0.1:5432/app?ApplicationName="), "{jdbc}");
    let json = create("--format json").exits(0).json();
    assert_eq!((&json["schema"], &json["password"]), (&"gk.credential.v1".into(), &PASSWORD.into()));
    create("--format yaml").exits(2).silent().says("It takes: dsn, env, json, jdbc, pgpass, service");
}

#[test]
fn a_shell_that_evaluates_the_export_has_the_dsn_as_it_is() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    let script = format!(
        "out=$({} {CREATE} --export --var MY_DSN) && eval \"$out\" && printenv MY_DSN",
        env!("CARGO_BIN_EXE_gk")
    );
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).current_dir(home.path()).env_clear().env("PATH", "/usr/bin:/bin");
    shell.env("HOME", home.path()).env("GK_ADDRESS", &plane.url).env("GK_TOKEN", crate::support::token());
    assert_eq!(Ran::of(shell.output().expect("sh runs")).exits(0).stdout, format!("{}\n", dsn()));
}

#[test]
fn export_speaks_three_shells_and_refuses_odd_names() {
    let quoted = dsn().replace('\'', "");
    assert_eq!(create("--export").exits(0).stdout, format!("export DSN='{quoted}'\n"));
    assert_eq!(create("--export=fish").exits(0).stdout, format!("set -gx DSN '{quoted}'\n"));
    assert_eq!(create("--export=powershell").exits(0).stdout, format!("$env:DSN = '{quoted}'\n"));
    create("--export --var A;rm").exits(2).silent();
    create("--export --format env").exits(2).silent().says("cannot stand together");
}

#[test]
fn out_writes_a_private_file_and_nothing_to_stdout() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    home.gk(words(&format!("{CREATE} --out dsn.txt"))).exits(0).silent();
    let path = home.path().join("dsn.txt");
    assert_eq!(std::fs::read_to_string(&path).expect("is there"), format!("{}\n", dsn()));
    assert_eq!(path.metadata().expect("is there").mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_others_can_read_is_left_alone_and_costs_no_session() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    let path = home.file("wide", "mine", 0o644);
    home.gk(words(&format!("{CREATE} --out wide"))).exits(2).silent().says("error[unsafe_config]");
    assert_eq!(std::fs::read_to_string(path).expect("is there"), "mine");
    assert_eq!(plane.seen().len(), 0);
}

#[test]
fn a_session_whose_file_can_no_longer_be_written_is_ended() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("dsn");
    let meanwhile = path.clone();
    let plane = Scripted::start(move |seen| {
        if seen.is("POST", "/v1/sessions") {
            std::fs::create_dir(&meanwhile).expect("makes it");
        }
        None
    });
    let out = path.to_str().expect("text");
    let ran = Home::at(&plane.url).gk(words(&format!("{CREATE} --out {out}"))).exits(1).silent();
    ran.says("error[unsafe_config]").says(&format!("session {} was made and is being ended", session()));
    assert_eq!(plane.count("POST", &format!("/v1/sessions/{}/revoke", session())), 1);
}

#[test]
fn a_password_file_keeps_the_logins_of_others() {
    let plane = Scripted::good();
    let home = Home::at(&plane.url);
    let path = home.file("pgpass", "db:5432:app:ada:secret\n", 0o600);
    for _ in 0..2 {
        home.gk(words(&format!("{CREATE} --format pgpass --out pgpass"))).exits(0).silent();
    }
    let role = session().role_name();
    let wanted = format!("127.0.0.1:5432:app:{role}:{PASSWORD}\ndb:5432:app:ada:secret\n");
    assert_eq!(std::fs::read_to_string(path).expect("is there"), wanted);
}
