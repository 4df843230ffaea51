//! The agent's connections under TLS, with a certificate of this test's own.

use gk_agent::config::TargetConfig;
use gk_agent::provider::DatabaseProvider as _;
use gk_agent::provider::postgres::PostgresTarget;
use gk_agent::provider::postgres::tls::Tls;
use gk_shared::dsn::SslMode;
use gk_testkit::{TestPg, Version, eventually};

use super::lab::{SOON, target, target_config};

/// For `localhost` and `127.0.0.1`, its own authority, good for nothing else.
const CERTIFICATE: &str = include_str!("tls/certificate.pem");
const KEY: &str = include_str!("tls/key.pem");
const SOMEBODY_ELSES: &str = include_str!("tls/other.pem");

/// A server that speaks TLS.
async fn secured(version: Version) -> TestPg {
    let pg = target(version).await;
    pg.offer_tls(CERTIFICATE, KEY).await;
    let required = config(&pg, SslMode::Require, None);
    eventually(SOON, "the server offers TLS", async || works(required.clone()).await).await;
    pg
}

fn config(pg: &TestPg, mode: SslMode, roots: Option<&str>) -> TargetConfig {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("roots.pem");
    let roots = roots.map(|text| {
        std::fs::write(&file, text).unwrap();
        file.as_path()
    });
    TargetConfig { tls: Tls::new(mode, roots).unwrap(), ..target_config(pg) }
}

async fn works(config: TargetConfig) -> Result<(), String> {
    PostgresTarget::new(config).health().await.map(drop).map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_encrypted_with_a_certificate_that_was_checked() {
    let pg = secured(Version::From16).await;
    let target = PostgresTarget::new(config(&pg, SslMode::VerifyFull, Some(CERTIFICATE)));
    target.health().await.unwrap();
    let admin = pg.superuser("app").await;
    let sql = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'gk_agent' AND s.ssl AND a.query LIKE '%provider::health%'";
    assert_eq!(admin.query_one(sql, &[]).await.unwrap().get::<_, i64>(0), 1);
    drop(target);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_authority_is_refused_where_it_is_looked_at() {
    let pg = secured(Version::Before16).await;
    for mode in [SslMode::Prefer, SslMode::Require] {
        works(config(&pg, mode, None)).await.unwrap();
    }
    let refused = works(config(&pg, SslMode::VerifyFull, Some(SOMEBODY_ELSES))).await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    works(config(&pg, SslMode::VerifyFull, Some(CERTIFICATE))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let pg = target(Version::From16).await;
    works(config(&pg, SslMode::Prefer, None)).await.unwrap();
    works(config(&pg, SslMode::Require, None)).await.unwrap_err();
}
