//! Settings files as people write them, right and wrong.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use gk_shared::problem::ErrorCode;

use super::*;

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.file("url", "postgresql://gk:s3cret@127.0.0.1:5432/ledger\n", 0o600);
        home.file(
            "policy",
            "[[rule]]\nname='a'\nwho=['user:dana']\ntargets=['x']\nroles=['app_read']\nmax_ttl='1h'\n",
            0o644,
        );
        home
    }
    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }
    /// Reads `text` with `@/` standing for this directory.
    fn parse(&self, text: &str, environment: &[(&str, &str)]) -> Result<PlaneConfig, String> {
        let text = text.replace("@/", &format!("{}/", self.0.path().display()));
        let get = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        PlaneConfig::parse(&text, &get).map_err(|error| error.to_string())
    }
}

const GOOD: &str = "policy_file = '@/policy'\n[ledger]\nurl_file = '@/url'\n";

#[test]
fn a_small_file_gives_the_documented_defaults() {
    let config = Home::new().parse(GOOD, &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:4000");
    assert_eq!(config.policy.ceiling().to_string(), "4h");
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.log, LogConfig { format: LogFormat::Text, filter: "info".into() });
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let environment = [
        ("CONTROL_PLANE_PORT", "4999"),
        ("SESSION_MAX_TTL_MINUTES", "90"),
        ("LOG_LEVEL", "warn"),
        ("GK_LOG", "debug"),
        ("GK_LOG_FORMAT", "json"),
    ];
    let config =
        Home::new().parse(&format!("listen='127.0.0.1:1'\n{GOOD}[log]\nfilter='error'\n"), &environment).unwrap();
    assert_eq!(config.listen.port(), 4999);
    assert_eq!(config.policy.ceiling().to_string(), "1h30m");
    assert_eq!(config.log, LogConfig { format: LogFormat::Json, filter: "debug".into() });
}

#[test]
fn every_fault_names_its_key_and_never_a_secret() {
    let home = Home::new();
    home.file("open", "postgresql://gk:s3cret@127.0.0.1/ledger", 0o644);
    home.file("mala", "postgresql://:s3cret@/", 0o600);
    let cases: &[(&str, &[&str])] = &[
        ("listen = '127.0.0.1:65536'", &["listen: expected an address"]),
        ("listen = '::1:4000'", &["listen: expected an address"]),
        ("listen = '127.0.0.1:0'", &["listen: port 0"]),
        ("listen = 4000", &["listen: expected text in quotes, got integer"]),
        ("colour = 'red'\nshape = 1", &["colour: unknown key", "shape: unknown key"]),
        ("[ledger]\nurl = 'postgresql://gk:s3cret@h/l'", &["ledger.url: a secret may not stand in this file"]),
        ("[ledger]\npassword = 's3cret'\npassword_file = '@/url'", &["ledger.password: a secret may not"]),
        ("[ledger]\nurl_file = '@/open'", &["ledger.url_file", "chmod 0600"]),
        ("[ledger]\nurl_file = '@/mala'", &["ledger.url_file: it "]),
        ("[ledger]\nurl_file = '@/none'", &["ledger.url_file: cannot read"]),
        ("[ledger]\nurl_file = 'url'", &["ledger.url_file: `url` must be an absolute path"]),
        ("[ledger]\nurl_file = '@/url'\nhost = 'h'", &["ledger: give either"]),
        ("[ledger]\nhost = 'h'\nport = -1", &["ledger.port: expected a whole number from 1 to 65535, got -1"]),
        ("[ledger]\nhost = 'h'\ndatabase='l'", &["ledger: it has no user"]),
        ("[limits]\nburst = 0\nheaders = '10'", &["limits.burst: expected", "limits.headers: expected a time"]),
        ("[session]\nmax_ttl = '25h'", &["session.max_ttl: `25h` is too large"]),
        ("[log]\nformat = 'xml'", &["log.format: expected \"text\" or \"json\""]),
        ("session = 4", &["session: expected a table [session], got integer"]),
        ("listen =", &["settings: line 1 is not TOML"]),
        ("policy_file = '@/none'", &["policy_file: cannot read"]),
        ("", &["ledger: no ledger is named", "policy_file: is missing"]),
    ];
    for (text, says) in cases {
        let found = home.parse(text, &[]).unwrap_err();
        for part in *says {
            assert!(found.contains(part), "for {text:?}: {part:?} is not in {found:?}");
        }
        assert!(!found.contains("s3cret"), "{found}");
    }
}

#[test]
fn a_file_that_others_may_write_is_unsafe_wherever_it_is_named() {
    let home = Home::new();
    let code = |text: &str| {
        let text = text.replace("@/", &format!("{}/", home.0.path().display()));
        PlaneConfig::parse(&text, &|_| None).unwrap_err().code()
    };
    home.file("open", "[[rule]]\n", 0o666);
    let policy = "policy_file = '@/open'\n[ledger]\nurl_file = '@/url'\n";
    assert_eq!(code(policy), ErrorCode::UnsafeConfig);
    assert_eq!(code(&format!("colour = 'red'\n{policy}")), ErrorCode::UnsafeConfig, "whatever else is wrong");
    assert_eq!(code("policy_file = '@/policy'\n[ledger]\nurl_file = '@/open'\n"), ErrorCode::UnsafeConfig);
    assert_eq!(code("policy_file = '@/none'\n[ledger]\nurl_file = '@/url'\n"), ErrorCode::ConfigInvalid);
}

#[test]
fn a_bad_environment_is_a_fault_that_names_the_variable() {
    for (name, value) in
        [("CONTROL_PLANE_PORT", "65536"), ("SESSION_MAX_TTL_MINUTES", "0"), ("GK_LOG", "a=b=c"), ("GK_LOG_FORMAT", "x")]
    {
        let found = Home::new().parse(GOOD, &[(name, value)]).unwrap_err();
        assert!(found.starts_with(name), "{found}");
    }
}

#[test]
fn a_policy_above_the_ceiling_is_refused_with_its_file_and_rule() {
    let found = Home::new().parse(GOOD, &[("SESSION_MAX_TTL_MINUTES", "30")]).unwrap_err();
    assert!(found.contains("policy: rule[1].max_ttl: 60m is above the limit of 30m"), "{found}");
}

#[test]
fn plain_http_beyond_this_machine_is_refused_unless_a_proxy_is_said_to_stand_before_it() {
    for listen in ["0.0.0.0:4000", "[::]:4000", "192.0.2.7:4000"] {
        let found = Home::new().parse(&format!("listen = '{listen}'\n{GOOD}"), &[]).unwrap_err();
        assert!(
            found.contains("listen: ") && found.contains("tls.cert_file") && found.contains("behind_proxy"),
            "{found}"
        );
    }
    let said = format!("listen = '0.0.0.0:4000'\nplain_http = 'behind_proxy'\n{GOOD}");
    let config = Home::new().parse(&said, &[]).unwrap();
    assert!(config.findings()[0].contains("plain HTTP"), "{:?}", config.findings());
    let found = Home::new().parse(&format!("plain_http = 'always'\n{GOOD}"), &[]).unwrap_err();
    assert!(found.contains("plain_http: expected"), "{found}");
}

#[test]
fn a_sink_has_a_name_a_kind_and_what_its_kind_needs() {
    let home = Home::new();
    let secret = home.file("siem", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0o600);
    home.file("open-secret", "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", 0o644);
    home.file("no-secret", "hunter2\n", 0o600);
    home.file("no-pem", "hello", 0o644);
    let parse = |sinks: &str| home.parse(&format!("{GOOD}{}", sinks.replace("[S]", "[[audit.sinks]]")), &[]);
    let good = "[S]\nname='siem'\nkind='http'\nwhat=['events','checkpoints']\nurl='http://127.0.0.1:9/x'\nsecret_file='@/siem'\n\
                [S]\nname='disk'\nkind='file'\nwhat=['events']\npath='/x'\n[S]\nname='out'\nkind='stdout'\nwhat=['events']\n";
    let config = parse(good).unwrap();
    assert_eq!(config.audit.sinks.len(), 3);
    assert!(config.findings()[0].contains("\"siem\" is to have checkpoints"), "{:?}", config.findings());
    assert!(!format!("{config:?}").contains("AAAA"));
    let http = |more: &str| format!("[S]\nname='siem'\nkind='http'\nwhat=['events']\n{more}");
    let cases: &[(String, &[&str])] = &[
        ("[S]".into(), &["audit.sinks[1].name: is missing", "[1].kind: is missing", "[1].what: expected a list"]),
        (
            "[S]\nname='A B'\nkind='syslog'\nwhat=['all']".into(),
            &["name: a name has", "kind: expected \"file\"", "what: expected"],
        ),
        ("[S]\nname='a'\nkind='file'\nwhat=['events','events']".into(), &["what: expected", "path: is missing"]),
        (
            "[S]\nname='a'\nkind='file'\nwhat=[]\npath='x'\nurl='x'".into(),
            &["what: expected", "`x` must be an absolute", "url: is nothing"],
        ),
        (
            "[S]\nname='a'\nkind='stdout'\nwhat=['events']\npath='/x'".into(),
            &["path: is nothing that a sink of this kind has"],
        ),
        (http(""), &["url: is missing", "secret_file: is missing", "openssl rand"]),
        (http("secret='whsec_x'\nurl='https://x'"), &["secret: a secret may not stand", "audit.sinks[1].secret_file"]),
        (http("url='http://10.0.0.7'\nsecret_file='@/siem'"), &["url: plain http:// is only for this machine"]),
        (http("url='x'\nsecret_file='@/open-secret'"), &["url: an address is written", "secret_file", "chmod 0600"]),
        (http("url='https://x'\nsecret_file='@/no-secret'"), &["secret_file", "holds no webhook secret"]),
        (http("url='https://x'\nsecret_file='@/gone'"), &["secret_file: cannot read"]),
        (http("url='https://x'\nsecret_file='siem'"), &["secret_file: `siem` must be an absolute path"]),
        (http("url='https://x'\nsecret_file='@/siem'\nca_file='@/no-pem'"), &["audit.sinks[1].ca_file"]),
        (
            format!("{good}{}", good.replace("'out'", "'more'")),
            &["two sinks are called \"siem\"", "there is one stdout", "/x is written by something else"],
        ),
        ("[audit]\nsinks = 'siem'".into(), &["audit.sinks: expected tables, each written as [[audit.sinks]]"]),
        (
            "[audit]\ncheckpoint_file='/x'\n[S]\nname='disk'\nkind='file'\nwhat=['events']\npath='/x'".into(),
            &["/x is written by something else"],
        ),
    ];
    for (text, says) in cases {
        let found = parse(text).map(|_| ()).expect_err(text);
        says.iter().for_each(|part| assert!(found.contains(part), "for {text:?}: {part:?} is not in {found:?}"));
        assert!(!found.contains("hunter2") && !found.contains("AAAA"), "{found}");
    }
    std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(parse(good).is_ok(), "a group may read it");
}

const CERTIFICATE: &str = include_str!("../../../agent/tests/agent/tls/certificate.pem");
const KEY: &str = include_str!("../../../agent/tests/agent/tls/key.pem");

#[test]
fn a_certificate_with_its_key_lets_the_port_be_anywhere_and_half_of_it_is_refused() {
    let home = Home::new();
    home.file("cert", CERTIFICATE, 0o644);
    home.file("key", KEY, 0o600);
    home.file("open", KEY, 0o644);
    let parse = |tls: &str, more: &str| home.parse(&format!("{more}{GOOD}[tls]\n{tls}"), &[]);
    let good = "cert_file = '@/cert'\nkey_file = '@/key'\n";
    let config = parse(good, "listen = '0.0.0.0:4000'\n").unwrap();
    assert!(config.tls.is_some() && config.findings().is_empty(), "{:?}", config.findings());
    for (tls, says) in [
        ("cert_file = '@/cert'\n", "tls.key_file: is missing"),
        ("key_file = '@/key'\n", "tls.cert_file: is missing"),
        ("cert_file = '@/cert'\nkey_file = '@/open'\n", "tls.key_file: "),
        ("cert_file = '@/none'\nkey_file = '@/key'\n", "tls.cert_file: cannot read"),
        ("cert_file = '@/policy'\nkey_file = '@/key'\n", "there is no certificate in it"),
        ("cert_file = '@/cert'\nkey_file = '@/url'\n", "there is no private key in it"),
    ] {
        let found = parse(tls, "").unwrap_err();
        assert!(found.contains(says), "{found}");
        assert!(!found.contains("PRIVATE"), "{found}");
    }
    assert!(parse(good, "plain_http = 'behind_proxy'\n").unwrap_err().contains("keep one of them"));
}

#[test]
fn the_way_to_the_ledger_is_checked_as_the_settings_say() {
    let home = Home::new();
    home.file("cert", CERTIFICATE, 0o644);
    home.file("elsewhere", "postgresql://gk:s3cret@db.internal/ledger\n", 0o600);
    home.file("said", "postgresql://gk:s3cret@db.internal/ledger?sslmode=verify-full\n", 0o600);
    let parse = |file: &str, more: &str| {
        home.parse(&format!("policy_file = '@/policy'\n[ledger]\nurl_file = '@/{file}'\n{more}"), &[])
    };
    assert!(parse("elsewhere", "").unwrap().findings()[0].contains("ledger.sslmode"));
    assert_eq!(parse("said", "").unwrap().findings(), Vec::<String>::new());
    let checked = parse("elsewhere", "sslmode = 'verify-full'\nsslrootcert = '@/cert'\n").unwrap();
    assert_eq!(checked.findings(), Vec::<String>::new());
    for (file, more, says) in [
        ("said", "sslmode = 'require'\n", "keep one of them"),
        ("url", "sslrootcert = '@/cert'\n", "ledger.sslrootcert: "),
        ("url", "sslmode = 'verify-ca'\n", "ledger.sslmode: "),
        ("url", "sslmode = 'strict'\n", "ledger.sslmode: "),
    ] {
        let found = parse(file, more).unwrap_err();
        assert!(found.contains(says), "{found}");
    }
}
