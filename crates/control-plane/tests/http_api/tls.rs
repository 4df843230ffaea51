//! The control plane's own TLS, towards callers and towards its ledger.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use gk_control_plane::config::{LedgerConfig, PlaneConfig};
use gk_shared::secret::SecretDsn;
use gk_testkit::{TestPg, eventually, pg_versions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{CERTIFICATE, KEY, World};

const SOON: Duration = Duration::from_secs(20);

fn write(dir: &Path, name: &str, text: &str) {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A control plane with the certificate that lies in this directory, by its settings file.
async fn secured(dir: &Path) -> World {
    write(dir, "cert.pem", CERTIFICATE);
    write(dir, "key.pem", KEY);
    write(dir, "policy.toml", crate::support::POLICY);
    World::set_up(|config| {
        let text = "policy_file = '@/policy.toml'\n[ledger]\nhost = 'h'\nuser = 'u'\ndatabase = 'd'\n\
                    [tls]\ncert_file = '@/cert.pem'\nkey_file = '@/key.pem'\n";
        let read = PlaneConfig::parse(&text.replace('@', dir.to_str().unwrap()), &|_| None).unwrap();
        PlaneConfig { tls: read.tls, ..config }
    })
    .await
}

/// What the port shows to somebody who trusts this authority.
async fn answer(world: &World, authority: &str) -> Result<u16, String> {
    let roots = reqwest::Certificate::from_pem_bundle(authority.as_bytes()).unwrap();
    // A connection of its own: it is the handshake that is looked at.
    let client = reqwest::Client::builder().tls_certs_only(roots).build().unwrap();
    match client.get(format!("{}/livez", world.url)).send().await {
        Ok(answer) => Ok(answer.status().as_u16()),
        Err(error) => Err(format!("{error:?}")),
    }
}

#[tokio::test]
async fn the_port_speaks_tls_and_tells_those_who_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let world = secured(dir.path()).await;
    world.admin.get("/v1/me").await.expect(200);
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let refused = answer(&world, &other.cert.pem()).await.unwrap_err();
    assert!(refused.contains("certificate") || refused.contains("Certificate"), "{refused}");
    let mut plain = TcpStream::connect(world.address()).await.unwrap();
    plain.write_all(b"GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n").await.unwrap();
    let mut told = String::new();
    plain.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 400") && told.contains("https://"), "{told}");
    let mut stuck = TcpStream::connect(world.address()).await.unwrap();
    stuck.write_all(&[0x16, 3, 1]).await.unwrap();
    world.admin.get("/v1/me").await.expect(200);
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let world = secured(dir.path()).await;
    let next = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    // The certificate alone does not belong to the key that is there.
    write(dir.path(), "cert.pem", &next.cert.pem());
    let url = format!("{}/livez", world.url);
    assert_eq!(answer(&world, CERTIFICATE).await, Ok(200), "{url}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(answer(&world, CERTIFICATE).await, Ok(200), "half a pair was used");
    write(dir.path(), "key.pem", &next.signing_key.serialize_pem());
    eventually(SOON, "the new certificate is shown", async || answer(&world, &next.cert.pem()).await.map(drop)).await;
    assert!(answer(&world, CERTIFICATE).await.is_err(), "the old one is shown no more");
}

#[tokio::test]
async fn the_ledger_is_reached_over_tls_with_its_certificate_checked_and_the_login_bound_to_it() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "ca.pem", CERTIFICATE);
    let pg = TestPg::start(pg_versions()[0]).await;
    pg.create_database("ledger").await;
    let roots = format!("sslrootcert={}", dir.path().join("ca.pem").display()).replace('/', "%2F");
    let dsn = format!("{}?sslmode=verify-full&{roots}&channel_binding=require", pg.superuser_dsn("ledger"));
    let config = LedgerConfig::from_url(&SecretDsn::from(dsn.as_str())).unwrap();
    gk_control_plane::migrate(&config).await.expect_err("the server has no TLS yet");
    pg.offer_tls(CERTIFICATE, KEY).await;
    let world = World::on(pg, &dsn, |config| config).await;
    world.dana().await.get("/v1/me").await.expect(200);
    let admin = world.pg.superuser("ledger").await;
    let sql = "SELECT count(*) FILTER (WHERE s.ssl), count(*) FILTER (WHERE NOT s.ssl) FROM pg_stat_ssl s \
               JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'gk-control-plane'";
    let row = admin.query_one(sql, &[]).await.unwrap();
    assert!(row.get::<_, i64>(0) >= 1, "nothing is encrypted");
    assert_eq!(row.get::<_, i64>(1), 0, "something is not");
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    write(dir.path(), "ca.pem", &other.cert.pem());
    let stranger = LedgerConfig::from_url(&SecretDsn::from(dsn.as_str())).unwrap();
    gk_control_plane::migrate(&stranger).await.expect_err("another authority's server is none of ours");
}
