//! Connection strings: what we write, others read back unchanged; what we read is refused unless it is certain.

use proptest::prelude::*;
use tokio_postgres::config::Host;

use super::*;

/// What a value may have in it that some client takes for syntax.
const ODD: &str = ": / @ % # ? & = + ; , [ ] ' \" \\ ~ \u{e4} \u{1f600} %2F %%";

fn parts() -> DsnParts {
    DsnParts {
        host: "127.0.0.1".to_owned(),
        port: 5432,
        database: "app".to_owned(),
        user: "gk_01arz3ndektsv4rrffq69g5fav".to_owned(),
        password: "s3cret".into(),
        application_name: Some("gk:sess_01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned()),
        sslmode: None,
    }
}

fn dsn() -> PgDsn {
    PgDsn::new(parts()).unwrap()
}

fn odd() -> PgDsn {
    let text = || ODD.to_owned();
    PgDsn::new(DsnParts {
        database: text(),
        user: text(),
        password: ODD.into(),
        application_name: Some(text()),
        ..parts()
    })
    .unwrap()
}

#[test]
fn a_session_reads_as_in_the_manual() {
    assert_eq!(
        dsn().to_uri().expose(),
        "postgresql://gk_01arz3ndektsv4rrffq69g5fav:s3cret@127.0.0.1:5432/app\
         ?application_name=gk%3Asess_01ARZ3NDEKTSV4RRFFQ69G5FAV"
    );
    assert_eq!(
        dsn().without_password(),
        "postgresql://gk_01arz3ndektsv4rrffq69g5fav@127.0.0.1:5432/app\
         ?application_name=gk%3Asess_01ARZ3NDEKTSV4RRFFQ69G5FAV"
    );
}

#[test]
fn odd_characters_survive_our_parser_and_that_of_tokio_postgres() {
    assert_eq!(PgDsn::parse(odd().to_uri().expose()), Ok(odd()));
    assert_same_in_tokio_postgres(&odd());
}

#[test]
fn an_ipv6_host_stands_in_brackets() {
    let dsn = PgDsn::new(DsnParts { host: "fe80::1".to_owned(), ..parts() }).unwrap();
    assert!(dsn.to_uri().expose().contains("@[fe80::1]:5432/app"));
    assert!(dsn.jdbc_url().url.starts_with("jdbc:postgresql://[fe80::1]:5432/app"));
    assert_eq!(dsn.env()[0], ("PGHOST", "fe80::1".to_owned()));
    assert_eq!(PgDsn::parse(dsn.to_uri().expose()), Ok(dsn.clone()));
    assert_same_in_tokio_postgres(&dsn);
}

#[test]
fn a_socket_directory_is_encoded_into_the_host() {
    let dsn = PgDsn::new(DsnParts { host: "/var/run/post gres:x".to_owned(), ..parts() }).unwrap();
    assert!(dsn.to_uri().expose().contains("@%2Fvar%2Frun%2Fpost%20gres%3Ax:5432/app"));
    assert_eq!(PgDsn::parse(dsn.to_uri().expose()), Ok(dsn.clone()));
    assert_same_in_tokio_postgres(&dsn);
    assert!(dsn.pgpass_line().expose().starts_with("*:5432:app:"));
}

#[test]
fn the_environment_has_all_but_the_password() {
    let dsn = PgDsn::new(DsnParts { sslmode: Some(SslMode::VerifyFull), ..parts() }).unwrap();
    let env = dsn.env();
    let wanted = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", "5432"),
        ("PGDATABASE", "app"),
        ("PGUSER", "gk_01arz3ndektsv4rrffq69g5fav"),
        ("PGAPPNAME", "gk:sess_01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        ("PGSSLMODE", "verify-full"),
    ];
    assert!(env.iter().map(|(name, value)| (*name, value.as_str())).eq(wanted), "{env:?}");
    let bare = PgDsn::new(DsnParts { application_name: None, ..parts() }).unwrap();
    assert_eq!(bare.env().len(), 4);
    assert!(!bare.to_uri().expose().contains('?'));
}

#[test]
fn a_password_file_line_escapes_colon_and_backslash() {
    let dsn = PgDsn::new(DsnParts { user: r"a:b\c".to_owned(), password: r"p:\:".into(), ..parts() }).unwrap();
    assert_eq!(dsn.pgpass_line().expose(), "127.0.0.1:5432:app:a\\:b\\\\c:p\\:\\\\\\:\n");
}

#[test]
fn a_service_section_holds_everything() {
    let name = "pg-local".parse().unwrap();
    let dsn = PgDsn::new(DsnParts { sslmode: Some(SslMode::Require), ..parts() }).unwrap();
    assert_eq!(
        dsn.service_stanza(&name).unwrap().expose(),
        "[pg-local]\nhost=127.0.0.1\nport=5432\ndbname=app\nuser=gk_01arz3ndektsv4rrffq69g5fav\n\
         application_name=gk:sess_01ARZ3NDEKTSV4RRFFQ69G5FAV\nsslmode=require\npassword=s3cret\n"
    );
    let blank = PgDsn::new(DsnParts { password: "s3cret ".into(), ..parts() }).unwrap();
    assert_eq!(blank.service_stanza(&name), Err(DsnError::Blank(DsnPart::Password)));
}

#[test]
fn jdbc_keeps_user_and_password_out_of_the_url() {
    let jdbc = PgDsn::new(DsnParts { sslmode: Some(SslMode::Disable), ..parts() }).unwrap().jdbc_url();
    assert_eq!(
        jdbc.url,
        "jdbc:postgresql://127.0.0.1:5432/app?ApplicationName=gk%3Asess_01ARZ3NDEKTSV4RRFFQ69G5FAV&sslmode=disable"
    );
    assert_eq!((jdbc.user.as_str(), jdbc.password.expose()), ("gk_01arz3ndektsv4rrffq69g5fav", "s3cret"));
}

#[test]
fn no_debug_print_and_no_public_form_has_the_password() {
    let dsn = PgDsn::new(DsnParts { password: "canary".into(), ..parts() }).unwrap();
    let prints = [
        format!("{dsn:?}"),
        format!("{:?}", dsn.jdbc_url()),
        format!("{:?}", dsn.to_uri()),
        format!("{:?}", dsn.pgpass_line()),
        format!("{:?}", dsn.env()),
        dsn.jdbc_url().url,
        dsn.without_password(),
    ];
    for print in prints {
        assert!(!print.contains("canary"), "{print}");
    }
}

#[test]
fn parts_that_some_form_could_not_carry_are_refused() {
    let control = |part| Err(DsnError::Control(part));
    let missing = |part| Err(DsnError::Missing(part));
    let text = str::to_owned;
    for (parts, wanted) in [
        (DsnParts { host: text(""), ..parts() }, missing(DsnPart::Host)),
        (DsnParts { database: text(""), ..parts() }, missing(DsnPart::Database)),
        (DsnParts { user: text(""), ..parts() }, missing(DsnPart::User)),
        (DsnParts { password: "".into(), ..parts() }, missing(DsnPart::Password)),
        (DsnParts { application_name: Some(text("")), ..parts() }, missing(DsnPart::ApplicationName)),
        (DsnParts { host: text("/a\nb"), ..parts() }, control(DsnPart::Host)),
        (DsnParts { database: text("a\0"), ..parts() }, control(DsnPart::Database)),
        (DsnParts { user: text("a\nhost=evil"), ..parts() }, control(DsnPart::User)),
        (DsnParts { password: "a\nb".into(), ..parts() }, control(DsnPart::Password)),
        (DsnParts { application_name: Some(text("a\t")), ..parts() }, control(DsnPart::ApplicationName)),
        (DsnParts { port: 0, ..parts() }, Err(DsnError::Port)),
    ] {
        assert_eq!(PgDsn::new(parts), wanted);
    }
    for host in ["a,b", "/a,/b", "a b", "a/b", "a@b", "a?b", "[::1]", "fe80::1%eth0", "a:5432", "h\u{f6}st", "*"] {
        assert_eq!(PgDsn::new(DsnParts { host: text(host), ..parts() }), Err(DsnError::Host), "{host}");
    }
}

#[test]
fn what_libpq_fills_in_is_filled_in_here() {
    let dsn = PgDsn::parse("postgres://ada:pw@db.example").unwrap();
    let parts = dsn.parts();
    assert_eq!((parts.port, parts.database.as_str(), parts.application_name.as_deref()), (5432, "ada", None));
    assert_eq!(PgDsn::parse("postgresql://ada:pw@db.example/"), Ok(dsn.clone()));
    assert_eq!(PgDsn::parse("postgresql://ada:pw@db.example/ada?"), Ok(dsn));
}

#[test]
fn a_connection_string_that_is_not_certain_is_refused() {
    use DsnPart::{ApplicationName, Database, Host, Parameters, Password, User};
    for (uri, wanted) in [
        ("", DsnError::Scheme),
        ("host=h user=u", DsnError::Scheme),
        ("mysql://u:p@h/d", DsnError::Scheme),
        ("postgresql://", DsnError::Missing(User)),
        ("postgresql://h/d", DsnError::Missing(User)),
        ("postgresql://:p@h/d", DsnError::Missing(User)),
        ("postgresql://u@h/d", DsnError::Missing(Password)),
        ("postgresql://u:@h/d", DsnError::Missing(Password)),
        ("postgresql://u:p@/d", DsnError::Missing(Host)),
        ("postgresql://u:p@:5432/d", DsnError::Missing(Host)),
        ("postgresql://u:p@h,i/d", DsnError::Host),
        ("postgresql://u:p@h@i/d", DsnError::Host),
        ("postgresql://u:p@::1/d", DsnError::Missing(Host)),
        ("postgresql://u:p@[::1/d", DsnError::Host),
        ("postgresql://u:p@[h]/d", DsnError::Host),
        ("postgresql://u:p@[::1]x/d", DsnError::Port),
        ("postgresql://u:p@h:/d", DsnError::Port),
        ("postgresql://u:p@h:0/d", DsnError::Port),
        ("postgresql://u:p@h:65536/d", DsnError::Port),
        ("postgresql://u:p@h:-1/d", DsnError::Port),
        ("postgresql://u:p@h:+1/d", DsnError::Port),
        ("postgresql://u:p@h:5432,5433/d", DsnError::Port),
        ("postgresql://u:%zz@h/d", DsnError::Encoding(Password)),
        ("postgresql://u:p%4@h/d", DsnError::Encoding(Password)),
        ("postgresql://%ff:p@h/d", DsnError::Encoding(User)),
        ("postgresql://u:p%00@h/d", DsnError::Control(Password)),
        ("postgresql://u:p@h/d%0a", DsnError::Control(Database)),
        ("postgresql://u:p@h/d?application_name=", DsnError::Missing(ApplicationName)),
        ("postgresql://u:p@h/d?application_name=%", DsnError::Encoding(ApplicationName)),
        ("postgresql://u:p@h/d?%g=1", DsnError::Encoding(Parameters)),
        ("postgresql://u:p@h/d?sslmode=off", DsnError::SslMode),
        ("postgresql://u:p@h/d?sslmode", DsnError::UnknownParameter),
        ("postgresql://u:p@h/d?host=evil", DsnError::UnknownParameter),
        ("postgresql://u:p@h/d?sslmode=require&", DsnError::UnknownParameter),
        ("postgresql://u:p@h/d?sslmode=require&sslmode=disable", DsnError::GivenTwice),
    ] {
        let error = PgDsn::parse(uri).expect_err(uri);
        assert_eq!((error, error.code()), (wanted, "invalid_dsn"), "{uri}");
    }
}

#[test]
fn an_error_never_repeats_the_connection_string() {
    for uri in [
        "postgresql://u:canary",
        "postgresql://u:canary%@h/d",
        "postgresql://u:p?canary=1@h/d",
        "postgresql://u:p/canary@h:x/d",
        "postgresql://u:p@h:canary/d",
        "postgresql://u:x@y?canary=z@h/d",
        "canary",
    ] {
        let error = PgDsn::parse(uri).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
}

#[test]
fn every_sslmode_survives() {
    for mode in SslMode::ALL {
        let dsn = PgDsn::new(DsnParts { sslmode: Some(mode), ..parts() }).unwrap();
        assert_eq!(PgDsn::parse(dsn.to_uri().expose()), Ok(dsn));
        assert_eq!(mode.to_string().parse(), Ok(mode));
    }
}

#[test]
fn another_client_name_is_checked_too() {
    let named = dsn().with_application_name("psql").unwrap();
    assert_eq!(named.parts().application_name.as_deref(), Some("psql"));
    assert!(dsn().with_application_name("a\nb").is_err());
}

/// Asserts that the driver the agent uses reads the same out of our URI.
fn assert_same_in_tokio_postgres(dsn: &PgDsn) {
    let parts = dsn.parts();
    let read: tokio_postgres::Config = dsn.to_uri().expose().parse().unwrap();
    assert_eq!(read.get_user(), Some(parts.user.as_str()));
    assert_eq!(read.get_password(), Some(parts.password.expose().as_bytes()));
    assert_eq!(read.get_dbname(), Some(parts.database.as_str()));
    assert_eq!(read.get_ports(), [parts.port]);
    assert_eq!(read.get_application_name(), parts.application_name.as_deref());
    let host = match parts.host.strip_prefix('/') {
        Some(_) => Host::Unix(parts.host.clone().into()),
        None => Host::Tcp(parts.host.clone()),
    };
    assert_eq!(read.get_hosts(), [host]);
}

/// Splits a password file line as libpq does.
fn pgpass_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut rest = line.strip_suffix('\n').unwrap().chars();
    while let Some(found) = rest.next() {
        match found {
            ':' => fields.push(String::new()),
            '\\' => fields.last_mut().unwrap().extend(rest.next()),
            plain => fields.last_mut().unwrap().push(plain),
        }
    }
    fields
}

fn any_text() -> impl Strategy<Value = String> {
    "[a-c:/@%#?&=+ '\"\\\\\\[\\]\u{e4}]{1,12}|\\PC{1,12}"
        .prop_filter("no control characters", |text| !text.chars().any(char::is_control))
}

fn any_dsn() -> impl Strategy<Value = PgDsn> {
    let host = "[a-z0-9]{1,8}(\\.[a-z]{2,4})?|::1|2001:db8::[0-9a-f]{1,4}|/[a-z :@%/]{0,10}";
    // Those that tokio-postgres knows.
    let sslmode =
        proptest::option::of(proptest::sample::select(&[SslMode::Disable, SslMode::Prefer, SslMode::Require]));
    let name = proptest::option::of(any_text());
    (host, 1_u16.., any_text(), any_text(), any_text(), name, sslmode).prop_map(
        |(host, port, database, user, password, application_name, sslmode)| {
            let password = password.into();
            PgDsn::new(DsnParts { host, port, database, user, password, application_name, sslmode }).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn every_login_survives_its_uri(dsn in any_dsn()) {
        let uri = dsn.to_uri();
        prop_assert!(uri.expose().bytes().all(|byte| byte.is_ascii_graphic()));
        prop_assert_eq!(PgDsn::parse(uri.expose()), Ok(dsn.clone()));
        assert_same_in_tokio_postgres(&dsn);
    }

    #[test]
    fn every_login_survives_its_password_file(dsn in any_dsn()) {
        let line = dsn.pgpass_line();
        let parts = dsn.parts();
        let host = if parts.host.starts_with('/') { "*" } else { &parts.host };
        let port = parts.port.to_string();
        let wanted = [host, &port, &parts.database, &parts.user, parts.password.expose()];
        prop_assert_eq!(pgpass_fields(line.expose()), wanted);
    }

    #[test]
    fn every_service_section_has_one_line_a_setting(dsn in any_dsn()) {
        let name = "x".parse().unwrap();
        if let Ok(text) = dsn.service_stanza(&name) {
            prop_assert_eq!(text.expose().lines().count(), dsn.env().len() + 2);
        }
    }

    #[test]
    fn the_parser_never_panics(text in "\\PC*|postgres(ql)?://[u:%@/?&=a0\\[\\],\u{2cb}]{0,30}") {
        if let Ok(dsn) = PgDsn::parse(&text) {
            prop_assert_eq!(PgDsn::parse(dsn.to_uri().expose()), Ok(dsn));
        }
    }
}
