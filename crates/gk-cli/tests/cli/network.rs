//! What can stand between `gk` and its control plane.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use gk_shared::problem::ErrorCode;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;

use crate::scripted::{Reply, Scripted};
use crate::support::Home;

#[test]
fn nobody_answers_at_the_address() {
    let home = Home::at("http://127.0.0.1:1");
    let ran = home.gk(["session", "list"]).exits(9).silent().says("error[control_plane_unreachable]");
    assert!(ran.stderr.contains("Connection refused"), "{}", ran.stderr);
    Home::at("https://127.0.0.1:1").gk(["status"]).exits(9).says("error[control_plane_unreachable]");
}

#[test]
fn plain_http_leaves_this_machine_never() {
    for url in ["http://db.example:4000", "http://10.0.0.1", "http://127.0.0.1.example.com"] {
        Home::at(url).gk(["session", "list"]).exits(2).silent().says("error[insecure_url]");
    }
    Home::new().gk(["session", "list", "--address", "http://10.0.0.1"]).exits(2).says("--address");
}

#[test]
fn a_redirect_is_not_followed_and_the_token_stays_here() {
    let thief = Scripted::good();
    let to = format!("{}/v1/sessions", thief.url);
    let plane = Scripted::start(move |_| Some(Reply::text(307, "").header("location", &to)));
    Home::at(&plane.url).gk(["session", "list"]).exits(9).silent().says("error[unexpected_redirect]").says(&thief.url);
    assert_eq!(thief.seen().len(), 0);
}

#[test]
fn an_answer_that_cannot_be_read_is_a_difference_of_versions() {
    let answers = |reply: Reply| {
        let plane = Scripted::start(move |_| Some(reply.clone()));
        Home::at(&plane.url).gk(["session", "list"]).silent()
    };
    for body in ["<html>hello</html>", "{\"sessions\": 3}", "", "{\"sessions\":[{\"status\":\"levitating\"}]}"] {
        let reply = Reply::text(200, body).header("x-gatekeeper-version", "9.9.9");
        let ran = answers(reply).exits(1).says("error[version_mismatch]").says("9.9.9").says(env!("CARGO_PKG_VERSION"));
        assert!(!ran.stderr.contains("expected"), "no words of a decoder: {}", ran.stderr);
    }
    answers(Reply::text(404, "<html>no such page</html>")).exits(1).says("error[version_mismatch]");
    answers(Reply::text(502, "bad gateway")).exits(9).says("error[control_plane_unreachable]");
}

#[test]
fn an_answer_that_has_grown_is_read() {
    let plane = Scripted::start(|seen| {
        let mut me = crate::scripted::me();
        me["newField"] = json!({ "deep": [1, 2] });
        seen.is("GET", "/v1/me").then(|| Reply::json(200, &me))
    });
    Home::at(&plane.url).gk(["auth", "status"]).exits(0);
}

#[test]
fn a_code_of_a_newer_server_keeps_its_word_and_the_exit_code_of_its_status() {
    for (status, code) in [(403, 5), (404, 3), (409, 6), (503, 9), (500, 1), (401, 4), (400, 2)] {
        let body = json!({
            "type": "x", "title": "New.", "status": status, "code": "too_windy", "detail": "it \u{1b}[31mblows",
            "hint": "Wait.", "retryable": true, "requestId": "req_x",
        });
        let plane = Scripted::start(move |_| Some(Reply::json(status, &body)));
        let ran = Home::at(&plane.url).gk(["status"]).exits(code).says("error[too_windy]");
        assert!(!ran.stderr.contains('\u{1b}'), "what a server says cannot steer the terminal: {}", ran.stderr);
    }
}

#[test]
fn a_busy_server_says_when_to_come_again() {
    let reply = Reply::problem(ErrorCode::RateLimited, "too many requests").header("retry-after", "7");
    let plane = Scripted::start(move |_| Some(reply.clone()));
    Home::at(&plane.url).gk(["status"]).exits(9).says("error[rate_limited]").says("Repeat after 7s");
}

#[test]
fn debug_shows_the_calls_and_no_secret() {
    let plane = Scripted::good();
    let line = "session create --target pg-local --role app_read --ttl 15m --debug";
    let ran =
        Home::at(&plane.url).gk(line.split(' ')).exits(0).says("debug: POST /v1/sessions 201 Created req_from_server");
    for secret in [crate::support::token().as_str(), "gk_tok_", crate::scripted::PASSWORD, "s3cret%27pw"] {
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
}

/// A server with this certificate, which answers one connection after another with an empty list.
fn tls_server(name: &str) -> u16 {
    rustls::crypto::ring::default_provider().install_default().ok();
    let place = |end: &str| format!("{}/tests/cli/tls/{name}.{end}", env!("CARGO_MANIFEST_DIR"));
    let certificate = CertificateDer::from_pem_file(place("crt")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(place("key")).expect("a key");
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate], key);
    let config = Arc::new(config.expect("they belong together"));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut tls = rustls::StreamOwned::new(connection, stream);
            // A client that does not trust us hangs up here.
            if tls.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let body = "{\"sessions\":[]}";
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = tls.write_all(format!("{head}{body}").as_bytes()).and_then(|()| tls.flush());
                tls.conn.send_close_notify();
                let _ = tls.flush();
            }
        }
    });
    port
}

#[test]
fn a_certificate_has_to_be_known_current_and_for_this_name() {
    let trusted = |name: &str| format!("{}/tests/cli/tls/{name}.crt", env!("CARGO_MANIFEST_DIR"));
    let home = |name: &str, host: &str| Home::at(&format!("https://{host}:{}", tls_server(name)));
    let list = ["session", "list"];
    home("good", "127.0.0.1").var("SSL_CERT_FILE", &trusted("good")).gk(list).exits(0);
    home("good", "127.0.0.1").gk(list).exits(9).silent().says("error[tls_untrusted]").says("unknown authority");
    home("good", "localhost").var("SSL_CERT_FILE", &trusted("good")).gk(list).exits(9).says("for another name");
    home("old", "127.0.0.1").var("SSL_CERT_FILE", &trusted("old")).gk(list).exits(9).says("has expired");
    let help = Home::new().gk(["help", "session", "list"]).exits(0);
    assert!(!help.stdout.contains("insecure"), "there is no way around it");
}
